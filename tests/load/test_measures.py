"""Measures add up over seconds, kinds and processes, and never flatter."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

import pytest

from stepwedge.load.measures import Measures, Series, bucket, upper

if TYPE_CHECKING:
    from pathlib import Path


def test_a_time_lies_in_its_bucket() -> None:
    for seconds in (1.1e-5, 0.001, 0.25, 1.0, 60.0, 3600.0):
        assert seconds <= upper(bucket(seconds)) <= seconds * 1.0701
    assert bucket(0.0) == bucket(-1.0) == 0


def test_percentiles_are_at_most_seven_percent_too_long(tmp_path: Path) -> None:
    dice = random.Random(7)  # noqa: S311 - not a secret
    times = sorted(dice.lognormvariate(-3, 1) for _ in range(5000))
    measures = Measures(tmp_path)
    for one in times:
        measures.note("C-STORE", one, at=0.5)
    measures.close()
    row = Series.read(tmp_path).total("C-STORE")
    for percent in (1, 50, 95, 99, 100):
        true = times[max(0, -(-len(times) * percent // 100) - 1)]
        assert true <= row.percentile(percent / 100) < true * 1.0701


def test_seconds_and_groups_are_told_apart(tmp_path: Path) -> None:
    measures = Measures(tmp_path)
    measures.note("C-STORE", 0.1, at=0.2, nbytes=500, group="CT")
    measures.note("C-STORE", 0.2, at=0.9, nbytes=700, group="MR", late=0.5)
    measures.tick(0.95)
    assert Series.read(tmp_path).names() == []  # the second is not over
    measures.generator(1.0, cpu=0.2, lag=0.01, rss=1, backlog=3)
    measures.tick(1.0)
    measures.note("C-STORE", 0.4, at=1.2, group="CT")
    measures.close()
    series = Series.read(tmp_path)
    assert series.groups("C-STORE") == ["CT", "MR"]
    assert {second: row.count for second, row in series.seconds("C-STORE").items()} == {0: 2, 1: 1}
    assert series.total("C-STORE").bytes == 1200
    assert series.total("C-STORE", end=1).late_max == 0.5
    assert series.total("C-STORE", "CT").count == 2
    ((line,),) = series.generators.values()
    assert line == {"second": 1, "cpu": 0.2, "lag": 0.01, "rss": 1, "backlog": 3}


def test_a_quick_no_makes_nothing_look_fast_and_silence_counts_as_long_as_it_was(tmp_path: Path) -> None:
    measures = Measures(tmp_path)
    for _ in range(99):
        measures.note("C-STORE", 0.00002, at=0, outcome="refused")
    measures.note("C-STORE", 10.0, at=0, outcome="unknown")
    measures.close()
    row = Series.read(tmp_path).total("C-STORE")
    assert (row.count, row.bad, row.refused, row.unknown) == (100, 100, 99, 1)
    assert row.percentile(0.5) == pytest.approx(10.0, rel=0.07)


def test_nothing_measured_has_no_percentile(tmp_path: Path) -> None:
    series = Series.read(tmp_path)
    assert math.isnan(series.total("C-STORE").percentile(0.95))
    assert series.last == -1


def test_a_torn_last_line_is_counted(tmp_path: Path) -> None:
    measures = Measures(tmp_path)
    measures.note("C-FIND worklist", 0.1, at=0)
    measures.close()
    (path,) = tmp_path.iterdir()
    path.with_name("measures-other-7.jsonl").write_bytes(path.read_bytes() + b'{"second": 9')
    series = Series.read(tmp_path)
    assert series.total("C-FIND worklist").count == 2
    assert series.torn == 1
