"""What is counted for Prometheus: every exchange once, no identifier in a label, and a bound on what strangers can add."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from stepwedge.evidence.exchange import NOTHING, Exchange
from stepwedge.sim import metrics

if TYPE_CHECKING:
    from pathlib import Path

LINE = re.compile(r'^(# (TYPE|HELP) .+|[a-z_]+(\{([a-z]+="([^"\\]|\\.)*",?)+\})? [0-9.]+)$')


def exchange(kind: str = "C-STORE", outcome: str = "0000", took: float = 0.02) -> Exchange:
    return Exchange(
        0, 1.0, took, "pacs", "in", "dimse", kind, "ct", outcome, {"study": ["2.25.1"]}, {}, NOTHING, NOTHING
    )


@pytest.mark.parametrize(
    ("outcome", "came"),
    [
        ("AA", "ok"), ("CA", "ok"), ("0000", "ok"), ("B007", "ok"), ("FF00", "ok"), ("200", "ok"), ("304", "ok"),
        ("AE", "refused"), ("AR", "refused"), ("A700", "refused"), ("0124", "refused"), ("404", "refused"),
        ("503", "refused"), ("refused", "refused"), ("garbled", "refused"), ("", "refused"),
        ("lost", "unanswered"), ("timeout", "unanswered"),
    ],
)  # fmt: skip
def test_what_an_exchange_came_to(outcome: str, came: str) -> None:
    assert metrics.result(outcome) == came


def test_a_histogram_adds_up() -> None:
    counts = metrics.Counts()
    for took in (0.0001, 0.001, 0.02, 0.3, 60.0):
        counts.add(exchange(took=took))
    lines = [line for line in metrics.exchanges({"pacs": counts}) if not line.startswith("#")]
    buckets = [int(line.rpartition(" ")[2]) for line in lines if "_bucket" in line]
    assert buckets == sorted(buckets)
    assert (buckets[0], buckets[-1]) == (2, 5), "a border belongs to its bucket, and the last holds all"
    assert lines[-1].endswith(" 5")
    assert lines[-2].endswith(" 60.321100")


def test_no_identifier_becomes_a_label_and_names_are_escaped() -> None:
    counts = metrics.Counts()
    counts.add(exchange('odd "kind"\n\\'))
    told = metrics.text(metrics.exchanges({"pacs": counts}))
    assert "2.25.1" not in told
    assert r'kind="odd \"kind\"\n\\"' in told
    assert all(LINE.match(line) for line in told.splitlines())


def test_strangers_cannot_make_series_without_end() -> None:
    counts = metrics.Counts()
    for number in range(metrics.MOST * 2):
        counts.add(exchange(f"X-{number}"))
    assert len(counts.series) == metrics.MOST + 1
    assert sum(sum(one.buckets) for one in counts.series.values()) == metrics.MOST * 2
    assert any(key[2] == metrics.OTHER for key in counts.series)


def test_a_process_tells_what_it_uses_or_nothing(tmp_path: Path) -> None:
    told = dict(line.split() for line in metrics.process() if not line.startswith("#"))
    assert set(told) == {
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_open_fds",
        "process_threads",
    }
    assert float(told["process_resident_memory_bytes"]) > 1e6
    assert list(metrics.process(tmp_path)) == []
