"""Whose the machine was: a time missed while others had it is nobody's; what went wrong, and what was met, stays."""

from __future__ import annotations

import pytest

from stepwedge.load import gates, machine, watching


def watched(seconds=12, cpu=1.8, systems=0.3, cores=2):
    """Return what was seen of a machine, second by second."""
    used = {"pacs": {"cpu": systems, "rss": 1, "files": 1, "threads": 1}} if systems else {}
    return [
        {"second": at, "processes": used, "machine": {"cpu": cpu, "cores": cores}} for at in range(seconds)
    ]


def judged(made, lines):
    facts = made.write().facts(watched=lines)
    return machine.shared(facts, gates.judge(facts))


def of(found, name, what):
    return next(one for one in found if (one.name, one.what) == (name, what))


def test_a_time_missed_while_others_had_the_machine_is_untold_and_says_so(made):
    made.took["C-STORE"] = 60.0
    found = judged(made, watched())
    assert of(found, "C-STORE", "p95").verdict == "untold"
    assert "others used 1.3 of the 2 cores" in of(found, "machine", "others").said
    assert gates.verdict(found) == "untold"


@pytest.mark.parametrize("lines", [watched(cpu=0.6), watched(systems=0), []])
def test_a_time_missed_on_a_machine_of_its_own_or_that_nobody_watched_is_missed(made, lines):
    made.took["C-STORE"] = 60.0
    assert gates.verdict(judged(made, lines)) == "missed"


def test_what_went_wrong_is_missed_whoever_had_the_machine(made):
    made.outcomes["C-STORE"] = "failed"
    assert gates.verdict(judged(made, watched())) == "missed"


def test_what_was_met_while_others_had_the_machine_is_met(made):
    assert gates.verdict(judged(made, watched())) == "met"


def test_how_much_a_machine_has_worked_is_read_from_its_kernel(tmp_path):
    (tmp_path / "stat").write_text("cpu  100 50 50 9999 9999 0 0 0 0 0\ncpu0 1 1\n", encoding="utf-8")
    assert watching.busy(tmp_path) == pytest.approx(200 / watching._TICKS)
    assert watching.busy(tmp_path / "elsewhere") is None
