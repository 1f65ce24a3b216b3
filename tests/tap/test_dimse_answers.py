"""D8, D10 and D11: results of storage commitment and matches that are not what they should be, operations called off."""

from __future__ import annotations

import asyncio

import pytest

from stepwedge.errors import NoAnswer
from stepwedge.wire.services import COMMITMENT, COMMITMENT_INSTANCE, STUDY_FIND
from tests.tap.dimse_far import REFERENCES, talk

REQUEST = {"TransactionUID": "1.2.77", "ReferencedSOPSequence": REFERENCES}


async def commit(association):
    """Ask for commitment; return the status and the result."""
    asked = await association.action(COMMITMENT, COMMITMENT_INSTANCE, 1, REQUEST)
    return asked.status, await association.next_event(1)


async def find(association):
    """Ask for patients; return the status and who came."""
    answers = await association.find(STUDY_FIND, {"PatientID": ""})
    return f"{answers.status:04X}", [one["PatientID"] for one in answers]


def test_one_object_is_not_committed():
    got = talk("commitment", commit, reason="0110")
    status, event = got.said
    assert (status, event.type) == (0, 2)
    assert event.attributes == {
        "TransactionUID": "1.2.77",
        "ReferencedSOPSequence": REFERENCES[1:],
        "FailedSOPSequence": [REFERENCES[0] | {"FailureReason": 0x0110}],
    }
    assert got.fault.count == 1


def test_a_result_lacks_an_object():
    _, event = talk("commitment", commit, what="short").said
    assert event.attributes["ReferencedSOPSequence"] == REFERENCES[1:]
    assert event.type == 1


def test_the_result_of_another_transaction():
    _, event = talk("commitment", commit, what="stranger").said
    assert event.attributes["TransactionUID"] == "1.2.77.9"


def test_no_result_ever():
    got = talk("commitment", commit, what="never")
    assert isinstance(got.said, NoAnswer)
    assert [one.what for one in got.fault.acts] == ["result lost"]


def test_a_result_before_the_answer():
    got = talk("commitment", commit, what="early")
    status, event = got.said
    assert status == 0
    assert event.attributes["TransactionUID"] == "1.2.77"
    assert [one.what for one in got.fault.acts] == ["result before the answer"]


def test_a_query_called_off():
    got = talk("matches", find)
    assert got.said == ("FE00", ["SW1", "SW2", "SW3"])


def test_matches_with_a_mark():
    got = talk("matches", find, what="warned")
    assert got.said == ("0000", ["SW1", "SW2", "SW3"])
    assert got.fault.count == 3


def test_the_last_response_is_missing():
    got = talk("matches", find, what="unfinished")
    assert isinstance(got.said, NoAnswer)
    assert got.fault.count == 1


def test_very_many_matches():
    got = talk("matches", find, what="many", copies=2000, times=1)
    status, found = got.said
    assert status == "0000"
    assert len(found) == 2002


def test_a_caller_that_waits_for_an_end_is_let_go():
    async def look(association):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(find(association), 0.5)
        raise NoAnswer("it never ends")

    got = talk("matches", look, what="endless")
    assert got.fault.count > 5
    assert got.left == ""


@pytest.mark.parametrize("pending", [0, 1])
def test_called_off_by_the_caller(pending):
    got = talk("cancel", find, service="c-find", pending=pending)
    assert got.said[0] in {"FE00", "0000"}, "the far end decides whether it was in time"
    assert [one.what for one in got.fault.acts] == ["C-FIND 1 called off"]
