"""Functional truth under load: a sampled share of the exams is judged by every standing rule, while the load runs and again after it.

A load exam is a clinical case like any other. What the simulated systems saw of it in their journals are the facts that
:mod:`stepwedge.checks.rules` judges, with what the systems show when they are asked. Which exams are sampled is in the plan, whose
identifiers are whose in the ledger. A rule that is broken while the load runs may only see what is late: what counts is how it stands
at the end.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from stepwedge.checks.rules import CaseFacts, rules
from stepwedge.clock import moment
from stepwedge.errors import StepwedgeError
from stepwedge.load.arrivals import agenda
from stepwedge.load.plan import Plan
from stepwedge.scenario.case import Feed, Key, identities, is_query

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from stepwedge.actors.cast import Cast
    from stepwedge.evidence.exchange import Exchange

RECORD: Final = "truth.jsonl"
EXAMS: Final = "exams"
LEDGERS: Final = "ledger/*.jsonl"
EARLY: Final = 5000
"""Registrations that are kept until their order shows whose they are."""
BUDGET: Final = 0.5
"""Seconds of one look while the load runs: the judge shares the machine with what it judges."""
LEAST: Final = 0.5
"""Share of the sampled exams that must have been judged: what was cut off tells nothing."""
_KINDS: Final = {"order": "placer", "instance": "sop", "commitment": "transaction"}
"""Kinds of the ledger whose identity is known in the journal under another name."""
_KEYS: Final = ("patient", "accession", "placer", "study", "mpps")
_SHOWN: Final = 3


@dataclass
class Truths:
    """What the sampled exams came to.

    Attributes:
        exams: how many were judged at the end; ``sampled`` how many were planned, ``during`` how many were judged under load.
        rules: by rule, how often it passed, failed, was inconclusive or not reached.
        late: findings under load that were no longer there at the end.
    """

    exams: int = 0
    sampled: int = 0
    during: int = 0
    late: int = 0
    rules: dict[str, Counter[str]] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    untold: list[str] = field(default_factory=list)

    @property
    def word(self) -> Literal["met", "missed", "untold"]:
        """``missed`` when a rule is broken, ``untold`` when an exam could not be judged or none was."""
        if self.broken:
            return "missed"
        return "untold" if self.untold else "met"

    @property
    def sentence(self) -> str:
        """The result as one clause."""
        if not self.broken:
            return self.untold[0] if self.untold else f"{self.exams} sampled exams keep every standing rule"
        names = ", ".join(rule for rule, counts in self.rules.items() if counts["failed"])
        exams = {line.partition(" breaks ")[0] for line in self.broken}
        word = "breaks" if len(exams) == 1 else "break"
        return f"{len(exams)} of {self.exams} sampled exams {word} standing rules ({names})"


@dataclass
class _Exam:
    """One sampled exam: what it knows, and what is known of it."""

    number: int
    known: set[Key] = field(default_factory=set)
    seen: list[Exchange] = field(default_factory=list)
    told: dict[str, Any] | None = None
    suspect: bool = False
    judged: bool = False


class Truth:
    """Judges the sampled exams of one run; :meth:`look` while it runs, :meth:`finish` once at its end."""

    def __init__(self, folder: Path, cast: Cast) -> None:
        """Read from the run's ``folder`` and the journals of the simulated systems of ``cast``."""
        self.folder, self.cast = folder, cast
        self._feed = Feed(cast.host)
        self._plan = Plan.read(folder)
        sampled = (
            one.number for one in agenda(self._plan) if one.kind == "exam" and one.facts.get("sampled")
        )
        self._exams = {number: _Exam(number) for number in sampled}
        self._whose: dict[Key, _Exam] = {}
        self._read: dict[Path, int] = {}
        self._early: list[Exchange] = []
        self._during = 0

    def look(self, budget: float = BUDGET) -> int:
        """Judge exams that have ended since, for ``budget`` seconds at most; return how many.

        None as long as a journal cannot be read: a load ends systems on purpose, and :meth:`finish` reads it all.
        """
        try:
            self._gather()
        except StepwedgeError:
            return 0
        until, judged = time.monotonic() + budget, 0
        for exam in [one for one in self._exams.values() if one.told is not None and not one.judged]:
            if time.monotonic() >= until:
                break
            exam.judged = True
            records = list(self._judge(exam, "during"))
            exam.suspect = any(one["verdict"] == "failed" for one in records)
            self._write(records)
            judged += 1
        self._during += judged
        return judged

    def finish(self) -> Truths:
        """Judge every sampled exam once more, now that everything has arrived that will; return what they came to."""
        said = Truths(sampled=len(self._exams), during=self._during or _judged_before(self.folder))
        try:
            self._gather()
        except StepwedgeError as trouble:
            said.untold.append(f"the journals of the simulated systems could not be read: {trouble}")
            return said  # half of the evidence would make rules look broken
        for exam in self._exams.values():
            if exam.told is None:
                continue  # it was cut off by the end of the run; what it sent is reconciled
            records = list(self._judge(exam, "after"))
            self._write(records)
            said.exams += bool(records)  # an exam that nobody saw anything of keeps no rule
            said.late += exam.suspect and not any(one["verdict"] == "failed" for one in records)
            _count(said, exam.number, records)
        if self.cast.host is not None and said.exams < said.sampled * LEAST:
            few = (
                f"only {said.exams} of {said.sampled} sampled exams were"
                if said.exams
                else "no sampled exam was"
            )
            said.untold.append(f"{few} judged by the standing rules")
        return said

    # -- gathering ------------------------------------------------------------------------------------------------------------------

    def _gather(self) -> None:
        """Take what is new: the journals first, so that the ledger, written before anything is sent, knows whose it is."""
        new = self._early + self._feed.take()
        for line in self._lines():
            self._learn(line)
        for path in sorted((self.folder / EXAMS).glob("*.json")):
            exam = self._exams.get(int(path.stem)) if path.stem.isdigit() else None
            if exam is not None and exam.told is None:
                exam.told = json.loads(path.read_text(encoding="utf-8"))
        self._early = []
        for exchange in new:
            owners = {
                id(one): one for key in identities(exchange) if (one := self._whose.get(key)) is not None
            }
            for exam in owners.values():
                exam.seen.append(exchange)
                self._know(exam, () if is_query(exchange) else identities(exchange))
            if not owners and exchange.kind.startswith("ADT"):
                self._early.append(
                    exchange
                )  # registered before it was ordered: whose it is shows with the order
        self._early = self._early[-EARLY:]

    def _lines(self) -> Iterator[dict[str, Any]]:
        """Yield ledger lines that are new and whole."""
        for path in sorted(self.folder.glob(LEDGERS)):
            with path.open("rb") as file:
                file.seek(self._read.get(path, 0))
                data = file.read()
            whole = data.rfind(b"\n") + 1
            self._read[path] = self._read.get(path, 0) + whole
            for line in data[:whole].splitlines():
                if b'"exam"' in line:
                    with contextlib.suppress(ValueError):
                        yield json.loads(line)

    def _learn(self, line: dict[str, Any]) -> None:
        """Take over the identifiers of a ledger line of a sampled exam."""
        exam = self._exams.get(line["exam"])
        if exam is not None:
            kind = _KINDS.get(line["kind"], line["kind"])
            found = {(kind, str(line["id"]))} | {(key, str(line[key])) for key in _KEYS if line.get(key)}
            self._know(exam, found)

    def _know(self, exam: _Exam, keys: Iterable[Key]) -> None:
        for key in keys:
            exam.known.add(key)
            self._whose.setdefault(key, exam)

    # -- judging --------------------------------------------------------------------------------------------------------------------

    def _judge(self, exam: _Exam, when: str) -> Iterator[dict[str, Any]]:
        ordered = sorted(exam.seen, key=lambda one: one.at + one.took)
        facts = CaseFacts.of([replace(one, number=at) for at, one in enumerate(ordered, 1)], self.cast)
        for rule in rules():
            try:
                finding = rule.judge(facts)
            except Exception as trouble:  # noqa: BLE001 - a rule that breaks has judged nothing, and must not end the others
                yield _record(exam, rule.id, when, "inconclusive", unsure=str(trouble) or repr(trouble))
                continue
            if finding.verdict != "skipped":
                differences = [[one.path, one.expected, one.found] for one in finding.differences]
                yield _record(
                    exam,
                    rule.id,
                    when,
                    finding.verdict,
                    reached=finding.reached,
                    differences=differences,
                    unsure=finding.unsure,
                )

    def _write(self, records: Iterable[dict[str, Any]]) -> None:
        with (self.folder / RECORD).open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(one, ensure_ascii=False) + "\n" for one in records)


def _record(exam: _Exam, rule: str, when: str, verdict: str, **more: Any) -> dict[str, Any]:
    return {
        "exam": exam.number,
        "rule": rule,
        "when": when,
        "at": round(moment(), 3),
        "verdict": verdict,
        **more,
    }


def _judged_before(folder: Path) -> int:
    """Return how many exams another one judged while the load ran."""
    exams = {one["exam"] for one in read(folder) if one["when"] == "during"}
    return len(exams)


def read(folder: Path) -> list[dict[str, Any]]:
    """Return every judgement that was written down."""
    path = folder / RECORD
    return (
        [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
    )


def _count(said: Truths, exam: int, records: Iterable[dict[str, Any]]) -> None:
    for one in records:
        said.rules.setdefault(one["rule"], Counter())[one["verdict"]] += 1
        if one["verdict"] == "failed":
            shown = "; ".join(
                f"{path}: expected {expected}, found {found}"
                for path, expected, found in one["differences"][:_SHOWN]
            )
            said.broken.append(f"exam {exam} breaks {one['rule']}: {shown}")
        elif one["verdict"] == "inconclusive":
            said.untold.append(f"exam {exam}: of {one['rule']} nobody can tell: {one['unsure']}")
