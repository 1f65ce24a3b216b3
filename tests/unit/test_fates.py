"""The ledger of intents: performed steps, messages, and what is none."""

from __future__ import annotations

import pytest

from stepwedge.evidence.exchange import Exchange, Payload
from stepwedge.scenario.ledger import ACKNOWLEDGED, REFUSED, UNKNOWN, Ledger, outcomes

STEP = "2.25.1"


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
