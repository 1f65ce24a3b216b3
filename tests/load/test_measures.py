"""Measures add up over seconds, kinds and processes, and never flatter."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from stepwedge.load.measures import Measures, Series, bucket, edge

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class Hands:
    """A clock that is moved by hand."""

    at: float = 1000.0

    def __call__(self) -> float:
        """Return what it shows."""
        return self.at


def test_a_time_lies_in_its_bucket() -> None:
    for seconds in (1e-5, 1.1e-5, 0.001, 0.25, 1.0, 60.0, 3600.0):
        assert seconds <= edge(bucket(seconds)) <= seconds * 1.0701 * 1.07
    assert bucket(0.0) == bucket(-1.0) == 0


def test_percentiles_are_at_most_seven_percent_too_long(tmp_path: Path) -> None:
    dice = random.Random(7)  # noqa: S311 - no secret
    times = sorted(dice.lognormvariate(-3, 1) for _ in range(5000))
    measures = Measures(tmp_path)
    for one in times:
        measures.note("C-STORE", one)
    measures.close()
    series = Series.read(tmp_path)
    for percent in (1, 50, 95, 99, 100):
        true = times[max(0, -(-len(times) * percent // 100) - 1)]
        told = series.percentile("C-STORE", percent)
        assert told is not None
        assert true <= told < true * 1.0701


def test_seconds_and_groups_are_told_apart(tmp_path: Path) -> None:
    clock = Hands()
    measures = Measures(tmp_path, began=1000.0, now=clock)
    measures.note("C-STORE", 0.1, nbytes=500, group="CT")
    measures.note("C-STORE", 0.2, nbytes=700, group="MR", late=0.5)
    measures.begun("exam")
    measures.due(2)
    measures.lag(0.02)
    measures.tick(backlog=1)
    assert Series.read(tmp_path).names() == []  # the second is not over
    clock.at = 1001.2
    measures.tick(backlog=1)
    measures.note("C-STORE", 0.4, group="CT")
    clock.at = 1005.0
    measures.tick()
    measures.close()
    series = Series.read(tmp_path)
    assert series.groups("C-STORE") == ["CT", "MR"]
    assert {second: row.count for second, row in series.by_second("C-STORE").items()} == {0: 2, 1: 1}
    assert series.counts("C-STORE").bytes == 1200
    assert series.counts("C-STORE", to=1).late_max == 0.5
    assert series.counts("C-STORE", group="CT").count == 2
    assert series.counts("C-STORE", 1).count == 1
    assert series.rate("C-STORE", 0, 2) == 1.5
    first = series.generator[0]
    assert (first.second, first.backlog, first.due, first.begun, first.lag) == (0, 1, 2, {"exam": 1}, 0.02)
    assert first.rss > 1_000_000
    assert series.last() == 5
    assert series.begun("exam") == 1
    assert series.begun("exam", from_=1) == 0


def test_a_quick_no_makes_nothing_look_fast_and_silence_counts_as_long_as_it_was(tmp_path: Path) -> None:
    measures = Measures(tmp_path)
    for _ in range(99):
        measures.note("C-STORE", 0.00002, outcome="refused")
    measures.note("C-STORE", 10.0, outcome="unknown")
    measures.close()
    row = Series.read(tmp_path).counts("C-STORE")
    assert (row.count, row.ok, row.refused, row.unknown) == (100, 0, 99, 1)
    assert row.percentile(50) == pytest.approx(10.0, rel=0.07)


def test_nothing_measured_has_no_percentile(tmp_path: Path) -> None:
    series = Series.read(tmp_path)
    assert series.percentile("C-STORE", 95) is None
    assert series.last() == -1
    assert series.rate("C-STORE") == 0.0


def test_processes_add_up_and_one_that_ended_early_is_seen(tmp_path: Path) -> None:
    clock = Hands()
    measures = Measures(tmp_path, began=1000.0, now=clock)
    measures.note("C-FIND worklist", 0.1)
    clock.at = 1001.0
    measures.tick()
    measures.close()
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    path.with_name("measures-other-7.jsonl").write_bytes(whole.splitlines(keepends=True)[0] + b'{"second": 9')
    series = Series.read(tmp_path)
    assert series.counts("C-FIND worklist").count == 2
    path.with_name("measures-other-7.jsonl").write_bytes(whole[: whole.rindex(b'{"second": 1')])
    assert sorted(Series.read(tmp_path).processes().values()) == [0, 1]
