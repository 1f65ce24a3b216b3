"""What a load run came to: gates, reconciliation and sampled truth in one word, one sentence, and one exit code.

0 met, 1 missed, 2 nobody can tell. A lost study is *missed* whatever the throughput; a lost worker, a saturated generator or a
question without an answer is *untold*, never met.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import StepwedgeError
from stepwedge.load import capacity, gates, limits, machine, reading, reconcile, traces, truth, watching
from stepwedge.load.ledger import Account
from stepwedge.load.measures import Series
from stepwedge.load.plan import Plan
from stepwedge.report.atomic import replace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from stepwedge.actors.cast import Cast
    from stepwedge.lab.labfile import Lab
    from stepwedge.load.gates import Gate, Word
    from stepwedge.load.reconcile import Reconciliation
    from stepwedge.load.truth import Truths

LEDGER: Final = "ledger"
MEASURES: Final = "measures"
EXITS: Final[dict[Word, int]] = {"met": 0, "missed": 1, "untold": 2}
HEADS: Final[dict[Word, str]] = {"met": "Met", "missed": "Missed", "untold": "Nobody can tell"}
GRAVE: Final = ("I1", "I7", "I6", "I5", "I2", "I3", "I4")
"""Promises, the gravest first: what was lost, what is another patient's, what was altered."""
_LOOK: Final = 0.25
_SHOWN: Final = 12


@dataclass(frozen=True)
class Verdict:
    """What one load run came to.

    Attributes:
        word: ``met``, ``missed`` or ``untold``.
        headline: the verdict as one sentence.
        first: what was not met first, as a sentence; empty when everything was.
        side: whose fault that was: ``system``, ``generator`` or ``unknown``.
    """

    word: Word
    headline: str
    first: str
    side: capacity.Side
    gates: list[Gate] = field(default_factory=list)
    reconciliation: Reconciliation = field(default_factory=reconcile.Reconciliation)
    truths: Truths = field(default_factory=truth.Truths)

    @property
    def exit_code(self) -> int:
        """0 met, 1 missed, 2 nobody can tell."""
        return EXITS[self.word]

    @property
    def answers(self) -> list[tuple[str, Word, str]]:
        """What whoever answers for the systems asks first: the question, the word, and a sentence."""
        held = [one for one in self.gates if not one.generator]
        fit = [one for one in self.gates if one.generator]
        met = sum(1 for one in held if one.verdict == "met")
        unfit = next((one.said for one in fit if one.verdict != "met"), "")
        truths = (
            self.truths.sentence if self.truths.exams or self.truths.word != "met" else "no exam was sampled"
        )
        fast = f"{met} of {len(held)} gates were met"
        if any(one.follows for one in held):
            fast = "whose times these are nobody can tell, because the generator was not fit"
        return [
            ("Was it fast enough?", gates.verdict(held), fast),
            ("Was anything lost or mixed up?", self.reconciliation.word, self.reconciliation.sentence),
            ("Was it clinically right?", self.truths.word, truths),
            (
                "Can the figures be believed?",
                gates.verdict(fit),
                unfit or "the load generator kept up and was never late",
            ),
        ]

    @property
    def lines(self) -> list[str]:
        """What to print: the headline, then what was not met, the worst first."""
        wrong = [*self.wrong("missed"), *self.wrong("untold")]
        more = [f"and {len(wrong) - _SHOWN} more, see the report"] if len(wrong) > _SHOWN else []
        return [self.headline, *wrong[:_SHOWN], *more]

    def wrong(self, word: Word) -> list[str]:
        """Return the sentences of what came to ``word``: promises first, then sampled exams, then gates."""
        findings = [one for one in self.reconciliation.findings if one.untold == (word == "untold")]
        findings.sort(key=lambda one: GRAVE.index(one.promise) if one.promise in GRAVE else len(GRAVE))
        told = [f"{one.promise}: {one.said}" for one in findings]
        if word == "untold" and not findings and self.reconciliation.word == "untold":
            told.append(self.reconciliation.sentence)
        told += self.truths.broken if word == "missed" else self.truths.untold
        return told + [one.said for one in self.gates if one.verdict == word and not one.follows]


def judge(folder: Path, lab: Lab, cast: Cast, *, trouble: Sequence[str] = ()) -> Verdict:
    """Judge a run while its systems still run; write ``gates.json``, ``reconciliation.json``, ``summary.json`` and ``load.html``.

    ``trouble`` is what whoever drove it saw go wrong, such as a worker that died; any of it makes the run untold.
    """
    plan = Plan.read(folder)
    asked = limits.load(plan.gates, lab.file)
    account, series = Account.read(folder / LEDGER), Series.read(folder / MEASURES)
    drained = drain(cast, asked)
    truths = truth.Truth(folder, cast).finish()
    facts = gates.Facts(
        plan,
        asked,
        series,
        account,
        trouble,
        watching.read(folder),
        drained,
        gates.marks(folder),
        gates.marks(folder, "done"),
        gates.unfinished(folder),
    )
    found = machine.shared(facts, gates.judge(facts))
    said = conclude(plan, found, reconcile.reconcile(account, reading.read(account, cast, plan)), truths)
    write(folder, plan, said)
    return said


def drain(cast: Cast, asked: limits.Limits) -> gates.Drained:
    """Wait until the queues of simulated systems are short, as long as allowed; return how that went."""
    players = [player for player in cast if player.admin is not None]
    if not players:
        return gates.Drained(None)
    began = time.monotonic()
    while True:
        lengths = {player.name: _waiting(player) for player in players}
        waiting = sum(length for length in lengths.values() if length is not None)
        silent = tuple(name for name, length in lengths.items() if length is None)
        took = time.monotonic() - began
        if waiting < asked.queue.waiting.value and not silent:
            return gates.Drained(took, waiting)
        if took >= asked.queue.within.value:
            return gates.Drained(math.inf, waiting, silent)
        time.sleep(_LOOK)


def _waiting(player: Any) -> int | None:
    try:
        return int(player.admin.health_of()["waiting"])
    except StepwedgeError:
        return None


def conclude(plan: Plan, found: list[Gate], reconciled: Reconciliation, truths: Truths) -> Verdict:
    """Combine what was found into one verdict: what is missed decides, then what nobody can tell."""
    words = {gates.verdict(found), reconciled.word, truths.word}
    word: Word = "missed" if "missed" in words else "untold" if "untold" in words else "met"
    draft = Verdict(word, "", "", "", found, reconciled, truths)
    wrong = draft.wrong(word) if word != "met" else []
    first = wrong[0] if wrong else ""
    side: capacity.Side = capacity.side(found)
    if word == "missed":
        side = "system"
    elif word == "untold" and side != "generator":
        side = "unknown"
    return Verdict(word, _headline(plan, draft, wrong), first, side, found, reconciled, truths)


def _headline(plan: Plan, draft: Verdict, wrong: Sequence[str]) -> str:
    times = f"{plan.times:g} times " if plan.times != 1 else ""
    what = f"{times}{plan.title}"
    if draft.word == "met":
        held = sum(1 for one in draft.gates if not one.generator)
        return f"Met: {what}: all {held} gates; {draft.reconciliation.sentence}"
    causes = list(_causes(draft, wrong))
    return f"{HEADS[draft.word]}: {what}: {'; '.join(causes[:2])}"


def _causes(draft: Verdict, wrong: Sequence[str]) -> Iterator[str]:
    """Yield what decided, each kind in one clause: promises first, then the sampled exams, then gates."""
    if draft.reconciliation.word == draft.word:
        yield draft.reconciliation.sentence
    if draft.truths.word == draft.word:
        yield draft.truths.sentence
    told = [one for one in draft.gates if one.verdict == draft.word and not one.follows]
    if told:
        more = f", and {len(told) - 1} more" if len(told) > 1 else ""
        yield f"{told[0].said}{more}"
    if draft.reconciliation.word != draft.word != draft.truths.word and not told:
        yield from wrong[:1]


def write(folder: Path, plan: Plan, said: Verdict) -> None:
    """Write what came of a run, and its page."""
    from stepwedge.load import page

    told = {
        "case": plan.case,
        "title": plan.title,
        "verdict": said.word,
        "exit": said.exit_code,
        "headline": said.headline,
        "side": said.side,
        "answers": [
            {"question": question, "word": word, "said": text} for question, word, text in said.answers
        ],
        "missed": said.wrong("missed"),
        "untold": said.wrong("untold"),
        "seed": plan.seed,
        "times": plan.times,
        "traces": traces.export(folder),
    }
    parts: dict[str, Any] = {
        "gates.json": [one.to_json() for one in said.gates],
        "reconciliation.json": said.reconciliation.to_json(),
        "summary.json": told,
    }
    for name, value in parts.items():
        replace(folder / name, json.dumps(value, indent=1, ensure_ascii=False, default=str) + "\n")
    page.write(folder)
