"""The ledger of intents: what becomes of an intent when its tries were answered, lost, refused."""

from __future__ import annotations

import json

import pytest

from stepwedge.evidence.exchange import Exchange, Payload
from stepwedge.scenario.ledger import ACKNOWLEDGED, REFUSED, UNKNOWN, Ledger, outcomes

STEP, IMAGE = "2.25.1", "2.25.2"


def dimse(kind, outcome, sop=STEP):
    facts = {"command": {}, "sop": sop, "sop_class": "1.2"}
    return Exchange(
        1, 1.0, 0.1, "ct", "out", "dimse", kind, "ris", outcome, {}, facts, Payload.of(b""), Payload.of(b"")
    )


def hl7(outcome, control="M1"):
    return Exchange(
        1, 1.0, 0.1, "ehr", "out", "hl7", "ORM^O01", "ris", outcome, {"control": [control]}, {}, Payload.of(b""),
        Payload.of(b""),
    )  # fmt: skip


def states(tmp_path, *exchanges):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.read(list(exchanges))
    ledger.close()
    return [fate.state for fate in ledger.fates.values()]


@pytest.mark.parametrize(
    ("tries", "state"),
    [
        pytest.param(["0000"], ACKNOWLEDGED, id="taken"),
        pytest.param(["B000"], ACKNOWLEDGED, id="taken with a warning"),
        pytest.param(["A700"], REFUSED, id="refused"),
        pytest.param(["lost"], UNKNOWN, id="lost"),
        pytest.param([""], UNKNOWN, id="no status is no refusal"),
        pytest.param(["timeout", "0000"], ACKNOWLEDGED, id="the same again resolves it"),
        pytest.param(["lost", "A700"], UNKNOWN, id="refused again: the first may be there"),
        pytest.param(["0000", "A700"], ACKNOWLEDGED, id="what was promised stays promised"),
    ],
)
def test_what_becomes_of_an_image(tmp_path, tries, state):
    assert states(tmp_path, *(dimse("C-STORE", one, IMAGE) for one in tries)) == [state]


@pytest.mark.parametrize(("kind", "there"), [("N-CREATE", "0111"), ("N-SET", "0110")])
def test_a_performed_step_that_is_there_already_had_arrived(tmp_path, kind, there):
    assert states(tmp_path, dimse(kind, "lost"), dimse(kind, there)) == [ACKNOWLEDGED]
    assert states(tmp_path, dimse(kind, there)) == [REFUSED]
    assert states(tmp_path, dimse(kind, "lost"), dimse(kind, "0112")) == [UNKNOWN]


def test_each_step_of_one_exam_is_an_intent_of_its_own(tmp_path):
    assert states(tmp_path, dimse("N-CREATE", "0000"), dimse("N-SET", "lost")) == [ACKNOWLEDGED, UNKNOWN]


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        ("AA", ACKNOWLEDGED),
        ("CA", ACKNOWLEDGED),
        ("AE", REFUSED),
        ("CR", REFUSED),
        ("timeout", UNKNOWN),
        ("ZZ", UNKNOWN),
    ],
)
def test_what_becomes_of_a_message(tmp_path, outcome, state):
    assert states(tmp_path, hl7(outcome)) == [state]


def test_questions_are_no_intents():
    assert not list(outcomes(dimse("C-FIND", "0000")))


def test_what_an_act_is_about_to_send_is_on_disk_before_it_is_told(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.attempt("ct.store_images", {"images": {"instances": [{"sop": "2.25.8"}, {"sop": "2.25.7"}]}})
    (line,) = (tmp_path / "ledger.jsonl").read_text().splitlines()
    assert json.loads(line) == {"state": "attempted", "word": "ct.store_images", "sop": ["2.25.7", "2.25.8"]}
    ledger.close()
