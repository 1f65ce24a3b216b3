"""Sampled exams are judged by what systems saw of them: whose exchanges are whose, what is late, and what nobody can tell."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from stepwedge.actors.cast import Cast
from stepwedge.checks.difference import Difference
from stepwedge.checks.rules import CaseFacts
from stepwedge.checks.rules.rule import Finding, Rule
from stepwedge.errors import Broken, Inconclusive
from stepwedge.evidence.exchange import NOTHING, Exchange
from stepwedge.load import case, day, truth
from stepwedge.load.arrivals import agenda
from stepwedge.load.ledger import Ledger
from stepwedge.load.plan import Plan, resolve

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Hospital:
    """The journal of a hospital, as its admin API hands it out."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        self.dead = False

    def saw(self, kind: str, **keys: str) -> None:
        number = len(self.lines) + 1
        told = {key: [value] for key, value in keys.items()}
        one = Exchange(
            number, float(number), 0.1, "ris", "in", "hl7", kind, "ehr", "AA", told, {}, NOTHING, NOTHING
        )
        self.lines.append(one.to_json())

    def journal(self, after: int, wait: float = 0.0) -> list[dict[str, Any]]:
        del wait
        if self.dead:
            raise Broken("the simulated system cannot be reached")
        return self.lines[after : after + 1000]


@pytest.fixture
def plan() -> Plan:
    """A plan in which every exam is sampled."""
    return resolve(case.load("minute"), day.load("s"), seed=3, sample=1.0, began=1000.0)


@pytest.fixture
def exams(plan: Plan) -> list[int]:
    return [one.number for one in agenda(plan) if one.kind == "exam"]


@pytest.fixture
def hospital() -> Hospital:
    return Hospital()


@pytest.fixture
def folder(tmp_path: Path, plan: Plan) -> Path:
    plan.write(tmp_path)
    (tmp_path / "exams").mkdir()
    return tmp_path


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What was handed to the rules, by what kinds; the one rule is kept by an exam of three exchanges."""
    seen: list[list[str]] = []

    def three(facts: CaseFacts) -> Finding:
        seen.append([one.kind for one in facts.exchanges])
        there = len(facts.exchanges)
        return Finding([] if there == 3 else [Difference("exchanges", "3", str(there))], 1)

    monkeypatch.setattr(truth, "rules", lambda: [Rule("INV-1", "three", "here", three)])
    return seen


def only(monkeypatch: pytest.MonkeyPatch, find: Callable[[CaseFacts], Finding]) -> None:
    monkeypatch.setattr(truth, "rules", lambda: [Rule("INV-9", "stub", "here", find)])


def cast(hospital: Hospital) -> Cast:
    return Cast({}, hospital)  # type: ignore[arg-type]


def play(folder: Path, hospital: Hospital, number: int) -> None:
    """Let one exam happen: registered before anybody knows whose registration that is."""
    hospital.saw("ADT^A04", patient=f"SWP{number}")
    hospital.saw("OMG^O19", patient=f"SWP{number}", placer=f"LP{number}")
    hospital.saw("C-STORE", study=f"2.25.{number}")
    ledger = Ledger(folder / "ledger", f"worker-{number}")
    ledger.write("order", f"LP{number}", "acknowledged", patient=f"SWP{number}", exam=number)
    ledger.write("study", f"2.25.{number}", "attempted", exam=number)


def over(folder: Path, number: int) -> None:
    (folder / "exams" / f"{number:09d}.json").write_text(json.dumps({"exam": number}))


def test_each_exam_is_judged_by_its_own_exchanges_alone(
    folder: Path, hospital: Hospital, exams: list[int], seen: list[list[str]]
) -> None:
    for number in exams:
        play(folder, hospital, number)
        hospital.saw("ADT^A08", patient="SWP-of-somebody-else")
        over(folder, number)
    said = truth.Truth(folder, cast(hospital)).finish()
    assert said.word == "met", said
    assert said.exams == said.sampled == len(exams) > 2
    assert seen == [["ADT^A04", "OMG^O19", "C-STORE"]] * len(exams)
    assert said.rules["INV-1"]["passed"] == len(exams)


def test_a_registration_seen_before_its_order_is_found_later(
    folder: Path, hospital: Hospital, exams: list[int], seen: list[list[str]]
) -> None:
    judge = truth.Truth(folder, cast(hospital))
    hospital.saw("ADT^A04", patient=f"SWP{exams[0]}")
    assert judge.look() == 0
    hospital.lines.clear()
    play(folder, hospital, exams[0])
    hospital.lines[0] = {**hospital.lines[0], "kind": "ADT^A04"}
    over(folder, exams[0])
    assert judge.look() == 1
    assert seen[0].count("ADT^A04") == 1


def test_what_is_broken_is_missed_and_said(
    folder: Path, hospital: Hospital, exams: list[int], seen: list[list[str]]
) -> None:
    for number in exams:
        play(folder, hospital, number)
        over(folder, number)
    hospital.saw("ORU^R01", placer=f"LP{exams[1]}")
    said = truth.Truth(folder, cast(hospital)).finish()
    assert said.word == "missed"
    assert said.broken == [f"exam {exams[1]} breaks INV-1: exchanges: expected 3, found 4"]
    records = truth.read(folder)
    assert {one["when"] for one in records} == {"after"}
    assert len(records) == len(exams)


def test_what_was_only_late_is_counted_and_forgiven(
    folder: Path, hospital: Hospital, exams: list[int], seen: list[list[str]]
) -> None:
    judge = truth.Truth(folder, cast(hospital))
    for number in exams:
        play(folder, hospital, number)
        over(folder, number)
    late = hospital.lines.pop()
    assert judge.look(10) == len(exams)
    assert judge.look(10) == 0, "each is judged once while the load runs"
    hospital.lines.append(late)
    said = judge.finish()
    assert (said.word, said.late, said.during) == ("met", 1, len(exams))
    assert {one["when"] for one in truth.read(folder)} == {"during", "after"}


def test_a_look_costs_no_more_than_its_budget(
    folder: Path, hospital: Hospital, exams: list[int], seen: list[list[str]]
) -> None:
    for number in exams:
        play(folder, hospital, number)
        over(folder, number)
    judge = truth.Truth(folder, cast(hospital))
    assert judge.look(0) == 0
    assert judge.look(10) == len(exams)


def test_no_exam_or_too_few_is_nothing_to_go_by(
    folder: Path, hospital: Hospital, exams: list[int], seen: list[list[str]]
) -> None:
    said = truth.Truth(folder, cast(hospital)).finish()
    assert said.word == "untold"
    assert said.untold == ["no sampled exam was judged by the standing rules"]
    play(folder, hospital, exams[0])
    over(folder, exams[0])
    said = truth.Truth(folder, cast(hospital)).finish()
    assert (said.word, said.exams) == ("untold", 1)
    assert f"only 1 of {len(exams)}" in said.untold[0]


def test_a_journal_that_cannot_be_read_is_waited_for_and_then_said(
    folder: Path, hospital: Hospital, exams: list[int], seen: list[list[str]]
) -> None:
    judge = truth.Truth(folder, cast(hospital))
    hospital.dead = True
    for number in exams:
        play(folder, hospital, number)
        over(folder, number)
    assert judge.look() == 0
    said = judge.finish()
    assert said.word == "untold"
    assert "could not be read" in said.untold[0]
    hospital.dead = False
    assert judge.finish().word == "met", "what was not read is read afterwards"


def test_half_of_the_evidence_makes_no_rule_broken(
    folder: Path, hospital: Hospital, exams: list[int], seen: list[list[str]]
) -> None:
    judge = truth.Truth(folder, cast(hospital))
    for number in exams:
        play(folder, hospital, number)
        over(folder, number)
    hospital.lines.pop()
    assert judge.look(10) == len(exams)
    hospital.dead = True
    assert judge.finish().word == "untold"


@pytest.mark.parametrize("trouble", [Inconclusive("no answer"), Broken("nobody there")])
def test_a_rule_that_cannot_be_applied_is_untold(
    folder: Path, hospital: Hospital, exams: list[int], monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    def fail(_: CaseFacts) -> Finding:
        raise trouble

    only(monkeypatch, fail)
    for number in exams:
        over(folder, number)
    said = truth.Truth(folder, cast(hospital)).finish()
    assert said.word == "untold"
    assert str(trouble) in said.untold[0]


def test_a_rule_that_is_unsure_is_untold(
    folder: Path, hospital: Hospital, exams: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    only(monkeypatch, lambda _: Finding(unsure="the archive did not answer"))
    for number in exams:
        over(folder, number)
    assert truth.Truth(folder, cast(hospital)).finish().word == "untold"


def test_torn_lines_of_a_ledger_are_read_when_they_are_whole(
    folder: Path, hospital: Hospital, exams: list[int], seen: list[list[str]]
) -> None:
    judge = truth.Truth(folder, cast(hospital))
    (folder / "ledger").mkdir()
    file = folder / "ledger" / "ledger-w.jsonl"
    line = json.dumps({"kind": "order", "id": "LP1", "state": "attempted", "at": 1, "exam": exams[0]})
    file.write_text(line[:20])
    judge.look()
    file.write_text(line + '\nno json "exam"\n')
    hospital.saw("OMG^O19", placer="LP1")
    over(folder, exams[0])
    assert judge.look() == 1
    assert seen == [["OMG^O19"]]
