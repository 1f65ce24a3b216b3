"""Gates: every one of them seen met, missed, and untold; what did not happen is never met."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from stepwedge.errors import BadInput
from stepwedge.load import gates, limits


def of(found, name, what):
    return next(one for one in found if (one.name, one.what) == (name, what))


def test_a_good_run_meets_every_gate(made):
    found = gates.judge(made.write().facts())
    assert [one.said for one in found if one.verdict != "met"] == []
    assert gates.verdict(found) == "met"
    assert {one.name for one in found if not one.generator} >= {"ADT^A04", "C-STORE", "sign to EHR", "queues"}


@pytest.mark.parametrize(
    "name", ["ADT^A04", "ORM^O01", "C-FIND worklist", "C-STORE", "ORU^R01", "sign to EHR"]
)
def test_what_takes_too_long_is_missed(made, name):
    made.took[name] = 60.0
    gate = of(gates.judge(made.write().facts()), name, "p95")
    assert gate.verdict == "missed"
    assert "took at most 6" in gate.said


@pytest.mark.parametrize(
    ("outcome", "what"), [("failed", "errors"), ("unknown", "errors"), ("refused", "refused")]
)
def test_what_goes_wrong_is_missed(made, outcome, what):
    made.outcomes["C-STORE"] = outcome
    found = gates.judge(made.write().facts())
    assert of(found, "C-STORE", what).verdict == "missed"
    assert gates.verdict(found) == "missed"


def test_a_budget_allows_what_it_says(made):
    made.outcomes["C-STORE"] = "refused"
    found = gates.judge(made.write().facts({"transactions": {"C-STORE": {"refused": 1}}}))
    assert of(found, "C-STORE", "refused").verdict == "met"


def test_what_must_be_made_and_was_not_is_untold(made):
    del made.took["C-STORE"]
    found = gates.judge(made.write().facts())
    assert of(found, "C-STORE", "count").verdict == "untold"
    assert gates.verdict(found) == "untold"


def test_what_the_case_sets_a_limit_for_must_be_made(made):
    found = gates.judge(made.write().facts({"transactions": {"STOW-RS": {"p95": 1}}}))
    assert of(found, "STOW-RS", "count").verdict == "untold"


def test_no_request_at_all_is_untold(made):
    made.took.clear()
    assert gates.verdict(gates.judge(made.write().facts())) == "untold"
    assert gates.verdict([]) == "untold"


@pytest.mark.parametrize(
    ("lie", "what"),
    [
        ({"cpu": 0.95}, "cpu"),
        ({"lag": 0.4}, "lag"),
        ({"backlog": 30}, "backlog"),
        ({"late": 2.0}, "late"),
        ({"begun": 0.8}, "begun exam"),
    ],
)
def test_a_generator_without_time_makes_everything_untold(made, lie, what):
    for name, value in lie.items():
        setattr(made, name, value)
    found = gates.judge(made.write().facts())
    assert next(one for one in found if one.generator and one.what == what).verdict == "untold"
    assert of(found, "C-STORE", "p95").verdict == "untold"
    assert of(found, "C-STORE", "errors").verdict == "untold"
    assert gates.verdict(found) == "untold"


def test_what_is_slow_under_a_generator_without_time_is_nobodys(made):
    made.cpu, made.took["C-STORE"] = 1.0, 60.0
    assert of(gates.judge(made.write().facts()), "C-STORE", "p95").verdict == "untold"


def test_what_was_answered_wrong_stays_missed_whoever_was_slow(made):
    made.cpu, made.outcomes["C-STORE"] = 1.0, "failed"
    assert gates.verdict(gates.judge(made.write().facts())) == "missed"


def test_no_answer_to_a_generator_without_time_is_untold(made):
    made.cpu, made.outcomes["C-STORE"] = 1.0, "unknown"
    assert of(gates.judge(made.write().facts()), "C-STORE", "errors").verdict == "untold"


def test_one_busy_second_does_not_make_a_generator_unfit(made):
    made.plan = replace(made.plan, seconds=40)
    made.write()
    facts = made.facts()
    facts.series.generators["here-1"][3]["cpu"] = 1.0
    assert gates.verdict(gates.fitness(facts)) == "met"


@pytest.mark.parametrize(("lags", "word"), [((0.15,), "met"), ((0.15,) * 5, "untold"), ((1.2,), "untold")])
def test_a_hang_is_judged_by_how_often_and_how_long(made, lags, word):
    made.plan = replace(made.plan, seconds=40)
    facts = made.write().facts()
    for at, lag in enumerate(lags):
        facts.series.generators["here-1"][at]["lag"] = lag
    assert gates.verdict(gates.fitness(facts)) == word


def test_a_phase_may_have_a_budget_of_its_own(made):
    made.outcomes["C-STORE"] = "unknown"
    facts = made.write().facts(
        {"phases": {one.name: {"factor": 10, "errors": 1} for one in made.plan.phases[:-1]}}
    )
    found = {
        one.phase: one.verdict for one in gates.judge(facts) if (one.name, one.what) == ("C-STORE", "errors")
    }
    assert found == {one.name: "met" for one in made.plan.phases[:-1]} | {made.plan.phases[-1].name: "missed"}


def test_who_does_not_say_what_waits_there_is_untold_and_named(made):
    gate = of(
        gates.judge(made.write().facts(drained=gates.Drained(math.inf, 0, ("pacs",)))), "queues", "drained"
    )
    assert gate.verdict == "untold"
    assert gate.said.startswith("pacs does not answer")


@pytest.mark.parametrize(
    ("lie", "said"),
    [
        ({"processes": ("here-1",)}, "1 of 2 workers measured nothing"),
        ({"processes": ("here-1", "here-2"), "silent": {"here-2": 4}}, "here-2 fell silent after 3 s"),
        ({"processes": ("here-1", "here-2"), "marks": ("here-1",)}, "here-2 did not end in order"),
    ],
)
def test_a_lost_worker_is_noticed_and_named(made, lie, said):
    made.plan = replace(made.plan, workers=2)
    made.marks = ("here-1", "here-2")
    for name, value in lie.items():
        setattr(made, name, value)
    lost = of(gates.judge(made.write().facts()), "processes", "lost")
    assert lost.verdict == "untold"
    assert said in lost.said


def test_a_process_that_is_done_early_is_not_lost(made):
    made.silent = {"here-1": 6}
    made.write()
    (made.folder / "done-here-1.json").write_text("{}", encoding="utf-8")
    assert of(gates.judge(made.facts()), "processes", "lost").verdict == "met"


def test_trouble_of_whoever_drove_makes_the_run_untold(made):
    found = gates.judge(made.write().facts(trouble=("Locust ended with code 2",)))
    assert gates.verdict(found) == "untold"
    assert any(one.said == "Locust ended with code 2" for one in found)


def test_what_the_generator_broke_itself_makes_the_run_untold(made):
    made.took["exam broken"] = 0.0
    found = gates.judge(made.write().facts())
    assert gates.verdict(found) == "untold"


@pytest.mark.parametrize(("drained", "word"), [(3.0, "met"), (30.0, "missed"), (math.inf, "missed")])
def test_queues_must_become_short_in_time(made, drained, word):
    assert (
        of(gates.judge(made.write().facts(drained=gates.Drained(drained, 40))), "queues", "drained").verdict
        == word
    )


def test_a_system_that_does_not_say_what_waits_is_untold(made):
    found = gates.judge(made.write().facts(drained=gates.Drained(math.inf, 2, ("pacs",))))
    gate = of(found, "queues", "drained")
    assert (gate.verdict, gate.said[:20]) == ("untold", "pacs does not answer")


def test_a_phase_of_overload_may_be_slower_and_must_be_driven(made):
    made.took["C-STORE"] = 2.0
    asked = {"phases": {"peak": {"factor": 3}}}
    found = gates.judge(made.write().facts(asked))
    by_phase = {one.phase: one.verdict for one in found if (one.name, one.what) == ("C-STORE", "p95")}
    assert by_phase == {"ramp": "missed", "peak": "met", "after": "missed"}


def watched(before, after, what="rss"):
    return [
        {"second": second, "processes": {"pacs": {what: before if second < 6 else after}}}
        for second in range(13)
    ]


@pytest.mark.parametrize(("after", "word"), [(105, "met"), (150, "missed")])
def test_what_grows_in_a_soak_is_missed(made, monkeypatch, after, word):
    monkeypatch.setattr(gates, "WARM", 1.0)
    found = gates.judge(made.write().facts({"steady": {"rss": 0.1}}, watched=watched(100, after)))
    assert of(found, "growth of pacs", "rss").verdict == word


def test_growth_of_what_was_not_yet_warm_is_untold_and_none_is_none(made):
    made.write()
    for after, word in ((150, "untold"), (100, "met")):
        found = gates.judge(made.facts({"steady": {"rss": 0.1}}, watched=watched(100, after)))
        assert of(found, "growth of pacs", "rss").verdict == word


def test_growth_that_nobody_could_watch_is_untold(made):
    found = gates.judge(made.write().facts({"steady": {"threads": 0.1}}, watched=watched(100, 100)))
    assert of(found, "growth", "threads").verdict == "untold"
    short = watched(100, 100)[:4]
    found = gates.judge(made.facts({"steady": {"rss": 0.1}}, watched=short))
    assert of(found, "growth of pacs", "rss").verdict == "untold"


def test_a_lab_file_overrides_the_case_and_the_case_the_kit(tmp_path):
    lab = tmp_path / "lab.yaml"
    lab.write_text(
        'lab: x\nload:\n  gates:\n    transactions:\n      "C-STORE": {p95: 0.3}\n', encoding="utf-8"
    )
    asked = limits.load({"transactions": {"C-STORE": {"p95": 9, "p99": 20}}}, lab)
    assert asked.transactions["C-STORE"].p95.value == 0.3
    assert asked.transactions["C-STORE"].p95.why == "as the lab file lab.yaml asks"
    assert asked.transactions["C-STORE"].p99.value == 20
    assert asked.transactions["C-STORE"].errors.value == 0
    assert "C-STORE" in asked.asked


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('      "C-STOR": {p95: 1}\n', 5, "C-STORE"),
        ('      "C-STORE":\n        p96: 1\n', 6, "limits of a load run"),
        ('      "C-STORE":\n        p95: -1\n', 6, "limits of a load run"),
    ],
)
def test_a_mistake_in_a_lab_file_names_its_line(tmp_path, text, line, said):
    lab = tmp_path / "lab.yaml"
    lab.write_text(f"lab: x\nload:\n  gates:\n    transactions:\n{text}", encoding="utf-8")
    with pytest.raises(BadInput, match=said) as caught:
        limits.load({}, lab)
    assert caught.value.place.startswith(f"{lab}:{line}")


def test_every_number_of_the_kit_says_where_it_comes_from():
    told = limits.load()
    every = [limit for one in told.transactions.values() for _, limit in gates._set(one)]
    assert len(every) > 40
    assert all(bool(limit.source) != bool(limit.assumed) for limit in every)


def test_what_the_end_of_the_run_cut_off_is_untold(made):
    made.write()
    done = made.folder / "done-here-1.json"
    done.write_text('{"at": 1, "running": 1, "backlog": 0}', encoding="utf-8")
    assert gates.unfinished(made.folder) == 1
    assert of(gates.judge(made.facts(unfinished=1)), "arrivals", "ended").verdict == "met"
    done.write_text('{"at": 1, "running": 12, "backlog": 3}', encoding="utf-8")
    gate = of(gates.judge(made.facts(unfinished=gates.unfinished(made.folder))), "arrivals", "ended")
    assert gate.verdict == "untold"
    assert gate.said.startswith("15 of 35 arrivals")
    assert not gate.generator
