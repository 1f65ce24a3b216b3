"""``tokens`` in a lab file: what is read, what is refused and why, and what systems and checks are told."""

from __future__ import annotations

import pytest

from stepwedge import kit
from stepwedge.errors import BadInput
from stepwedge.lab import hospital, labfile


def lab(tmp_path, text):
    file = tmp_path / "lab.yaml"
    file.write_text(f"lab: x\n{text}", encoding="utf-8")
    return labfile.load(file)


ACTORS = "actors: {idp: simulated, pacs: simulated, reader: {simulated: reader, tokens: false}}\n"


def test_every_system_is_told_unless_its_own_entry_says_otherwise(tmp_path):
    read = lab(tmp_path, ACTORS + "tokens: {issuer: idp, roles: {referrer: Patient.rs}}\n")
    told = hospital._plan(read, tmp_path)["actors"]
    wish = {"issuer": "idp", "introspect": True, "roles": {"referrer": "Patient.rs"}}
    assert told["pacs"]["settings"]["tokens"] == told["idp"]["settings"]["tokens"] == wish
    assert told["reader"]["settings"]["tokens"] is False


def test_a_lab_without_tokens_tells_nobody(tmp_path):
    told = hospital._plan(lab(tmp_path, ACTORS.replace(", tokens: false", "")), tmp_path)["actors"]
    assert not [name for name, one in told.items() if "tokens" in one["settings"]]


def test_the_lab_that_ships_is_read():
    read = labfile.load(kit.find("fixtures/labs/tokens.yaml"))
    assert read.text.tokens.issuer == "idp"
    assert read.claims is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (ACTORS + "tokens: {issuer: ipd}\n", "did you mean 'idp'"),
        (ACTORS + "tokens: {issuer: pacs}\n", "pacs plays pacs"),
        (ACTORS + "tokens: {}\n", "the key issuer"),
        (ACTORS + "tokens: {issuer: idp, strict: true}\n", "one of the keys"),
        (ACTORS + "tokens: {issuer: idp, introspect: maybe}\n", "true or false"),
        ("actors: {pacs: simulated}\ntokens: {issuer: idp}\n", "simulated: idp"),
        (
            "actors: {idp: {role: idp, real: {hl7: mllp://127.0.0.1:2575}}, pacs: simulated}\ntokens: {issuer: idp}\n",
            "web address",
        ),
    ],
)
def test_what_cannot_work_is_refused_on_its_line(tmp_path, text, said):
    with pytest.raises(BadInput, match=said) as caught:
        lab(tmp_path, text)
    assert "lab.yaml:" in caught.value.place
