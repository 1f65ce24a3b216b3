"""Checks in which the probe itself sends something: what they conclude from an answer, and nothing from silence."""

import socket
import sys
import threading
from pathlib import Path

import pytest

from stepwedge.actors import asking, asking_hl7, asking_web, intruding, offering, pestering
from stepwedge.actors.asking import Retrieved
from stepwedge.actors.cast import Cast, Player
from stepwedge.actors.witness import Asked
from stepwedge.checks.check import Question, find
from stepwedge.errors import BadInput, Inconclusive, LinkLost, NoAnswer, Refused
from stepwedge.sim.address import Address

sys.path.insert(0, str(Path(__file__).parent))
from test_checks import IMAGES, View, look

MESSAGE = "MSH|^~\\&|A|B|C|D|20261124||ADT^A04|CONTROL|P|2.5.1\nPID|||SW1\n"


def receiver(says):
    """Serve one connection: answer each frame with what ``says`` makes of its control ID; b"" closes."""
    door = socket.create_server(("127.0.0.1", 0))

    def serve():
        with door, door.accept()[0] as link:
            held = b""
            while data := link.recv(65536):
                held += data
                while b"\x1c\r" in held:
                    frame, _, held = held.partition(b"\x1c\r")
                    answer = says(frame.split(b"|")[9].decode())
                    if not answer:
                        return
                    link.sendall(b"\x0b" + answer + b"\x1c\r")

    threading.Thread(target=serve, daemon=True).start()
    return door.getsockname()[1]


def answered(says, is_, **args):
    address = Address.parse({"hl7": f"mllp://127.0.0.1:{receiver(says)}"})
    the_cast = Cast({"ris": Player("ris", "ris", simulated=True, address=address)})
    question = Question(the_cast, View(), "", "ris", (), {"message": MESSAGE}, is_, args)
    return find("message.answered").look(question)


def code(word):
    return lambda control: f"MSH|^~\\&|C|D|A|B|1||ACK|X|P|2.5.1\rMSA|{word}|{control}\r".encode()


@pytest.mark.parametrize(
    "form", ["whole", "bytes", "end-apart", "three-at-once", "nuls-between", "no-last-end"]
)
def test_a_message_by_hand_is_answered_in_every_form(form):
    found = answered(code("AA"), {"MSA-1": "AA"}, form=form)
    assert found.holds
    assert found.seen == (3 if form == "three-at-once" else 1)


def test_another_answer_is_final():
    found = answered(code("AA"), {"MSA-1": "AE"})
    assert found.differences
    assert found.final


def test_an_answer_to_another_message_is_the_peers_fault():
    found = answered(lambda _: code("AA")("OTHER"), {"MSA-1": "AA"})
    assert not found.holds
    assert found.peer_fault


def test_what_is_heard_whole_and_not_in_parts_was_not_understood(monkeypatch):
    asked = asking_hl7.answers

    def deaf(*args, **how):
        if how["form"] != "whole":
            raise NoAnswer("ris gave 0 answers of 1 within 1 s")
        return asked(*args, **how)

    monkeypatch.setattr(asking_hl7, "answers", deaf)
    found = answered(code("AA"), {"MSA-1": "AA"}, form="bytes")
    assert found.final
    assert [one.found for one in found.differences] == ["ris gave 0 answers of 1 within 1 s; whole: AA"]


def test_silence_in_every_form_proves_nothing(monkeypatch):
    def silent(*_, **__):
        raise NoAnswer("nothing came")

    monkeypatch.setattr(asking_hl7, "answers", silent)
    found = answered(code("AA"), {"MSA-1": "AA"}, form="bytes")
    assert found.unsure
    assert not found.differences


def test_no_answer_to_a_message_by_hand_proves_nothing():
    found = answered(lambda _: b"", {"MSA-1": "AA"})
    assert not found.holds
    assert found.unsure
    assert not found.peer_fault


STUDIES = [{"StudyInstanceUID": "1.1"}, {"StudyInstanceUID": "1.2"}]


def exactly(monkeypatch, answers, wanted):
    def studies(*_):
        if isinstance(answers, Exception):
            raise answers
        return Asked(answers, (7,))

    monkeypatch.setattr(asking, "studies", studies)
    return look("query.exactly", from_="pacs", where={"PatientID": "A*"}, is_={"StudyInstanceUID": wanted})


def test_a_query_is_answered_with_what_matches_and_nothing_else(monkeypatch):
    assert exactly(monkeypatch, STUDIES, ["1.2", "1.1"]).holds
    assert exactly(monkeypatch, STUDIES, ["1.1"]).differences  # one too many
    assert exactly(monkeypatch, STUDIES[:1], ["1.1", "1.2"]).differences  # one too few
    assert exactly(monkeypatch, [*STUDIES, STUDIES[0]], ["1.1", "1.2"]).differences  # one twice
    assert exactly(monkeypatch, LinkLost("x"), ["1.1"]).unsure


def test_pages_are_judged_together(monkeypatch):
    monkeypatch.setattr(
        asking_web, "page", lambda *args: Asked(STUDIES[args[-1] : args[-1] + args[-2]], (7,))
    )
    asked = {"from_": "pacs", "through": ("qido-rs",), "where": {"PatientID": "A"}, "page": 1}
    assert look("query.exactly", is_={"StudyInstanceUID": ["1.1", "1.2"]}, **asked).holds
    assert not look("query.exactly", is_={"StudyInstanceUID": ["1.1"]}, **asked).holds


HEADER = {"SOPInstanceUID": "1.1", "PixelSpacing": "0.50", "00291001": b"note"}


def described(monkeypatch, **told):
    other = HEADER | {"SOPInstanceUID": "1.2"}
    monkeypatch.setattr(
        asking, "retrieve", lambda *_: [Retrieved("1.1", HEADER, "a"), Retrieved("1.2", other, "b")]
    )
    said = {key: value for key, value in (HEADER | told).items() if value is not None}
    monkeypatch.setattr(asking_web, "metadata", lambda *_: [said, other] if told != {"gone": 1} else [said])
    return look("images.described", from_="pacs", where={"images": IMAGES})


def test_metadata_say_what_the_file_says(monkeypatch):
    assert described(monkeypatch).holds
    assert described(monkeypatch, PixelSpacing="0.5").holds  # the same number (PS3.18 table F.2.3-1)
    assert described(monkeypatch, PixelSpacing="0.51").differences
    assert described(monkeypatch, **{"00291001": None}).differences
    assert described(monkeypatch, gone=1).differences


@pytest.mark.parametrize(
    ("taken", "shown", "holds"),
    [(False, [], True), (True, [], False), (False, [{"SOPInstanceUID": "1.9"}], False)],
)
def test_a_bad_object_must_be_refused_and_nowhere(monkeypatch, taken, shown, holds):
    monkeypatch.setattr(offering, "copy", lambda *_: None)
    monkeypatch.setattr(offering, "offered", lambda *_: offering.Answer("1.9", taken, "C000", [7]))
    monkeypatch.setattr(asking, "instances", lambda *_: Asked(shown, (8,)))
    found = look("object.refused", from_="pacs", where={"study": "1"}, header={"StudyInstanceUID": None})
    assert found.holds is holds


def test_an_offer_that_is_lost_refused_nothing(monkeypatch):
    def lost(*_):
        raise LinkLost("x")

    monkeypatch.setattr(offering, "copy", lost)
    assert look("object.refused", from_="pacs", where={"study": "1"}).unsure


def test_an_object_names_exactly_its_images(monkeypatch):
    image = {"ReferencedSOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "ReferencedSOPInstanceUID": "1.1"}
    step = {"ReferencedSOPClassUID": "1.2.840.10008.3.1.2.3.3", "ReferencedSOPInstanceUID": "5"}
    header = {"Modality": "KO", "A": [{"B": [image]}], "ReferencedPerformedProcedureStepSequence": [step]}
    monkeypatch.setattr(asking, "retrieve", lambda *_: [Retrieved("1.7", header, "")])
    asked = {"from_": "pacs", "where": {"study": "1", "sop": "1.7"}}
    assert look("object.names", is_={"names": ["1.1"], "Modality": "KO"}, **asked).holds
    assert look("object.names", is_={"names": ["1.1", "1.2"]}, **asked).differences
    assert look("object.names", is_={"names": ["1.1"], "Modality": "PR"}, **asked).differences
    assert look(
        "object.names", from_="pacs", where={"study": "1", "sop": "1.8"}, is_={"names": []}
    ).differences


def test_a_door_stands_nonsense_when_it_hangs_up_and_serves_others(monkeypatch):
    asked = {"from_": "pacs", "where": {"nonsense": "random-bytes"}}
    monkeypatch.setattr(pestering, "pester", lambda *_: "")
    assert look("door.stands", **asked).holds
    monkeypatch.setattr(pestering, "pester", lambda *_: "still open")
    assert look("door.stands", **asked).final
    with pytest.raises(BadInput):
        look("door.stands", from_="pacs", where={"nonsense": "random-byte"})


def test_a_door_that_serves_nobody_before_the_nonsense_proves_nothing(monkeypatch):
    def nobody(*_):
        raise Inconclusive("a known node is not served before the nonsense")

    monkeypatch.setattr(intruding, "served", nobody)
    assert look("door.stands", from_="pacs", where={"nonsense": "random-bytes"}).unsure


def test_a_door_that_keeps_nonsense_open_is_told(monkeypatch):
    monkeypatch.setattr(intruding, "served", lambda *_: None)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        monkeypatch.setattr(intruding, "place", lambda *_: deaf.getsockname())
        found = look("door.stands", from_="pacs", where={"nonsense": "random-bytes"}, seconds=0.05)
    assert "still open" in found.differences[0].found


def test_a_refused_context_is_a_no(monkeypatch):
    def no(*_):
        raise Refused("the peer accepted no presentation context")

    monkeypatch.setattr(offering, "_stored", no)
    the_cast = look.__globals__["cast"]()
    answer = offering.offered(
        the_cast, "pacs", "c-store", offering.Instance("1.2", "1.9", "1.2.840.10008.1.2.1", b"")
    )
    assert not answer.taken
    assert "no presentation context" in answer.said
