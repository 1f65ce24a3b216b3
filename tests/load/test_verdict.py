"""The verdict: one word, one sentence, one exit code, and a page that shows on what it rests."""

from __future__ import annotations

import json
import math
import os
import re
from collections import Counter
from dataclasses import replace
from datetime import datetime

import pytest

from stepwedge.errors import BadInput, Broken
from stepwedge.load import baseline, charts, gates, limits, page, reconcile, truth, verdict, watching
from stepwedge.load.measures import Row


def reconciled(*findings):
    return reconcile.Reconciliation(
        list(findings),
        counts={"instance": dict.fromkeys(("attempted", "acknowledged", "refused", "unknown", "arrived"), 6)},
        compared=Counter(I1=6),
    )


LOST = reconcile.Finding("I1", "instance", "1.2", "image 1.2 was acknowledged, and is not there")
UNREAD = reconcile.Finding("I1", "study", "1", "study 1 could not be read: timeout", untold=True)


def concluded(made, findings=(), truths=None, **facts):
    found = gates.judge(made.write().facts(**facts))
    return verdict.conclude(made.plan, found, reconciled(*findings), truths or truth.Truths())


def test_a_good_run_is_met(made):
    said = concluded(made)
    assert (said.word, said.exit_code, said.side, said.first) == ("met", 0, "", "")
    assert said.headline.startswith("Met: The ramp of a Monday morning: all ")
    assert said.lines == [said.headline]


def test_throughput_with_a_lost_study_is_a_failed_run(made):
    said = concluded(made, [LOST])
    assert (said.word, said.exit_code, said.side) == ("missed", 1, "system")
    assert "1 image acknowledged and lost" in said.headline
    assert "I1: image 1.2 was acknowledged, and is not there" in said.lines


def test_a_gate_that_is_missed_says_which(made):
    made.took["C-STORE"] = 60.0
    said = concluded(made)
    assert said.exit_code == 1
    assert "95 % of 60 C-STORE took at most" in said.headline


@pytest.mark.parametrize(
    "lie",
    [
        {"findings": [UNREAD]},
        {"truths": truth.Truths(untold=["exam 1: of INV-3 nobody can tell: lost"])},
        {"trouble": ("a worker died",)},
    ],
)
def test_what_nobody_can_tell_is_never_met(made, lie):
    said = concluded(made, **lie)
    assert (said.word, said.exit_code) == ("untold", 2)
    assert said.headline.startswith("Nobody can tell: ")
    assert said.first
    assert said.side in {"generator", "unknown"}


def test_nothing_reconciled_is_never_met(made):
    found = gates.judge(made.write().facts())
    assert verdict.conclude(made.plan, found, reconcile.Reconciliation(), truth.Truths()).exit_code == 2


def test_what_is_broken_decides_over_what_nobody_can_tell(made):
    said = concluded(made, [LOST, UNREAD], trouble=("a worker died",))
    assert (said.word, said.side) == ("missed", "system")


def test_a_broken_rule_of_a_sampled_exam_is_missed(made):
    truths = truth.Truths(
        exams=1, rules={"INV-3": Counter(failed=1)}, broken=["exam 4 breaks INV-3: accession"]
    )
    said = concluded(made, truths=truths)
    assert said.exit_code == 1
    assert "sampled exams break standing rules (INV-3) 1 times" in said.headline


def test_a_saturated_generator_is_named_once_and_not_for_every_gate(made):
    made.cpu = 1.0
    said = concluded(made)
    assert said.side == "generator"
    assert len(said.lines) == 2
    assert "the load generator used 1 of a core; 0.85 is allowed" in said.lines[1]


class Door:
    """The admin API of a simulated system whose queue shrinks with each look, or which is gone."""

    def __init__(self, *lengths):
        self.lengths = list(lengths)

    def health_of(self):
        if not self.lengths:
            raise Broken("gone")
        return {"waiting": self.lengths.pop(0) if len(self.lengths) > 1 else self.lengths[0]}


class Player:
    name = "pacs"

    def __init__(self, admin):
        self.admin = admin


@pytest.mark.parametrize(
    ("lengths", "drained"), [((3,), True), ((40, 30, 2), True), ((40,), False), ((), False)]
)
def test_queues_are_waited_for_as_long_as_allowed(monkeypatch, lengths, drained):
    monkeypatch.setattr(verdict, "_LOOK", 0.01)
    asked = limits.load({"queue": {"within": 0.1}})
    took, _, silent = verdict.drain([Player(Door(*lengths))], asked)
    assert math.isinf(took) != drained
    assert silent == (() if lengths else ("pacs",))
    assert verdict.drain([Player(None)], asked) == (None, 0, ())


# -- the page -----------------------------------------------------------------------------------------------------------------------


def shown(made, said, **more):
    (made.folder / "hospital").mkdir(exist_ok=True)
    verdict.write(made.folder, made.plan, said)
    made.page(**more)
    return page.render(page.Files.read(made.folder), datetime(2026, 1, 2, 3, 4).astimezone())


def test_the_page_asks_nothing_of_any_host_and_shows_everything(made):
    made.took["C-STORE"] = 60.0
    told = shown(made, concluded(made, [LOST]))
    assert not re.search(r"(?:src|href|url)\s*[=(]", told)
    assert "<script" not in told
    assert "default-src 'none'" in told
    for text in (
        "Missed: The ramp of a Monday morning",
        "Store an image",
        "image 1.2 was acknowledged, and is not there",
    ):
        assert text in told
    assert told.count('<figure class="chart">') >= len(made.took) + 3
    assert "assumed</span>" in told


def test_what_comes_from_outside_is_escaped(made):
    made.plan = replace(made.plan, title='<img src=x onerror="alert(1)">')
    told = shown(made, concluded(made, [replace(LOST, said="<b>x</b>")]))
    assert "<img" not in told
    assert "<b>x</b>" not in told


def test_the_page_compares_with_a_baseline(made):
    said = concluded(made)
    changes = [{"name": "C-STORE", "what": "p95", "before": 0.1, "now": 0.4, "unit": "s", "word": "worse"}]
    told = shown(made, said, baseline={"with": "runs/load-1", "changes": changes})
    assert "Compared with an earlier run" in told
    assert "400 ms" in told


def test_a_chart_has_two_plots_over_one_axis_and_breaks_where_nothing_was_asked(made):
    axis = charts.Axis(made.plan, 12)
    rows = {second: Row() for second in (0, 1, 2, 8)}
    for row in rows.values():
        for _ in range(8):
            row.note(0.5, "ok", 0, 0.0)
    rows[8].note(0.5, "failed", 0, 0.0)
    chart = charts.times(axis, "C-STORE", rows, 1.0, gates.seconds)
    assert [line.kind for line in chart.lines] == ["p50", "p95", "p99"]
    assert chart.limit[1] == "limit 1 s"
    assert all(line.path.count("M") == 1 and len(line.dots) == 1 for line in chart.lines)
    assert sum(1 for bar in chart.bars if bar.bad) == 1
    assert len(chart.hits) == 4
    assert all(charts.TOP <= bar.y <= chart.base for bar in chart.bars)
    assert charts.times(axis, "C-STORE", rows, 100.0, gates.seconds).limit is None


@pytest.mark.parametrize(("value", "top"), [(0, 1), (0.013, 0.02), (1, 1), (3, 5), (51, 100), (math.nan, 1)])
def test_axes_end_at_round_numbers(value, top):
    assert charts.nice(value) == pytest.approx(top)


# -- baseline -----------------------------------------------------------------------------------------------------------------------


def another(made, tmp_path, name, **took):
    folder = tmp_path / name
    folder.mkdir()
    return replace(made, folder=folder, took=made.took | took).write()


def test_a_slower_run_is_told_from_the_same(made, tmp_path):
    now = another(made, tmp_path, "now", **{"C-STORE": 0.4})
    before = another(made, tmp_path, "before", **{"C-STORE": 0.1, "ORU^R01": 0.0101})
    changes = baseline.compare(now.folder, before.folder)
    words = {(one.name, one.what): one.word for one in changes}
    assert words["C-STORE", "p95"] == "worse"
    assert words["ORU^R01", "p95"] == "same"
    assert words["C-STORE", "rate"] == "same"
    assert baseline.worse(changes)[0].ratio == pytest.approx(4, rel=0.1)
    baseline.write(now.folder, before.folder)
    assert json.loads((now.folder / "baseline.json").read_text())["with"] == str(before.folder)


def test_what_is_no_longer_made_is_gone(made, tmp_path):
    before = another(made, tmp_path, "before")
    del made.took["C-STORE"]
    changes = baseline.compare(another(made, tmp_path, "now").folder, before.folder)
    assert {one.word for one in changes if one.name == "C-STORE" and one.what == "p95"} == {"gone"}


def test_only_like_is_compared_with_like(made, tmp_path):
    before = another(made, tmp_path, "before")
    made.plan = replace(made.plan, times=2.0)
    with pytest.raises(BadInput, match="compare like with like"):
        baseline.compare(another(made, tmp_path, "now").folder, before.folder)


# -- watching -----------------------------------------------------------------------------------------------------------------------


def test_this_process_is_seen_with_its_threads_and_files():
    seen = watching.used(os.getpid())
    assert seen.rss > 1 << 20
    assert seen.threads >= 1
    assert seen.files >= 3


def test_a_process_is_counted_with_all_it_started(tmp_path):
    for pid, parent, cpu in ((10, 1, 100), (11, 10, 50), (12, 11, 25), (13, 1, 1000)):
        (tmp_path / str(pid) / "fd").mkdir(parents=True)
        fields = [
            "S",
            str(parent),
            *["0"] * 9,
            str(cpu),
            "0",
            *["0"] * 4,
            "2",
            "0",
            "0",
            "0",
            "7",
            *["0"] * 4,
        ]
        (tmp_path / str(pid) / "stat").write_text(f"{pid} (a) b) {' '.join(fields)}")
    seen = watching.used(10, tmp_path)
    assert seen.cpu * watching._TICKS == 175
    assert seen.threads == 6
    assert seen.rss == 21 * watching._PAGE
    assert watching.used(99, tmp_path) is None


def test_watching_goes_on_when_a_system_is_gone(tmp_path):
    with watching.Watch(tmp_path, {"me": os.getpid(), "gone": 2**22 + 1}, every=0.02) as watch:
        watch.began(watch._zero - 5)
        while len(watching.read(tmp_path)) < 3:
            pass
    lines = watching.read(tmp_path)
    assert all(set(line["processes"]) == {"me"} for line in lines)
    assert lines[-1]["second"] >= 5
    assert lines[-1]["disk"] > 0
