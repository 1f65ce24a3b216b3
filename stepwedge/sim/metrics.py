"""What a simulated system counts for Prometheus: its exchanges by kind and result, how long they took, what its process uses.

The text format is 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats). Identifiers never become labels: a label for each
study would fill any store of metrics, and nobody's number belongs there.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from stepwedge.evidence.exchange import Exchange

BORDERS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper borders of the buckets, in seconds."""
MOST: Final = 500
"""Series of one system: what strangers send must not make more of them."""
OTHER: Final = "other"
_NOBODY: Final = frozenset({"lost", "timeout"})
_TAKEN: Final = frozenset({"AA", "CA", "0000", "done", "passed"})
_TICKS: Final = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_PAGE: Final = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096

Series = tuple[str, str, str, str]
"""Protocol, direction, kind and result."""


def result(outcome: str) -> str:
    """Return ``ok``, ``refused`` or ``unanswered`` for what an exchange came to."""
    if outcome in _NOBODY:
        return "unanswered"
    # Warnings Bxxx and pending FFxx of DIMSE (PS3.7 annex C), and HTTP 2xx and 3xx, took what was sent.
    taken = outcome in _TAKEN or outcome[:1] == "B" or outcome[:2] == "FF"
    return "ok" if taken or (outcome[:1] in "23" and len(outcome) == 3) else "refused"  # noqa: PLR2004 - an HTTP status has three digits


@dataclass(slots=True)
class Counted:
    """How often something happened, and how long it took: a histogram."""

    buckets: list[int] = field(default_factory=lambda: [0] * (len(BORDERS) + 1))
    seconds: float = 0.0

    def add(self, took: float) -> None:
        """Count one that took so many seconds."""
        self.buckets[bisect_left(BORDERS, took)] += 1
        self.seconds += took


@dataclass(slots=True)
class Counts:
    """The exchanges of one system."""

    series: dict[Series, Counted] = field(default_factory=dict)

    def add(self, exchange: Exchange) -> None:
        """Count an exchange; a kind beyond the most is counted as another."""
        key = (exchange.protocol, exchange.direction, exchange.kind, result(exchange.outcome))
        counted = self.series.get(key)
        if counted is None:
            if len(self.series) >= MOST:
                key = (key[0], key[1], OTHER, key[3])
            counted = self.series.setdefault(key, Counted())
        counted.add(exchange.took)


def exchanges(counts: Mapping[str, Counts]) -> Iterator[str]:
    """Write the histograms of several systems."""
    name = "stepwedge_exchange_seconds"
    yield f"# HELP {name} How long exchanges took, as the system named actor saw them."
    yield f"# TYPE {name} histogram"
    for actor, one in counts.items():
        for (protocol, direction, kind, came), counted in one.series.items():
            pairs = {
                "actor": actor,
                "protocol": protocol,
                "direction": direction,
                "kind": kind,
                "result": came,
            }
            labels, seen = _labels(pairs), 0
            for border, count in zip(
                (*(f"{one:g}" for one in BORDERS), "+Inf"), counted.buckets, strict=True
            ):
                seen += count
                yield f'{name}_bucket{{{labels},le="{border}"}} {seen}'
            yield f"{name}_sum{{{labels}}} {counted.seconds:.6f}"
            yield f"{name}_count{{{labels}}} {seen}"


def process(proc: Path = Path("/proc/self")) -> Iterator[str]:
    """Write what this process uses, under the names that Prometheus has for it; nothing where the kernel does not tell."""
    try:
        stat = (proc / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        files = sum(1 for _ in (proc / "fd").iterdir())
        cpu = (int(stat[11]) + int(stat[12])) / _TICKS  # fields of proc(5), counted from behind the name
        threads, memory = int(stat[17]), int(stat[21]) * _PAGE
    except (OSError, ValueError, IndexError):
        return
    told = (
        ("process_cpu_seconds_total", "counter", f"{cpu:.2f}"),
        ("process_resident_memory_bytes", "gauge", memory),
        ("process_open_fds", "gauge", files),
        ("process_threads", "gauge", threads),
    )
    for name, kind, value in told:
        yield f"# TYPE {name} {kind}"
        yield f"{name} {value}"


def text(lines: Iterable[str]) -> str:
    """Return lines as one exposition."""
    return "\n".join(lines) + "\n"


def _labels(pairs: Mapping[str, str]) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in pairs.items())


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
