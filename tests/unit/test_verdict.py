"""Five words, one order, and nothing unknown ever becomes passed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwedge.errors import (
    Broken,
    Failed,
    Inconclusive,
    LinkLost,
    NoAnswer,
    Refused,
    RemoteProtocolError,
    Skipped,
)
from stepwedge.scenario.verdict import Verdict, blame, combine, raised

ORDER = ["failed", "broken", "inconclusive", "skipped", "passed"]
verdicts = st.lists(st.sampled_from(Verdict))


def test_an_empty_set_is_skipped():
    assert combine([]) is Verdict.SKIPPED


@given(verdicts)
def test_the_first_word_in_the_order_decides(some):
    expected = next((word for word in ORDER if word in some), "skipped")
    assert combine(some) == expected


@given(verdicts)
def test_passed_needs_at_least_one_and_nothing_else(some):
    assert (combine(some) is Verdict.PASSED) == (bool(some) and set(some) == {Verdict.PASSED})


@given(verdicts, st.randoms())
def test_order_and_repetition_do_not_matter(some, random):
    shuffled = some * 2
    random.shuffle(shuffled)
    assert combine(shuffled) is combine(some)


@given(st.lists(verdicts, min_size=1))
def test_combining_parts_never_makes_the_whole_better(parts):
    whole = combine(verdict for part in parts for verdict in part)
    combined = combine(combine(part) for part in parts)
    assert ORDER.index(combined) <= ORDER.index(whole)


@given(verdicts, st.sampled_from(Verdict))
def test_one_more_verdict_never_makes_it_pass_again(some, more):
    before, after = combine(some), combine([*some, more])
    if before is not Verdict.PASSED and some:
        assert after is not Verdict.PASSED


@pytest.mark.parametrize(
    ("trouble", "verdict"),
    [
        (Failed("x"), "failed"),
        (Refused("AE"), "failed"),
        (RemoteProtocolError("x"), "failed"),
        (Inconclusive("x"), "inconclusive"),
        (LinkLost("x"), "inconclusive"),
        (NoAnswer("x"), "inconclusive"),
        (Skipped("x"), "skipped"),
        (Broken("x"), "broken"),
        (KeyError("x"), "broken"),
        (AssertionError("ours"), "broken"),
    ],
)
def test_who_is_to_blame(trouble, verdict):
    assert blame(trouble) == verdict


@pytest.mark.parametrize("verdict", Verdict)
def test_a_verdict_travels_as_an_exception_that_carries_its_word(verdict):
    trouble = raised(verdict, "why")
    if verdict is Verdict.PASSED:
        assert trouble is None
    else:
        assert trouble.verdict == verdict
        assert isinstance(trouble, AssertionError) == (verdict is Verdict.FAILED)
