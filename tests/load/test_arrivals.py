"""Arrivals: an open model, the same for the same seed however many share it, at the rates of the day."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from stepwedge.load import arrivals
from stepwedge.load import case as cases
from stepwedge.load import day as days
from stepwedge.load import plan as plans
from stepwedge.load.plan import Plan

if TYPE_CHECKING:
    from pathlib import Path


def planned(name: str = "monday", **more: Any) -> Plan:
    case = cases.load(name)
    return plans.resolve(case, days.load(case.day), **{"seed": 7} | more)


@pytest.mark.parametrize("workers", [1, 2, 3, 7])
def test_workers_share_one_agenda(workers: int) -> None:
    plan = planned("LOD-04")
    whole = list(arrivals.agenda(plan))
    parts = [one for worker in range(workers) for one in arrivals.agenda(plan, worker, workers)]
    assert sorted(parts) == whole
    assert [one.facts for one in sorted(parts)] == [one.facts for one in whole]


def test_numbers_never_meet() -> None:
    plan = planned("LOD-06")
    numbers = Counter((one.kind, one.number) for one in arrivals.agenda(plan))
    assert set(numbers.values()) == {1}


def test_in_order_and_within_the_run() -> None:
    due = list(arrivals.agenda(planned("restart-storm")))
    assert due == sorted(due)
    assert due[0].at >= 0
    assert due[-1].at < 60


def test_the_seed_decides() -> None:
    assert list(arrivals.agenda(planned())) == list(arrivals.agenda(planned()))
    assert list(arrivals.agenda(planned())) != list(arrivals.agenda(planned(seed=8)))


def test_as_many_as_the_day_says() -> None:
    """Over ten seeds the mean is within three standard deviations of what was expected."""
    wanted = arrivals.expected(planned())["exam"]
    found = [Counter(a.kind for a in arrivals.agenda(planned(seed=seed)))["exam"] for seed in range(10)]
    assert abs(sum(found) / 10 - wanted) < 3 * (wanted / 10) ** 0.5
    assert len(set(found)) > 1, "a Poisson process does not give the same number each time"


def test_three_mondays_are_three_times_as_many() -> None:
    once, thrice = arrivals.expected(planned()), arrivals.expected(planned(times=3))
    assert thrice["exam"] == pytest.approx(3 * once["exam"])
    assert thrice["adt"] == pytest.approx(3 * once["adt"])


def test_a_ramp_rises() -> None:
    plan = planned("LOD-02", times=20)
    at = [one.at for one in arrivals.agenda(plan) if one.kind == "exam"]
    ramp = plan.phases[0].end
    early, late = sum(one < ramp / 3 for one in at), sum(2 * ramp / 3 <= one < ramp for one in at)
    assert late > 1.5 * early


def test_a_shorter_run_is_a_faster_one() -> None:
    """Compressed into fewer seconds it is the same day: as many exams."""
    assert arrivals.expected(planned(seconds=30))["exam"] == pytest.approx(
        arrivals.expected(planned(seconds=240))["exam"]
    )


def test_exceptions_come_as_often_as_they_do() -> None:
    plan = planned()
    found = Counter(arrivals.exam(plan, number, 0)["exception"] for number in range(4000))
    assert found["cancel"] / 4000 == pytest.approx(0.15, abs=0.02)
    assert found["merge"] > 0
    usual = planned("LOD-04")
    assert {arrivals.exam(usual, number, 0)["exception"] for number in range(500)} == {"none"}


def test_casualties_are_unknown_and_urgent() -> None:
    burst = [one for one in arrivals.agenda(planned("LOD-04")) if one.facts.get("burst")]
    assert len(burst) == 90
    assert all(one.facts["stat"] and one.facts["exception"] == "unidentified" for one in burst)
    assert Counter(one.facts["modality"] for one in burst)["CT"] == 30


def test_reports_are_signed_in_their_burst() -> None:
    plan = planned("LOD-06")
    burst = [one for one in arrivals.agenda(plan) if one.facts.get("burst")]
    signed = [one.facts["sign_at"] for one in burst]
    assert len(signed) == 200
    assert max(signed) - min(signed) < 45
    assert all(one.at < one.facts["sign_at"] for one in burst)


def test_a_plan_survives_its_file(tmp_path: Path) -> None:
    plan = planned("LOD-10")
    plan.write(tmp_path)
    assert Plan.read(tmp_path) == plan
    assert list(arrivals.agenda(Plan.read(tmp_path))) == list(arrivals.agenda(plan))


def test_the_longest_exam_ends_before_the_run_is_given_up() -> None:
    for name in ("monday", "LOD-02", "LOD-05", "LOD-10", "minute"):
        plan = planned(name)
        exams = (arrivals.exam(plan, number, 0) for number in range(300))
        assert max(sum(one["waits"].values()) for one in exams) < plan.drain
