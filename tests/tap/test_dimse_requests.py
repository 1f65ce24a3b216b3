"""D3, D4, D7, D9 and D13: requests made twice, at once, to a full house, in refused contexts, in a broken form."""

from __future__ import annotations

import pytest

from stepwedge.errors import LocalProtocolError, Refused, WireError
from stepwedge.wire.elements import EXPLICIT_LE, IMPLICIT_LE
from stepwedge.wire.services import MPPS
from tests.tap.dimse_far import CT, DATA, OBJECT, talk


async def store(association):
    """Send two objects; return the statuses."""
    return [
        f"{(await association.store(CT, f'1.2.{number}', EXPLICIT_LE, DATA)).status:04X}" for number in (1, 2)
    ]


@pytest.mark.parametrize("other", ["nothing", "pixels", "patient"])
def test_an_object_comes_twice(other):
    got = talk("repeat", store, times=1, other=other)
    assert got.said == ["0000", "0000"], "the caller hears nothing of the second time"
    assert [sop for sop, _ in got.far.held] == ["1.2.1", "1.2.1", "1.2.2"]
    first, second = got.far.held[0][1], got.far.held[1][1]
    different = {name for name in OBJECT if first[name] != second[name]}
    assert different == {"nothing": set(), "pixels": {"PixelData"}, "patient": {"PatientID"}}[other]
    assert [one.what for one in got.fault.acts] == [f"C-STORE repeated, {other} else: 0111"]
    assert got.left == ""


def test_a_step_is_created_twice():
    async def create(association):
        return (
            await association.create(MPPS, "1.2.9", {"PerformedProcedureStepStatus": "IN PROGRESS"})
        ).status

    got = talk("repeat", create, service="n-create")
    assert got.said == 0
    assert [one.what for one in got.fault.acts] == ["N-CREATE repeated, nothing else: 0111"]


def test_an_object_comes_on_two_associations_at_once():
    got = talk("rival", store, times=1)
    assert got.said[1] == "0000"
    assert sorted([got.said[0], got.fault.acts[0].what[-4:]]) == ["0000", "0111"]
    assert [sop for sop, _ in got.far.held].count("1.2.1") == 2
    assert got.far.held[0] == got.far.held[1]
    assert got.left == ""


def test_the_house_is_full():
    got = talk("full", store, limit=3)
    assert isinstance(got.said, Refused)
    assert "2/3/2" in str(got.said)
    assert [one.what for one in got.fault.acts] == ["3 associations; the next: 2/3/2"]
    assert got.left == ""


def test_a_house_that_is_never_full_proves_nothing():
    got = talk("full", store, limit=30, most=5)
    assert got.said == ["0000", "0000"]
    assert got.fault.count == 0


@pytest.mark.parametrize(
    ("what", "result"),
    [("user-rejection", 1), ("no-reason", 2), ("abstract-syntax", 3), ("transfer-syntax", 4)],
)
def test_no_context_is_accepted(what, result):
    got = talk("contexts", store, what=what)
    assert isinstance(got.said, WireError | LocalProtocolError)
    assert got.far.held == []
    assert [one.what for one in got.fault.acts] == [f"4 contexts answered {result}"]


def test_one_context_is_not_accepted():
    got = talk("contexts", store, which="first")
    assert isinstance(got.said, WireError | LocalProtocolError)
    assert got.fault.acts[0].what == "1 contexts answered 3"


def test_only_the_plainest_transfer_syntax():
    got = talk("contexts", store, what="implicit-only")
    assert got.said == ["0000", "0000"]
    assert got.far.syntaxes == [IMPLICIT_LE, IMPLICIT_LE], "the sender wrote the object again"
    assert got.far.held[0][1] == OBJECT


def test_a_context_that_cannot_be_plain_is_answered_too():
    got = talk("contexts", store, what="implicit-only", syntaxes=[EXPLICIT_LE])
    assert isinstance(got.said, WireError | LocalProtocolError)
    assert got.far.held == []
    assert got.fault.count == 1


@pytest.mark.parametrize(("what", "overhead"), [("one-byte", 7), ("two-bytes", 4)])
def test_a_byte_or_two_at_a_time(what, overhead):
    got = talk("malformed", store, times=1, what=what)
    assert got.said == ["0000", "0000"]
    assert [one for _, one in got.far.held] == [OBJECT, OBJECT]
    assert got.fault.acts[0].bytes > overhead * len(DATA)


@pytest.mark.parametrize("what", ["wrong-context", "interleaved", "oversized", "endless-length"])
def test_a_broken_form_ends_the_association_and_nothing_else(what):
    got = talk("malformed", store, what=what)
    assert isinstance(got.said, WireError)
    assert got.far.held == []
    assert got.fault.count == 1
    assert got.left == ""


def test_behind_the_first_object():
    got = talk("malformed", store, what="interleaved", after=1)
    assert [sop for sop, _ in got.far.held] == ["1.2.1"]
