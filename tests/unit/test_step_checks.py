"""Checks of performed steps that two systems were told of, and of the protocol they say."""

from types import SimpleNamespace

import pytest

from stepwedge.checks.check import Question, find

PROTOCOL = "PerformedProtocolCodeSequence"
BEGUN = {"PerformedProcedureStepStatus": "IN PROGRESS", PROTOCOL: [{"CodeValue": "CTCHESTK"}]}
ENDED = {"PerformedProcedureStepStatus": "COMPLETED"}


def told(actor, kind, attributes, outcome="0000", uid="2.25.3"):
    facts = {"sop": uid, "identifier": attributes}
    return SimpleNamespace(
        actor=actor, direction="in", kind=kind, outcome=outcome, facts=facts, number=len(actor)
    )


def look(name, exchanges, is_=None, **args):
    where = {"mpps": {"uid": "2.25.3"}} | ({"other": "ris"} if name == "step.told_alike" else {})
    at = "pacs" if name == "step.told_alike" else "ris"
    case = SimpleNamespace(exchanges=exchanges)
    return find(name).look(Question(None, case, at=at, where=where, is_=is_, args=args))


def both(begun=None, ended=None):
    return [
        told("ris", "N-CREATE", BEGUN),
        told("ris", "N-SET", ENDED),
        told("pacs", "N-CREATE", BEGUN if begun is None else begun),
        told("pacs", "N-SET", ENDED if ended is None else ended),
    ]


def test_the_same_to_both_is_alike():
    assert look("step.told_alike", both(), messages=2).holds


@pytest.mark.parametrize(
    "exchanges",
    [
        [],
        both()[:3],
        both()[:2],
        both(begun=BEGUN | {"PatientID": "SW1"}),
        both(ended={}),
        [*both()[:2], both()[3], both()[2]],
        [*both()[:3], told("pacs", "N-SET", ENDED, outcome="0110")],
        [*both()[:3], told("pacs", "N-SET", ENDED, uid="2.25.4")],
    ],
)
def test_less_other_or_in_another_order_is_not_alike(exchanges):
    found = look("step.told_alike", exchanges, messages=2)
    assert not found.holds
    assert found.differences


def test_the_protocol_is_that_of_what_was_accepted():
    assert look("step.protocol", [told("ris", "N-CREATE", BEGUN)], "CTCHESTK").holds
    assert not look("step.protocol", [told("ris", "N-CREATE", BEGUN)], "CTCHEST1").holds
    assert not look("step.protocol", [told("ris", "N-CREATE", {})], "CTCHESTK").holds
    assert not look("step.protocol", [told("ris", "N-CREATE", BEGUN, outcome="0106")], "CTCHESTK").holds
    assert not look("step.protocol", [], "CTCHESTK").holds
