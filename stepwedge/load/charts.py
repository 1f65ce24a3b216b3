"""Charts of a load run as geometry: what the page's template draws as SVG. Pure.

All charts of a page share one axis: real seconds of the run, labelled with the clinical time that passes in them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from stepwedge.load.measures import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from stepwedge.load.plan import Plan

WIDTH, LEFT, RIGHT = 300, 44, 8
TOP, HEIGHT, GAP, BARS = 8, 92, 10, 30
"""The plot of times, and the one of counts below it: two plots over one axis, not one with two."""
BINS, FEWEST, EACH = 60, 16, 4
"""Parts of the axis at most and at least; where requests are few, each part is wide enough for some of them."""
_DAY: Final = 24 * 60


@dataclass(frozen=True, slots=True)
class Bin:
    """Some seconds of the run and what they saw."""

    begin: float
    end: float
    row: Row


@dataclass(frozen=True, slots=True)
class Line:
    """One line: its CSS class, its name for the legend, its path, and the points of lonely bins."""

    kind: str
    name: str
    path: str
    dots: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar; ``bad`` is the height of the part that went wrong."""

    x: float
    y: float
    width: float
    height: float
    bad: float = 0.0


@dataclass
class Chart:
    """One drawing.

    Attributes:
        ticks: of the left axis, as (y, text); ``clock`` of the axis below, as (x, text).
        bands: parts of the run to tell apart, as (x, width, name).
        limit: where the limit lies, and what it says; None when it is far above all that was seen.
        hits: what is shown over a place, as (x, width, text).
    """

    title: str
    said: str = ""
    word: str = ""
    lines: list[Line] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    ticks: list[tuple[float, str]] = field(default_factory=list)
    clock: list[tuple[float, str]] = field(default_factory=list)
    bands: list[tuple[float, float, str]] = field(default_factory=list)
    limit: tuple[float, str] | None = None
    hits: list[tuple[float, float, str]] = field(default_factory=list)
    bars_top: str = ""
    width: int = WIDTH
    height: int = TOP + HEIGHT + GAP + BARS + 22
    floor: float = TOP + HEIGHT
    base: float = TOP + HEIGHT + GAP + BARS


@dataclass(frozen=True)
class Axis:
    """The axis below all charts of a run."""

    plan: Plan
    length: float

    def x(self, at: float) -> float:
        """Return where a second lies."""
        return round(LEFT + (WIDTH - LEFT - RIGHT) * min(max(at / self.length, 0.0), 1.0), 1)

    def clock(self, at: float) -> str:
        """Return the time of day that a second stands for; real minutes where a phase stands for no hour of its own."""
        phase = self.plan.phase(min(at, self.plan.seconds))
        if phase.busy:
            return f"{int(at) // 60}:{int(at) % 60:02d}"
        minutes = int((phase.first + (min(at, phase.end) - phase.begin) * phase.compress) / 60 + 0.5)
        return f"{minutes % _DAY // 60:02d}:{minutes % 60:02d}"

    def labels(self) -> list[tuple[float, str]]:
        """Return a label at the beginning, in the middle and at the end of what was driven."""
        return [(self.x(at), self.clock(at)) for at in (0, self.plan.seconds / 2, self.plan.seconds)]

    def bands(self) -> list[tuple[float, float, str]]:
        """Return every other phase, the time in which what began came to its end, and an outage."""
        found = [(one.begin, one.end, one.name) for one in self.plan.phases[1::2]]
        if self.length > self.plan.seconds:
            found.append((self.plan.seconds, self.length, "ending"))
        if self.plan.outage:
            begin, end = (self.plan.seconds * float(self.plan.outage[key]) for key in ("from", "to"))
            found.append((begin, end, f"{self.plan.outage['on']} off"))
        return [(self.x(begin), round(self.x(end) - self.x(begin), 1), name) for begin, end, name in found]

    def bins(self, rows: Mapping[int, Row], most: int = BINS) -> list[Bin]:
        """Gather seconds into at most so many parts of whole seconds, empty ones too."""
        wide = max(1, math.ceil(self.length / most))
        found = [Bin(begin, begin + wide, Row()) for begin in range(0, max(1, math.ceil(self.length)), wide)]
        for second, row in rows.items():
            if 0 <= second // wide < len(found):
                found[second // wide].row.add(row)
        return found


def nice(value: float) -> float:
    """Return the next of 1, 2, 5, 10, ... that is not below a value."""
    if not value > 0 or math.isinf(value):
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value * (1 - 1e-9))


def y(value: float, top: float) -> float:
    """Return where a value lies in the upper plot."""
    return round(TOP + HEIGHT * (1 - min(value / top, 1.0)), 1)


def path(points: Iterable[tuple[float, float]]) -> tuple[str, tuple[tuple[float, float], ...]]:
    """Return a path through points, broken where one is NaN, and the points that stand alone."""
    told, lonely = [], []
    run: list[tuple[float, float]] = []
    for x_, y_ in [*points, (0.0, math.nan)]:
        if not math.isnan(y_):
            run.append((x_, y_))
            continue
        if len(run) == 1:
            lonely += run
        elif run:
            told.append("M" + " L".join(f"{a} {b}" for a, b in run))
        run = []
    return " ".join(told), tuple(lonely)


def times(
    axis: Axis, title: str, rows: Mapping[int, Row], limit: float | None, write: Callable[[float], str]
) -> Chart:
    """Draw a transaction: how long it took (p50, p95, p99) above, how many there were and how many went wrong below."""
    few = sum(row.count for row in rows.values()) // EACH
    bins = axis.bins(rows, min(max(few, FEWEST), BINS))
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
    found = {name: [one.row.percentile(share) for one in bins] for name, share in shares.items()}
    highest = max((value for value in found["p99"] if value == value), default=1.0)  # noqa: PLR0124 - NaN
    near = limit is not None and limit <= 3 * highest
    top = nice(max(highest, limit or 0.0) if near else highest)
    chart = _frame(axis, title, top, write)
    if near and limit is not None:
        chart.limit = (y(limit, top), f"limit {write(limit)}")
    middles = [axis.x((one.begin + one.end) / 2) for one in bins]
    for name, values in found.items():
        drawn, dots = path(
            [
                (x_, y(value, top) if not math.isnan(value) else value)
                for x_, value in zip(middles, values, strict=True)
            ]
        )
        chart.lines.append(Line(name, name, drawn, dots))
    _counts(axis, chart, bins)
    for one, *values in zip(bins, *found.values(), strict=True):
        if one.row.count:
            told = ", ".join(f"{name} {write(value)}" for name, value in zip(found, values, strict=True))
            chart.hits.append(
                _hit(
                    axis,
                    one,
                    f"{axis.clock(one.begin)}: {one.row.count} requests, {told}, {one.row.bad} wrong",
                )
            )
    return chart


def counts(
    axis: Axis,
    title: str,
    rows: Mapping[int, Row],
    unit: str,
    of: Callable[[Row], float],
    *,
    bad: bool = True,
) -> Chart:
    """Draw how many a second (or how much, by ``of``), with the share that went wrong."""
    bins = axis.bins(rows)
    rates = [of(one.row) / (one.end - one.begin) for one in bins]
    top = nice(max(rates, default=0.0))
    chart = _frame(axis, title, top, lambda value: f"{value:g}")
    for one, rate in zip(bins, rates, strict=True):
        at = y(rate, top)
        wrong = (chart.floor - at) * one.row.bad / one.row.count if bad and one.row.count else 0.0
        chart.bars.append(
            Bar(
                axis.x(one.begin) + 0.5,
                at,
                max(axis.x(one.end) - axis.x(one.begin) - 1, 0.6),
                round(chart.floor - at, 1),
                round(wrong, 1),
            )
        )
        more = f", {one.row.bad} wrong" if bad else ""
        chart.hits.append(_hit(axis, one, f"{axis.clock(one.begin)}: {rate:.3g} {unit}{more}"))
    return _flat(chart)


def lines(
    axis: Axis,
    title: str,
    series: Mapping[str, Sequence[tuple[float, float]]],
    write: Callable[[float], str],
    limit: float | None = None,
) -> Chart:
    """Draw one line for each of a few things, as (second, value) points."""
    values = [value for points in series.values() for _, value in points]
    highest = max(values, default=0.0)
    near = limit is not None and limit <= 3 * highest
    top = nice(max(highest, limit or 0.0) if near else highest)
    chart = _frame(axis, title, top, write)
    if near and limit is not None:
        chart.limit = (y(limit, top), f"limit {write(limit)}")
    for number, (name, points) in enumerate(series.items()):
        drawn, dots = path([(axis.x(at), y(value, top)) for at, value in points if 0 <= at <= axis.length])
        peak = max((value for _, value in points), default=0.0)
        chart.lines.append(Line(f"s{number % 5}", f"{name}, at most {write(peak)}", drawn, dots))
    return _flat(chart)


def _frame(axis: Axis, title: str, top: float, write: Callable[[float], str]) -> Chart:
    chart = Chart(title, clock=axis.labels(), bands=axis.bands())
    chart.ticks = [(y(top * share, top), write(top * share)) for share in (0, 0.5, 1)]
    return chart


def _flat(chart: Chart) -> Chart:
    """Take away the lower plot."""
    chart.base, chart.height = chart.floor, chart.height - GAP - BARS
    return chart


def _hit(axis: Axis, one: Bin, text: str) -> tuple[float, float, str]:
    return (axis.x(one.begin), round(axis.x(one.end) - axis.x(one.begin), 1), text)


def _counts(axis: Axis, chart: Chart, bins: Sequence[Bin]) -> None:
    rates = [one.row.count / (one.end - one.begin) for one in bins]
    top = nice(max(rates, default=0.0))
    chart.bars_top = f"{top:g}/s"
    for one, rate in zip(bins, rates, strict=True):
        tall = BARS * rate / top
        bad = max(tall * one.row.bad / one.row.count, 1.5) if one.row.bad else 0.0
        chart.bars.append(
            Bar(
                axis.x(one.begin) + 0.5,
                round(chart.base - tall, 1),
                max(axis.x(one.end) - axis.x(one.begin) - 1, 0.6),
                round(tall, 1),
                round(bad, 1),
            )
        )
