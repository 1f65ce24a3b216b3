"""What a load measures: per second and kind of request how many, how fast, how late; and how the generator itself fared.

A process writes one JSON line per second and kind of request, and one of itself::

    {"second": 12, "name": "C-STORE", "group": "CT", "count": 61, "failed": 0, "refused": 0, "unknown": 0, "bytes": 32100000,
     "late_max": 0.004, "late": {"0": 58, "88": 3}, "took": {"101": 40, "102": 21}}
    {"second": 12, "generator": {"cpu": 0.21, "lag": 0.003, "rss": 91000000, "backlog": 0, "due": 5, "begun": {"exam": 5}}}

Times are counted in buckets of a histogram, each 7 % wider than the one before: bucket ``b`` begins at 10 us times 1.07 to the
power of ``b``. A request belongs to the second in which it ended. A percentile is the upper edge of its bucket, so it is at
most 7 % too long and never too short.

Only what was answered with success, and what was never answered, has a time: a quick *no* must not make a system look fast.
What was never answered counts with as long as it was waited for.
"""

from __future__ import annotations

import json
import math
import resource
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from stepwedge.clock import moment
from stepwedge.load.ledger import process_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Outcome = Literal["ok", "failed", "refused", "unknown"]
"""Answered with success; not done for a reason of its own; answered with no; not answered at all."""
PATTERN: Final = "measures-*.jsonl"
SMALLEST: Final = 1e-5
GROWTH: Final = 1.07
_LOG: Final = math.log(GROWTH)
_PAGE: Final = resource.getpagesize()


def bucket(seconds: float) -> int:
    """Return the bucket of a time; 0 holds all that is too short to be told apart."""
    return 0 if seconds <= SMALLEST else int(math.log(seconds / SMALLEST) / _LOG)


def edge(number: int) -> float:
    """Return the upper edge of a bucket, in seconds."""
    return SMALLEST * float(GROWTH ** (number + 1))


@dataclass
class Row:
    """What happened to one kind of request in one second, or in many: rows add up.

    Attributes:
        took: how many requests by bucket of their time; ``late``: all requests by bucket of how late they were begun.
        late_max: the latest, in seconds.
    """

    count: int = 0
    failed: int = 0
    refused: int = 0
    unknown: int = 0
    bytes: int = 0
    late_max: float = 0.0
    late: Counter[int] = field(default_factory=Counter)
    took: Counter[int] = field(default_factory=Counter)

    def note(self, took: float, outcome: Outcome, nbytes: int, late: float) -> None:
        """Count one request."""
        self.count += 1
        self.bytes += nbytes
        self.late[bucket(late)] += 1
        self.late_max = max(self.late_max, late)
        if outcome in {"ok", "unknown"}:
            self.took[bucket(took)] += 1
        if outcome != "ok":
            setattr(self, outcome, getattr(self, outcome) + 1)

    def add(self, other: Row) -> None:
        """Add what another row counted."""
        self.count += other.count
        self.failed += other.failed
        self.refused += other.refused
        self.unknown += other.unknown
        self.bytes += other.bytes
        self.late_max = max(self.late_max, other.late_max)
        self.late.update(other.late)
        self.took.update(other.took)

    @property
    def ok(self) -> int:
        """How many were answered with success."""
        return self.count - self.failed - self.refused - self.unknown

    def percentile(self, percent: float) -> float | None:
        """Return the time that ``percent`` of the timed requests did not exceed; None when there was none."""
        return _percentile(self.took, percent)

    def lateness(self, percent: float) -> float | None:
        """Return how late, at most, ``percent`` of the requests were begun; None when there was none."""
        return _percentile(self.late, percent)

    def to_json(self) -> dict[str, Any]:
        """Return it as it is written."""
        return {
            "count": self.count,
            "failed": self.failed,
            "refused": self.refused,
            "unknown": self.unknown,
            "bytes": self.bytes,
            "late_max": round(self.late_max, 6),
            "late": {str(key): count for key, count in sorted(self.late.items())},
            "took": {str(key): count for key, count in sorted(self.took.items())},
        }

    @classmethod
    def of_json(cls, line: dict[str, Any]) -> Self:
        """Return what was written."""
        counts = {name: line[name] for name in ("count", "failed", "refused", "unknown", "bytes", "late_max")}
        late, took = (
            Counter({int(key): count for key, count in line[name].items()}) for name in ("late", "took")
        )
        return cls(**counts, late=late, took=took)


def _percentile(histogram: Counter[int], percent: float) -> float | None:
    left = math.ceil(histogram.total() * percent / 100)
    for number in sorted(histogram):
        left -= histogram[number]
        if left <= 0:
            return edge(number) if number else SMALLEST
    return None


class Measures:
    """Counts the requests of this process and writes each second down when it is over."""

    def __init__(self, folder: Path, began: float = 0.0, now: Callable[[], float] = moment) -> None:
        """Write into ``folder``; second 0 begins at ``began``, seconds since 1970, or now."""
        folder.mkdir(parents=True, exist_ok=True)
        self._file = (folder / f"measures-{process_name()}.jsonl").open("a", encoding="utf-8", buffering=1)
        self._now, self._began = now, began or now()
        self._second = self._at()
        self._rows: dict[tuple[str, str], Row] = {}
        self._begun: Counter[str] = Counter()
        self._due, self._lag = 0, 0.0
        self._cpu, self._wall = time.process_time(), time.monotonic()

    def _at(self) -> int:
        return math.floor(self._now() - self._began)

    def note(
        self,
        name: str,
        took: float,
        *,
        outcome: Outcome = "ok",
        nbytes: int = 0,
        late: float = 0.0,
        group: str = "",
    ) -> None:
        """Count one request that just ended.

        Args:
            name: its kind, such as ``C-STORE``.
            took: seconds since it was *due*.
            outcome: what came of it.
            nbytes: how many bytes of content it carried.
            late: seconds between due and begun.
            group: what requests of this kind are told apart by: the modality, ``STAT``.
        """
        row = self._rows.get((name, group))
        if row is None:
            row = self._rows[name, group] = Row()
        row.note(took, outcome, nbytes, late)

    def due(self, count: int = 1) -> None:
        """Count arrivals whose moment came, begun or not."""
        self._due += count

    def begun(self, kind: str) -> None:
        """Count an arrival that was begun."""
        self._begun[kind] += 1

    def lag(self, seconds: float) -> None:
        """Note how much later than asked this process woke up."""
        self._lag = max(self._lag, seconds)

    def tick(self, backlog: int = 0) -> None:
        """Write the seconds that are over; to be called about once a second.

        Args:
            backlog: arrivals that are due and not begun.
        """
        if (second := self._at()) == self._second:
            return
        self._write(backlog)
        self._second = second

    def _write(self, backlog: int) -> None:
        lines = [
            {"second": self._second, "name": name, "group": group, **row.to_json()}
            for (name, group), row in self._rows.items()
        ]
        cpu, wall = time.process_time(), time.monotonic()
        share = (cpu - self._cpu) / max(wall - self._wall, 1e-9)
        generator: dict[str, Any] = {"cpu": round(share, 4), "lag": round(self._lag, 6), "rss": _resident()}
        generator |= {"backlog": backlog, "due": self._due, "begun": dict(self._begun)}
        lines.append({"second": self._second, "generator": generator})
        self._file.write("".join(json.dumps(line) + "\n" for line in lines))
        self._rows, self._begun, self._due, self._lag = {}, Counter(), 0, 0.0
        self._cpu, self._wall = cpu, wall

    def close(self, backlog: int = 0) -> None:
        """Write what is left and close the file."""
        self._write(backlog)
        self._file.close()


def _resident() -> int:
    """Return the memory of this process in bytes; where the system does not tell, the most it ever had."""
    try:
        with open("/proc/self/statm", "rb") as told:  # noqa: PTH123  # every second: the cheap way
            return int(told.read().split()[1]) * _PAGE
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@dataclass(frozen=True, slots=True)
class Generator:
    """How one process of the load fared in one second: CPU as the share of a core, lag and so on as in the file."""

    process: str
    second: int
    cpu: float
    lag: float
    rss: int
    backlog: int
    due: int
    begun: dict[str, int]


@dataclass
class Series:
    """What all processes of a load measured, added up by second.

    A span of seconds includes ``from_`` and excludes ``to``; None is all there is. ``group`` None adds all groups up.
    """

    rows: dict[tuple[str, str], dict[int, Row]] = field(default_factory=dict)
    generator: list[Generator] = field(default_factory=list)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read all measures of a folder; a torn last line is passed over."""
        series = cls()
        for path in sorted(folder.glob(PATTERN)):
            process = path.stem.removeprefix("measures-")
            with path.open("rb") as file:
                for line in file:
                    if line.endswith(b"\n"):
                        series._add(process, json.loads(line))
        return series

    def _add(self, process: str, line: dict[str, Any]) -> None:
        second = line["second"]
        if "generator" in line:
            self.generator.append(Generator(process, second, **line["generator"]))
        else:
            seconds = self.rows.setdefault((line["name"], line["group"]), {})
            seconds.setdefault(second, Row()).add(Row.of_json(line))

    def names(self) -> list[str]:
        """Return the kinds of requests that were made."""
        return sorted({name for name, _ in self.rows})

    def groups(self, name: str) -> list[str]:
        """Return the groups of a kind of request."""
        return sorted(group for one, group in self.rows if one == name)

    def processes(self) -> dict[str, int]:
        """Return the last second that each process wrote down: one that ends early was lost."""
        last: dict[str, int] = {}
        for one in self.generator:
            last[one.process] = max(one.second, last.get(one.process, one.second))
        return last

    def last(self) -> int:
        """Return the last second of all; -1 when nothing was measured."""
        told = [one.second for one in self.generator] + [max(row) for row in self.rows.values() if row]
        return max(told, default=-1)

    def _spans(
        self, name: str, from_: float | None, to: float | None, group: str | None
    ) -> Iterator[tuple[int, Row]]:
        for (one, its), seconds in self.rows.items():
            if one == name and group in {None, its}:
                for second, row in seconds.items():
                    if (from_ is None or second >= from_) and (to is None or second < to):
                        yield second, row

    def counts(
        self, name: str, from_: float | None = None, to: float | None = None, group: str | None = None
    ) -> Row:
        """Return everything counted of a kind of request in a span, added up."""
        total = Row()
        for _, row in self._spans(name, from_, to, group):
            total.add(row)
        return total

    def percentile(
        self,
        name: str,
        percent: float,
        from_: float | None = None,
        to: float | None = None,
        group: str | None = None,
    ) -> float | None:
        """Return a percentile of the times in seconds, at most 7 % too long; None when nothing was timed."""
        return self.counts(name, from_, to, group).percentile(percent)

    def rate(
        self, name: str, from_: float | None = None, to: float | None = None, group: str | None = None
    ) -> float:
        """Return how many a second were made, on average over the span."""
        begin, end = 0 if from_ is None else from_, self.last() + 1 if to is None else to
        return self.counts(name, from_, to, group).count / (end - begin) if end > begin else 0.0

    def by_second(self, name: str, group: str | None = None) -> dict[int, Row]:
        """Return what was counted in each second in which anything was."""
        found: dict[int, Row] = {}
        for second, row in sorted(self._spans(name, None, None, group), key=lambda pair: pair[0]):
            found.setdefault(second, Row()).add(row)
        return found

    def begun(self, kind: str, from_: float | None = None, to: float | None = None) -> int:
        """Return how many arrivals of a kind were begun in a span."""
        return sum(
            one.begun.get(kind, 0)
            for one in self.generator
            if (from_ is None or one.second >= from_) and (to is None or one.second < to)
        )
