"""What the load generator measured: second by second, transaction by transaction, in files that add up.

Each process writes one file, ``measures-HOST-PID.jsonl``. Times fall into buckets whose borders are 7 % apart, so that a day of
a million requests is a few kilobytes, and files of several workers are added without losing a percentile.
"""

from __future__ import annotations

import json
import math
import os
import socket
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

Outcome = Literal["ok", "failed", "refused", "unknown"]
"""Answered as it should be; answered wrong; answered no; not answered, so that nobody can say what became of it."""
PATTERN: Final = "measures-*.jsonl"
SMALLEST: Final = 1e-5
"""Seconds below which times are not told apart."""
STEP: Final = 1.07
_LOG: Final = math.log(STEP)


def bucket(seconds: float) -> int:
    """Return the bucket of a time in seconds."""
    return max(0, math.floor(math.log(seconds / SMALLEST) / _LOG)) if seconds > SMALLEST else 0


def upper(number: int) -> float:
    """Return the upper border of a bucket, in seconds: what a percentile says, never too little."""
    return SMALLEST * STEP ** (number + 1)


@dataclass
class Row:
    """What one second (or several) saw of one transaction.

    Attributes:
        late: how long after it was due a request was begun, by bucket; ``took``: how long it took, from when it was due.
    """

    count: int = 0
    failed: int = 0
    refused: int = 0
    unknown: int = 0
    bytes: int = 0
    late_max: float = 0.0
    took: Counter[int] = field(default_factory=Counter)
    late: Counter[int] = field(default_factory=Counter)

    @property
    def bad(self) -> int:
        """How many were not answered as they should be."""
        return self.failed + self.refused + self.unknown

    def note(self, took: float, outcome: Outcome, nbytes: int, late: float) -> None:
        """Add one request."""
        self.count += 1
        if outcome != "ok":
            setattr(self, outcome, getattr(self, outcome) + 1)
        self.bytes += nbytes
        self.late_max = max(self.late_max, late)
        if outcome in {
            "ok",
            "unknown",
        }:  # a quick no must not make a system look fast; silence took as long as it was waited for
            self.took[bucket(took)] += 1
        self.late[bucket(late)] += 1

    def add(self, other: Row) -> None:
        """Add what another row saw."""
        self.count += other.count
        self.failed += other.failed
        self.refused += other.refused
        self.unknown += other.unknown
        self.bytes += other.bytes
        self.late_max = max(self.late_max, other.late_max)
        self.took += other.took
        self.late += other.late

    def percentile(self, share: float) -> float:
        """Return the time in seconds that ``share`` (0 to 1) of the requests did not exceed; NaN without any."""
        return quantile(self.took, share)

    def to_json(self) -> dict[str, Any]:
        """Return what a line of the file says."""
        said = {"count": self.count, "failed": self.failed, "refused": self.refused, "unknown": self.unknown}
        buckets = {"took": dict(self.took), "late": dict(self.late)}
        return said | {"bytes": self.bytes, "late_max": round(self.late_max, 4)} | buckets

    @classmethod
    def of(cls, told: dict[str, Any]) -> Row:
        """Read what a line says."""
        count, failed, refused, unknown, size = (
            int(told[key]) for key in ("count", "failed", "refused", "unknown", "bytes")
        )
        took, late = (Counter({int(at): int(n) for at, n in told[key].items()}) for key in ("took", "late"))
        return cls(count, failed, refused, unknown, size, float(told["late_max"]), took, late)


def quantile(histogram: Counter[int], share: float) -> float:
    """Return the upper border of the bucket that holds the quantile; NaN of an empty histogram."""
    wanted, seen = share * histogram.total(), 0
    if not wanted:
        return math.nan
    for at in sorted(histogram):
        seen += histogram[at]
        if seen >= wanted:
            return upper(at)
    return upper(max(histogram))


class Measures:
    """Takes down what one process measures; :meth:`tick` writes out what is complete."""

    def __init__(self, folder: Path, name: str = "") -> None:
        """Write below ``folder``; ``name`` is the process when it is not the host's name and our process id."""
        folder.mkdir(parents=True, exist_ok=True)
        name = name or f"{socket.gethostname()}-{os.getpid()}"
        self._file = (folder / f"measures-{name}.jsonl").open("a", encoding="utf-8", buffering=1)
        self._rows: dict[tuple[int, str, str], Row] = {}

    def note(
        self,
        name: str,
        took: float,
        *,
        at: float,
        outcome: Outcome = "ok",
        nbytes: int = 0,
        late: float = 0.0,
        group: str = "",
    ) -> None:
        """Take down one request that ended ``at`` seconds into the run and took ``took`` seconds."""
        key = (int(at), name, group)
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = Row()
        row.note(took, outcome, nbytes, late)

    def generator(self, at: float, *, cpu: float, lag: float, rss: int, backlog: int) -> None:
        """Take down how the generator itself fares: share of a core, largest lag in seconds, bytes, arrivals not begun."""
        told = {"cpu": round(cpu, 4), "lag": round(lag, 4), "rss": rss, "backlog": backlog}
        self._file.write(json.dumps({"second": int(at), "generator": told}) + "\n")

    def tick(self, now: float) -> None:
        """Write out every second that is over ``now`` seconds into the run."""
        for key in [key for key in self._rows if key[0] < int(now)]:
            second, name, group = key
            line = {"second": second, "name": name, "group": group} | self._rows.pop(key).to_json()
            self._file.write(json.dumps(line) + "\n")

    def close(self) -> None:
        """Write out everything and close the file."""
        self.tick(max((key[0] for key in self._rows), default=0) + 1)
        self._file.close()


@dataclass
class Series:
    """What all processes of a run measured, added up.

    Attributes:
        rows: by transaction, group and second.
        generators: what each process (its file's name) said of itself, in order.
        torn: lines that could not be read; the last one of a process that was killed.
    """

    rows: dict[str, dict[str, dict[int, Row]]] = field(default_factory=dict)
    generators: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    torn: int = 0

    @classmethod
    def read(cls, folder: Path) -> Series:
        """Add up all files of a folder."""
        series = cls()
        for path in sorted(folder.glob(PATTERN)):
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    series._take(path.stem.removeprefix("measures-"), json.loads(line))
                except (ValueError, KeyError, TypeError):
                    series.torn += 1
        return series

    def _take(self, process: str, told: dict[str, Any]) -> None:
        if "generator" in told:
            line = {"second": told["second"], **told["generator"]}
            self.generators.setdefault(process, []).append(line)
            return
        seconds = self.rows.setdefault(told["name"], {}).setdefault(told["group"], {})
        seconds.setdefault(int(told["second"]), Row()).add(Row.of(told))

    def names(self) -> list[str]:
        """Return every transaction that was measured."""
        return sorted(self.rows)

    def groups(self, name: str) -> list[str]:
        """Return the groups of a transaction, such as modalities."""
        return sorted(self.rows.get(name, {}))

    def seconds(self, name: str, group: str | None = None) -> dict[int, Row]:
        """Return a transaction second by second, all its groups or one."""
        merged: dict[int, Row] = {}
        for each, rows in self.rows.get(name, {}).items():
            if group is None or each == group:
                for second, row in rows.items():
                    merged.setdefault(second, Row()).add(row)
        return dict(sorted(merged.items()))

    def total(self, name: str, group: str | None = None, *, begin: float = 0, end: float = math.inf) -> Row:
        """Return a transaction over the seconds from ``begin`` up to ``end``."""
        return summed(row for second, row in self.seconds(name, group).items() if begin <= second < end)

    @property
    def last(self) -> int:
        """The last second of which anything was measured; -1 without any."""
        seconds = (second for one in self.rows.values() for rows in one.values() for second in rows)
        return max(seconds, default=-1)


def summed(rows: Iterable[Row]) -> Row:
    """Return several rows as one."""
    total = Row()
    for row in rows:
        total.add(row)
    return total
