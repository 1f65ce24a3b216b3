"""The search for what is carried: it brackets, narrows, looks again, and believes nobody who cannot tell."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pytest

from stepwedge.load import capacity, gates


@dataclass
class Told:
    """What a run came to, made up."""

    word: str
    first: str = ""
    side: str = ""


def system(holds, first="95 % of the worklist took 2.3 s"):
    return lambda times: Told("met") if times <= holds else Told("missed", first, "system")


@pytest.mark.parametrize("holds", [1.0, 1.3, 2.7, 11.0, 63.0])
def test_the_knee_is_found_within_a_tenth(holds):
    found = capacity.find(system(holds), what="your Monday peak")
    assert found.word == "found"
    assert found.holds <= holds < found.breaks <= found.holds * 1.1 + 1e-9
    assert found.exit_code == 0
    assert f"holds {found.holds:.2g} times your Monday peak" in found.sentence
    assert found.sentence.endswith("first to break: 95 % of the worklist took 2.3 s; cause side: system")


def test_what_is_held_was_run_twice():
    found = capacity.find(system(2.7))
    runs = Counter(one.times for one in found.steps if one.word == "met")
    assert runs[found.holds] == 2


def test_a_system_that_holds_less_than_was_asked_is_searched_downwards():
    found = capacity.find(system(0.3))
    assert found.word == "found"
    assert 0.27 < found.holds <= 0.3


def test_a_system_that_holds_nothing_says_so():
    found = capacity.find(system(0.01))
    assert (found.word, found.holds, found.exit_code) == ("less", 0, 1)
    assert "does not hold 0.12 times the load" in found.sentence


def test_the_search_ends_at_the_most():
    found = capacity.find(system(1000), most=16)
    assert (found.word, found.holds, found.breaks, found.exit_code) == ("more", 16, None, 0)
    assert len(found.steps) == 5


def test_a_generator_at_its_end_is_not_the_system_s_limit():
    def run(times):
        return Told("met") if times < 5 else Told("untold", "0.97 of a core", "generator")

    found = capacity.find(run)
    assert (found.word, found.holds, found.exit_code) == ("untold", 4, 2)
    assert "cause side: generator: 0.97 of a core" in found.sentence
    assert [one.times for one in found.steps][-2:] == [8, 8]  # asked twice before it was believed


def test_one_run_that_nobody_can_tell_is_repeated():
    told = iter(["untold"])

    def run(times):
        word = next(told, "met") if times == 2 else "met"
        return Told(word if times <= 3 else "missed", "slow", "system")

    assert capacity.find(run).word == "found"


def test_a_system_that_was_lucky_once_is_found_out():
    seen = Counter()

    def run(times):
        seen[times] += 1
        return (
            Told("met")
            if times <= 2 or (seen[times] == 1 and times < 3)
            else Told("missed", "slow", "system")
        )

    found = capacity.find(run)
    assert found.word == "found"
    assert found.holds <= 2
    assert seen[found.holds] >= 2


def test_a_system_that_holds_nothing_a_second_time_ends_the_search():
    seen = Counter()

    def run(times):
        seen[times] += 1
        return Told("met") if seen[times] == 1 else Told("missed", "worn out", "system")

    found = capacity.find(run, most=2)
    assert found.word in {"more", "less", "found"}
    assert len(found.steps) < 40


def test_a_stub_that_always_says_met_is_not_believed_beyond_what_it_ran():
    found = capacity.find(lambda _times: Told("met"), most=4)
    assert found.word == "more"
    assert "at least 4 times" in found.sentence


def gate(verdict, generator=False):
    return gates.Gate("x", "p95", verdict, "", 1, generator=generator)


@pytest.mark.parametrize(
    ("found", "side"),
    [
        ([gate("met")], ""),
        ([gate("missed")], "system"),
        ([gate("untold")], "unknown"),
        ([gate("untold", generator=True), gate("missed")], "generator"),
    ],
)
def test_whose_fault_it_was(found, side):
    assert capacity.side(found) == side
