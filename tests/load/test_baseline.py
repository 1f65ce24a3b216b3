"""A run compared with an earlier one: like with like, and what is gone is worse."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from stepwedge.errors import BadInput
from stepwedge.load import baseline, day, watching
from stepwedge.load.measures import Measures
from stepwedge.load.plan import Phase, Plan

if TYPE_CHECKING:
    from pathlib import Path

PLAN = Plan(
    "LOD-02", "Monday", "lab.yaml", 5, 10, day.load("s"), (Phase("steady", 0, 10, 3600, 0, 0.1, (1.0, 1.0)),)
)


def run(
    folder: Path,
    *,
    store: float = 0.1,
    find: float = 0.05,
    failed: int = 0,
    count: int = 100,
    cpu: float = 0.4,
    plan: Plan = PLAN,
) -> Path:
    """Write a run of so many requests that took so long."""
    folder.mkdir()
    plan.write(folder)
    measures = Measures(folder / "measures")
    for number in range(count):
        measures.note("C-STORE", store, at=1, outcome="failed" if number < failed else "ok")
        if find:
            measures.note("C-FIND worklist", find, at=1)
    measures.close()
    used = {"cpu": cpu, "rss": 100 << 20, "files": 10, "threads": 4}
    lines = [{"second": second, "processes": {"hospital": used}} for second in (-1, 1, 2)]
    (folder / watching.FILE).write_text("\n".join(map(json.dumps, lines)))
    return folder


def words(changes: list[baseline.Change]) -> dict[tuple[str, str], str]:
    return {(one.name, one.what): one.word for one in changes if one.word != "same"}


def test_the_same_again_is_no_change(tmp_path: Path) -> None:
    changes = baseline.compare(run(tmp_path / "now", store=0.103), run(tmp_path / "then"))
    assert words(changes) == {}
    assert len(changes) >= 10


def test_slower_is_worse_and_quicker_is_better(tmp_path: Path) -> None:
    changes = baseline.compare(run(tmp_path / "now", store=0.2, find=0.02, cpu=0.9), run(tmp_path / "then"))
    told = words(changes)
    assert told["C-STORE", "p95"] == "worse"
    assert told["C-FIND worklist", "p95"] == "better"
    assert told["hospital", "cpu"] == "worse"
    slower = next(one for one in changes if (one.name, one.what) == ("C-STORE", "p95"))
    assert slower.ratio == pytest.approx(2, rel=0.08)
    assert baseline.worse(changes)[0].ratio >= baseline.worse(changes)[-1].ratio


def test_more_errors_are_worse_and_fewer_requests_too(tmp_path: Path) -> None:
    changes = baseline.compare(run(tmp_path / "now", failed=4, count=50), run(tmp_path / "then"))
    told = words(changes)
    assert told["C-STORE", "errors"] == "worse"
    assert told["C-STORE", "rate"] == "worse"


def test_what_is_not_measured_any_more_is_gone(tmp_path: Path) -> None:
    changes = baseline.compare(run(tmp_path / "now", find=0), run(tmp_path / "then"))
    assert words(changes)["C-FIND worklist", "p95"] == "gone"
    assert ("C-FIND worklist", "p95") in {(one.name, one.what) for one in baseline.worse(changes)}
    again = baseline.compare(run(tmp_path / "later"), run(tmp_path / "before", find=0))
    assert words(again)["C-FIND worklist", "p95"] == "new"


def test_two_milliseconds_are_not_worth_a_word(tmp_path: Path) -> None:
    changes = baseline.compare(
        run(tmp_path / "now", store=0.0015, find=0), run(tmp_path / "then", store=0.0005, find=0)
    )
    assert words(changes) == {}


@pytest.mark.parametrize("change", [{"case": "LOD-03"}, {"times": 2.0}, {"images": 0.1}])
def test_only_like_is_compared_with_like(tmp_path: Path, change: dict[str, object]) -> None:
    other = run(tmp_path / "then", plan=replace(PLAN, **change))  # type: ignore[arg-type]
    with pytest.raises(BadInput):
        baseline.compare(run(tmp_path / "now"), other)


def test_a_folder_without_a_run_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        baseline.compare(run(tmp_path / "now"), tmp_path)


def test_what_is_written_is_json_even_without_a_figure(tmp_path: Path) -> None:
    baseline.write(run(tmp_path / "now", find=0), run(tmp_path / "then"))
    text = (tmp_path / "now" / "baseline.json").read_text()
    assert "NaN" not in text
    told = json.loads(text)
    gone = [one for one in told["changes"] if one["word"] == "gone"]
    assert gone
    assert all(one["now"] is None for one in gone)
    assert math.isfinite(told["changes"][0]["before"])
