"""Which links are recorded, and what is refused before a packet leaves."""

from __future__ import annotations

import socket

import pytest

from stepwedge.errors import BadInput
from stepwedge.lab.recording.links import Wish, links
from stepwedge.lab.recording.recorder import Until

LAB = """
lab: real ones
actors:
  ris: {real: {hl7: "mllp://127.0.0.1:2575"}, role: ris}
  pacs: {real: {hl7: "mllp://127.0.0.2:2575", dicom: "dicom://PACS@127.0.0.2:11112"}, role: pacs}
  ehr: simulated
sut: {claims: [orders]}
taps:
  - {on: ris->pacs, ports: {hl7: 2577}}
  - {on: ehr->ris, doors: [hl7]}
"""


def named(on="ris->pacs", listen="127.0.0.1:0", to="127.0.0.1:2575", door="hl7", lab=None):
    return links(Wish([on], [listen], [to], [door]), lab)


def test_a_link_is_named():
    (link,), roles = named()
    assert str(link.edge) == "ris->pacs hl7"
    assert (link.listen, link.to) == (("127.0.0.1", 0), ("127.0.0.1", 2575))
    assert roles["ct"] == "modality"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"on": "ris"}, "caller->callee"),
        ({"on": "his->pacs"}, "two of ehr"),
        ({"on": "ris->ris"}, "caller->callee"),
        ({"door": "ftp"}, "one of hl7"),
        ({"listen": "2577"}, "HOST:PORT"),
        ({"listen": "here:2577"}, "an address of this machine"),
        ({"to": "127.0.0.1:0"}, "HOST:PORT"),
        ({"to": "127.0.0.1:70000"}, "HOST:PORT"),
        ({"to": "http://127.0.0.1:80"}, "HOST:PORT"),
        ({"to": "10.20.30.40:2575"}, "a host out of 127.0.0.0/8"),
    ],
)
def test_what_cannot_be_a_link_is_refused(wrong, said, monkeypatch):
    def packet(*_):
        pytest.fail("a packet left")

    monkeypatch.setattr(socket.socket, "connect", packet)
    with pytest.raises(BadInput, match="expected") as refused:
        named(**wrong)
    assert said in str(refused.value)


def test_every_link_needs_one_of_each():
    with pytest.raises(BadInput, match="in the same order"):
        links(Wish(["ris->pacs", "ehr->ris"], ["127.0.0.1:0"], ["127.0.0.1:1"], ["hl7"]), None)
    with pytest.raises(BadInput, match="at least one link"):
        links(Wish(), None)


def test_the_taps_of_a_lab_to_real_systems_are_links(tmp_path):
    lab = tmp_path / "lab.yaml"
    lab.write_text(LAB)
    found, roles = links(Wish(), lab)
    assert [(str(one.edge), one.listen, one.to) for one in found] == [
        ("ris->pacs hl7", ("127.0.0.1", 2577), ("127.0.0.2", 2575)),
        ("ris->pacs dicom", ("127.0.0.1", 0), ("127.0.0.2", 11112)),
        ("ehr->ris hl7", ("127.0.0.1", 0), ("127.0.0.1", 2575)),
    ]
    assert roles == {"ris": "ris", "pacs": "pacs", "ehr": "ehr"}


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("30min", 1800), ("8h", 28800), ("", 0)])
def test_how_long(text, seconds):
    assert Until.read(text, 3) == Until(seconds, 3)


@pytest.mark.parametrize("text", ["8", "0s", "25h", "-1h", "1d", "8 h"])
def test_how_long_not(text):
    with pytest.raises(BadInput, match="a time such as"):
        Until.read(text, 0)
