"""The search for the knee is pure: any system, any liar, any tired generator can stand in for a run."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

import pytest

from stepwedge.load import capacity
from stepwedge.load.gates import Gate

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Run:
    """What a run came to."""

    word: str
    first: str = ""
    side: capacity.Side = ""


MET = Run("met")
MISSED = Run("missed", "95 % of 90 C-FIND worklist took at most 310 ms; the limit is 250 ms", "system")
TIRED = Run("untold", "load generator: 0.97 of a core, beyond 0.85", "generator")


def upto(knee: float) -> Callable[[float], Run]:
    """Return a system that holds what is below ``knee``."""
    return lambda times: MET if times <= knee else MISSED


@pytest.mark.parametrize("knee", [0.2, 0.9, 1.0, 2.7, 7.3, 40.0])
def test_the_knee_is_bracketed_to_a_tenth(knee: float) -> None:
    found = capacity.find(upto(knee), what="your Monday peak")
    assert found.word == "found"
    assert found.breaks is not None
    assert found.holds <= knee < found.breaks <= found.holds * 1.1001
    assert found.exit_code == 0
    assert found.sentence.startswith(f"holds {found.holds:.2g} times your Monday peak")
    assert "C-FIND worklist" in found.sentence
    assert found.sentence.endswith("cause side: system")


def test_it_costs_few_runs() -> None:
    assert len(capacity.find(upto(2.7)).steps) <= 8


def test_the_knee_is_looked_at_again() -> None:
    found = capacity.find(upto(2.7), repeats=2)
    assert sum(one.times == found.holds for one in found.steps) == 3


def test_what_held_once_by_chance_is_not_held() -> None:
    """A system that lies the first time it is asked is found at its true knee."""
    seen: set[float] = set()

    def lucky(times: float) -> Run:
        first = times not in seen
        seen.add(times)
        return MET if times <= 1 or (times <= 2 and first) else MISSED

    found = capacity.find(lucky)
    assert found.holds <= 1.1
    assert found.breaks is not None
    assert found.breaks <= 2


def test_a_system_that_carries_nothing() -> None:
    found = capacity.find(lambda _: MISSED)
    assert (found.word, found.holds, found.exit_code) == ("less", 0, 1)
    assert found.sentence.startswith("does not hold")


def test_nothing_breaks() -> None:
    found = capacity.find(lambda _: MET, most=8)
    assert (found.word, found.holds, found.breaks, found.exit_code) == ("more", 8, None, 0)
    assert "nothing broke" in found.sentence


def test_a_saturated_generator_is_not_the_systems_limit() -> None:
    found = capacity.find(lambda times: MET if times <= 4 else TIRED)
    assert (found.word, found.holds, found.side, found.exit_code) == ("untold", 4, "generator", 2)
    assert "nobody can tell" in found.sentence
    assert [one.times for one in found.steps][-2:] == [8, 8], "it is asked once more before giving up"


def test_one_run_that_nobody_can_tell_is_repeated() -> None:
    hiccup = count()
    found = capacity.find(lambda times: TIRED if next(hiccup) == 1 else upto(2.7)(times))
    assert found.word == "found"
    assert found.holds <= 2.7


def test_nothing_is_known_when_not_even_the_first_run_tells() -> None:
    found = capacity.find(lambda _: TIRED)
    assert (found.word, found.holds, found.exit_code) == ("untold", 0, 2)


def test_trouble_within_the_bracket_ends_the_search_with_what_is_known() -> None:
    found = capacity.find(lambda times: TIRED if 2 < times < 4 else upto(3)(times))
    assert (found.word, found.holds, found.breaks) == ("untold", 2, 4)


def test_whose_fault_it_was() -> None:
    tired = Gate("saturation", "cpu", "untold", "", 0.85, 0.97, generator=True)
    slow = Gate("C-STORE", "p95", "missed", "", 1, 2)
    dark = Gate("C-STORE", "count", "untold", "", 1, 0)
    assert capacity.side([tired, slow]) == "generator"
    assert capacity.side([slow, dark]) == "system"
    assert capacity.side([dark]) == "unknown"
    assert capacity.side([]) == ""
