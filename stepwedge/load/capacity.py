"""How much load a system carries: double it until a gate breaks, halve the bracket, look again at the knee. Pure: ``run_at`` drives.

A run that nobody can tell is no answer. It is repeated once; when it stays so, the search ends there and says whose fault it was:
a generator that is saturated shows its own limit, not that of the systems under test.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stepwedge.load.gates import Gate

Side = Literal["system", "generator", "unknown", ""]
LEAST: Final = 1 / 8
"""Below this share of the load it was asked to begin with, a system does not carry the load at all."""


class Judged(Protocol):
    """What a run at some load came to; :class:`stepwedge.load.verdict.Verdict` is one."""

    @property
    def word(self) -> str:
        """``met``, ``missed`` or ``untold``."""
        ...

    @property
    def first(self) -> str:
        """The first gate that was not met, as a sentence; empty when all were."""
        ...

    @property
    def side(self) -> Side:
        """Whose fault it was that it was not met."""
        ...


@dataclass(frozen=True, slots=True)
class Step:
    """One run of the search: at how many times the load, and what came of it."""

    times: float
    word: str
    first: str = ""
    side: Side = ""


@dataclass(frozen=True)
class Capacity:
    """What the search found.

    Attributes:
        holds: the highest multiple at which every gate was met, and met again; 0 when none was.
        breaks: the lowest at which one was missed; None when none was up to ``most``.
        word: ``found`` (bracketed and repeated), ``more`` (nothing broke up to the most), ``less`` (it breaks at the least) or
            ``untold``.
    """

    holds: float
    breaks: float | None
    word: Literal["found", "more", "less", "untold"]
    first: str
    side: Side
    steps: tuple[Step, ...] = ()
    what: str = "the load"

    @property
    def exit_code(self) -> int:
        """0 when it is known how much is held, or that it is at least the most; 1 when not even the least; 2 when nobody can tell."""
        return {"found": 0, "more": 0, "less": 1, "untold": 2}[self.word]

    @property
    def sentence(self) -> str:
        """The result as one sentence."""
        if self.word == "untold":
            held = f"it holds at least {self.holds:.2g} times {self.what}, and " if self.holds else ""
            return f"{held}beyond that nobody can tell, cause side: {self.side or 'unknown'}: {self.first}"
        if self.word == "less":
            return f"does not hold {self.breaks:.2g} times {self.what}; first to break: {self.first}; cause side: {self.side}"
        if self.word == "more":
            return f"holds at least {self.holds:.2g} times {self.what}; nothing broke"
        return f"holds {self.holds:.2g} times {self.what}, breaks at {self.breaks:.2g}; first to break: {self.first}; cause side: {self.side}"


@dataclass
class _Search:
    run_at: Callable[[float], Judged]
    steps: list[Step] = field(default_factory=list)

    def at(self, times: float) -> Step:
        """Run once, and once more when nobody could tell."""
        for _ in range(2):
            judged = self.run_at(times)
            step = Step(times, judged.word, judged.first, judged.side)
            self.steps.append(step)
            if step.word in {"met", "missed"}:
                break
        return step

    def held(self, below: float) -> float:
        """Return the highest multiple below another at which every gate was met; 0 when there is none."""
        return max((one.times for one in self.steps if one.word == "met" and one.times < below), default=0.0)


def find(
    run_at: Callable[[float], Judged],
    *,
    start: float = 1.0,
    most: float = 64.0,
    precision: float = 0.1,
    repeats: int = 1,
    what: str = "the load",
) -> Capacity:
    """Return how many times the load is held; ``run_at`` drives one run at a multiple of it and judges it.

    The bracket is narrowed until its ends are ``precision`` apart (a share of the lower one). What was met there is run ``repeats``
    times more; when it is then missed, the search goes on below.
    """
    search = _Search(run_at)
    low, high, odd = _bracket(search, start, most)
    while odd is None:
        if high is None or not low:
            return _told(search, low, high, "less" if high else "more", what)
        low, high, odd = _bisect(search, low, high, precision)
        if odd is None and (odd := _again(search, low, repeats)) is None:
            return _told(search, low, high, "found", what)
        if odd.word == "missed":  # what was held once is not held: the knee lies lower
            high, low, odd = odd, search.held(odd.times), None
            if not low:
                low, high, odd = _below(search, high, start)
    return Capacity(
        low, high.times if high else None, "untold", odd.first, odd.side, tuple(search.steps), what
    )


def _told(
    search: _Search, low: float, high: Step | None, word: Literal["found", "more", "less"], what: str
) -> Capacity:
    first, side = (high.first, high.side) if high else ("", "")
    return Capacity(low, high.times if high else None, word, first, side, tuple(search.steps), what)


_Ends = tuple[float, Step | None, Step | None]
"""What is held, the step that broke, and the step at which nobody could tell."""


def _bracket(search: _Search, start: float, most: float) -> _Ends:
    """Double until something breaks; when the beginning already does, halve until something holds."""
    low, times = 0.0, start
    while True:
        step = search.at(times)
        if step.word == "missed":
            return (low, step, None) if low else _below(search, step, start)
        if step.word != "met":
            return low, None, step
        low = times
        if times >= most:
            return low, None, None
        times = min(times * 2, most)


def _below(search: _Search, broken: Step, start: float) -> _Ends:
    while broken.times > start * LEAST:
        step = search.at(broken.times / 2)
        if step.word == "met":
            return step.times, broken, None
        if step.word != "missed":
            return 0.0, broken, step
        broken = step
    return 0.0, broken, None


def _bisect(search: _Search, low: float, high: Step, precision: float) -> tuple[float, Step, Step | None]:
    while high.times / low > 1 + precision:
        step = search.at((low * high.times) ** 0.5)
        if step.word == "met":
            low = step.times
        elif step.word == "missed":
            high = step
        else:
            return low, high, step
    return low, high, None


def _again(search: _Search, times: float, repeats: int) -> Step | None:
    """Repeat what was held; return the step that refutes it, None when it stands."""
    for _ in range(repeats):
        step = search.at(times)
        if step.word != "met":
            return step
    return None


def side(gates: Sequence[Gate]) -> Side:
    """Tell whose fault it was that a run was not met."""
    if any(one.verdict == "untold" and one.generator and one.name != "machine" for one in gates):
        return "generator"
    if any(one.verdict == "missed" for one in gates):
        return "system"
    return "unknown" if any(one.verdict == "untold" for one in gates) else ""
