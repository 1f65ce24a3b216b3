"""Sampled truth: exams are picked out of everybody's traffic and judged by the standing rules, under load and after it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace

import pytest

from stepwedge.checks.difference import Difference
from stepwedge.checks.rules import Finding, Rule
from stepwedge.errors import Broken, NoAnswer
from stepwedge.evidence.exchange import Exchange
from stepwedge.load import truth
from stepwedge.load.arrivals import agenda
from stepwedge.load.ledger import Ledger


@dataclass
class Host:
    """The journal of a hospital, made by hand."""

    exchanges: list = field(default_factory=list)
    gone: bool = False

    def add(self, kind, **keys):
        told = {key: [value] for key, value in keys.items()}
        number = len(self.exchanges) + 1
        self.exchanges.append(
            Exchange(number, 10.0 + number, 0.1, "ris", "in", "hl7", kind, keys=told).to_json()
        )

    def journal(self, after, wait=0.0):
        if self.gone:
            raise Broken("the simulated system cannot be reached")
        return self.exchanges[after:]


@dataclass
class Cast:
    """A lab of nobody but a journal."""

    host: Host = field(default_factory=Host)

    def __iter__(self):
        return iter(())


@dataclass
class Stage:
    """A run with some sampled exams, and a rule that says what it is told to."""

    made: object
    cast: Cast
    numbers: list
    seen: list = field(default_factory=list)
    finding: object = field(default_factory=lambda: Finding(reached=1))

    def find(self, facts):
        self.seen.append([one.kind for one in facts.exchanges])
        if isinstance(self.finding, Exception):
            raise self.finding
        return self.finding

    def play(self, number, *, ended=True):
        """Let an exam happen: registered before its order is in the ledger."""
        host, book = self.cast.host, Ledger(self.made.folder / "ledger", f"here-{number}")
        host.add("ADT^A04", patient=f"SW{number}")
        book.write("order", f"P{number}", "attempted", patient=f"SW{number}", exam=number)
        host.add("OMG^O19", patient=f"SW{number}", placer=f"P{number}", accession=f"A{number}")
        host.add("C-STORE", accession=f"A{number}", study=f"1.{number}")
        host.add("ADT^A04", patient="SW-somebody-else")
        book.close()
        if ended:
            folder = self.made.folder / "exams"
            folder.mkdir(exist_ok=True)
            (folder / f"{number:09d}.json").write_text(json.dumps({"exam": number}))


@pytest.fixture
def stage(made, monkeypatch) -> Stage:
    made.plan = replace(made.plan, sample=0.3)
    made.plan.write(made.folder)
    sampled = [one for one in agenda(made.plan) if one.kind == "exam" and one.facts["sampled"]][:2]
    monkeypatch.setattr(truth, "agenda", lambda _plan: sampled)
    numbers = [one.number for one in sampled]
    stage = Stage(made, Cast(), numbers)
    monkeypatch.setattr(truth, "rules", lambda: [Rule("INV-99", "a rule", "here", stage.find)])
    return stage


def test_an_exam_is_judged_by_all_that_was_seen_of_it_and_nothing_else(stage):
    stage.play(stage.numbers[0])
    judge = truth.Truth(stage.made.folder, stage.cast)
    assert judge.look() == 1
    assert judge.look() == 0
    assert stage.seen == [["ADT^A04", "OMG^O19", "C-STORE"]]


def test_what_comes_in_pieces_is_put_together(stage):
    judge = truth.Truth(stage.made.folder, stage.cast)
    for number in stage.numbers[:2]:
        stage.play(number, ended=False)
        assert judge.look() == 0
    for number in stage.numbers[:2]:
        (stage.made.folder / "exams").mkdir(exist_ok=True)
        (stage.made.folder / "exams" / f"{number:09d}.json").write_text("{}")
    assert judge.look() == 2
    assert stage.seen == [["ADT^A04", "OMG^O19", "C-STORE"]] * 2


def test_at_the_end_every_sampled_exam_is_judged_again(stage):
    for number in stage.numbers:
        stage.play(number)
    truth.Truth(stage.made.folder, stage.cast).look()
    said = truth.Truth(stage.made.folder, stage.cast).finish()
    every = len(stage.numbers)
    assert (said.word, said.exams, said.during, said.rules["INV-99"]["passed"]) == (
        "met",
        every,
        every,
        every,
    )
    assert [one["when"] for one in truth.read(stage.made.folder)] == ["during"] * every + ["after"] * every


def test_a_broken_rule_is_missed_and_named(stage):
    stage.play(stage.numbers[0])
    stage.finding = Finding([Difference("worklist: accession", "A1", "A2")], 1)
    said = truth.Truth(stage.made.folder, stage.cast).finish()
    assert said.word == "missed"
    assert said.broken == [
        f"exam {stage.numbers[0]} breaks INV-99: worklist: accession: expected A1, found A2"
    ]


def test_what_was_only_late_is_not_held_against_anybody(stage):
    for number in stage.numbers:
        stage.play(number)
    judge = truth.Truth(stage.made.folder, stage.cast)
    stage.finding = Finding([Difference("report", "final", "nothing")], 1)
    judge.look()
    stage.finding = Finding(reached=1)
    said = judge.finish()
    assert (said.word, said.late) == ("met", len(stage.numbers))


@pytest.mark.parametrize(
    "finding", [NoAnswer("no answer within 10 s"), Finding(unsure="lost"), Broken("gone")]
)
def test_a_rule_that_nobody_can_tell_is_untold(stage, finding):
    stage.play(stage.numbers[0])
    stage.finding = finding
    assert truth.Truth(stage.made.folder, stage.cast).finish().word == "untold"


def test_a_journal_that_cannot_be_read_is_untold(stage):
    stage.play(stage.numbers[0])
    stage.cast.host.gone = True
    said = truth.Truth(stage.made.folder, stage.cast).finish()
    assert said.word == "untold"
    assert "could not be read" in said.sentence


def test_no_sampled_exam_at_all_is_untold(stage):
    said = truth.Truth(stage.made.folder, stage.cast).finish()
    assert said.untold == ["no sampled exam was judged by the standing rules"]


def test_a_run_that_samples_nothing_asks_nothing(stage, monkeypatch):
    monkeypatch.setattr(truth, "agenda", lambda _plan: [])
    assert truth.Truth(stage.made.folder, stage.cast).finish().word == "met"


def test_exams_that_nobody_saw_anything_of_are_untold(stage):
    """An empty set of facts breaks no rule, and keeps none either."""
    (stage.made.folder / "exams").mkdir()
    (stage.made.folder / "exams" / f"{stage.numbers[0]:09d}.json").write_text("{}")
    stage.finding = Finding()
    said = truth.Truth(stage.made.folder, stage.cast).finish()
    assert said.word == "untold"
