"""A run compared with an earlier one of the same case: what became slower, what became faster, what breaks now.

Times fall into buckets 7 % wide, so that less than a tenth is no change.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from stepwedge.errors import BadInput
from stepwedge.load import watching
from stepwedge.load.measures import Series
from stepwedge.load.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOISE: Final = 0.1
"""Share below which a difference is none."""
LEAST: Final = 0.002
"""Seconds below which a time is not compared: what is quicker is not worth a word."""
_QUANTILES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


@dataclass(frozen=True, slots=True)
class Change:
    """One figure then and now.

    Attributes:
        unit: ``s``, ``share``, ``/s``, ``core``, ``bytes``.
        word: ``worse``, ``better``, ``same``, ``new`` (measured only now) or ``gone``.
    """

    name: str
    what: str
    before: float
    now: float
    unit: str
    word: Literal["worse", "better", "same", "new", "gone"]

    @property
    def ratio(self) -> float:
        """How many times as much it is now; NaN when that cannot be said."""
        return self.now / self.before if self.before else math.nan


def compare(folder: Path, other: Path) -> list[Change]:
    """Compare the run in ``folder`` with the one in ``other``; raises ``BadInput`` when they cannot be compared."""
    now, before = Plan.read(folder), Plan.read(other)
    for what in ("case", "times", "seconds", "images", "sample"):
        if (here := getattr(now, what)) != (there := getattr(before, what)):
            raise BadInput(str(other), f"a run with {what} {here}", str(there), "compare like with like")
    changes = list(
        _transactions(Series.read(folder / "measures"), Series.read(other / "measures"), now.seconds)
    )
    return [*changes, *_systems(watching.read(folder), watching.read(other), now.seconds)]


def worse(changes: list[Change]) -> list[Change]:
    """Return what became worse, the most first."""
    return sorted(
        (one for one in changes if one.word in {"worse", "gone"}),
        key=lambda one: -(one.ratio if one.ratio == one.ratio else math.inf),
    )


def _transactions(now: Series, before: Series, seconds: float) -> Iterator[Change]:
    for name in sorted({*now.names(), *before.names()}):
        here, there = now.total(name), before.total(name)
        fewest = min((row.count for row in (here, there) if row.count), default=0)
        for what, share in _QUANTILES.items():
            if fewest * (1 - share) < 1:
                continue  # a percentile of so few is the slowest one of them, which chance decides
            yield _change(name, what, there.percentile(share), here.percentile(share), "s", small=LEAST)
        bad = [row.bad / row.count if row.count else math.nan for row in (there, here)]
        yield _change(name, "errors", bad[0], bad[1], "share")
        yield _change(name, "rate", there.count / seconds, here.count / seconds, "/s", more_is_better=True)


def _systems(now: list[dict[str, Any]], before: list[dict[str, Any]], seconds: float) -> Iterator[Change]:
    here, there = (_used(lines, seconds) for lines in (now, before))
    for name, what in sorted({*here, *there}):
        unit = "core" if what == "cpu" else "bytes"
        yield _change(name, what, there.get((name, what), math.nan), here.get((name, what), math.nan), unit)


def _used(lines: list[dict[str, Any]], seconds: float) -> dict[tuple[str, str], float]:
    """Return the mean share of a core and the most memory of each system while the load ran."""
    seen: dict[tuple[str, str], list[float]] = {}
    for line in lines:
        if 0 <= line["second"] <= seconds:
            for name, used in line.get("processes", {}).items():
                for what in ("cpu", "rss"):
                    seen.setdefault((name, what), []).append(float(used[what]))
    return {
        key: max(values) if key[1] == "rss" else sum(values) / len(values) for key, values in seen.items()
    }


def _change(
    name: str,
    what: str,
    before: float,
    now: float,
    unit: str,
    *,
    more_is_better: bool = False,
    small: float = 0.0,
) -> Change:
    if math.isnan(before) or math.isnan(now):
        word: Literal["worse", "better", "same", "new", "gone"] = "same"
        if math.isnan(before) != math.isnan(now):
            word = "new" if math.isnan(before) else "gone"
    elif max(before, now) <= small or abs(now - before) <= NOISE * max(before, 1e-12):
        word = "same"
    else:
        word = "better" if (now > before) == more_is_better else "worse"
    return Change(name, what, before, now, unit, word)


def write(folder: Path, other: Path) -> list[Change]:
    """Write ``baseline.json`` into ``folder``, which its page shows, and return the changes."""
    from stepwedge.report.atomic import replace

    changes = compare(folder, other)
    told = {"with": str(other), "changes": [_json(one) for one in changes]}
    replace(folder / "baseline.json", json.dumps(told, indent=1) + "\n")
    return changes


def _json(one: Change) -> dict[str, Any]:
    told = {
        "name": one.name,
        "what": one.what,
        "before": one.before,
        "now": one.now,
        "unit": one.unit,
        "word": one.word,
    }
    return {
        key: None if isinstance(value, float) and math.isnan(value) else value for key, value in told.items()
    }
