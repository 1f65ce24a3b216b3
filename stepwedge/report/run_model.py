"""Read the journal of a run, whole or torn, into one value that every report is a projection of.

A run that was killed in the middle has no ``end`` record and may end in half a line. Then the run is *aborted*, and
every case without a verdict is *skipped, not run*: nothing unknown becomes passed.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import BadInput
from stepwedge.scenario.verdict import Verdict

if TYPE_CHECKING:
    from pathlib import Path

Record = dict[str, Any]

VERDICTS: Final = tuple(str(word) for word in Verdict)
"""All verdict words, the one that decides first."""

_INTERRUPTED: Final = 2
NOT_RUN = "not run: the run ended before this case did"


@dataclass
class Follower:
    """Reads the growing journals of one run folder; a line that is not complete yet waits for its rest."""

    folder: Path
    torn: list[str] = field(default_factory=list)
    _offsets: dict[Path, int] = field(default_factory=dict)

    def new(self) -> list[Record]:
        """Return the records that became complete since the last call, each journal in its order."""
        records: list[Record] = []
        for path in sorted(self.folder.glob("journal*.jsonl")):
            with path.open("rb") as file:
                file.seek(self._offsets.get(path, 0))
                data = file.read()
            end = data.rfind(b"\n") + 1
            self._offsets[path] = self._offsets.get(path, 0) + end
            read = (self._record(path, line) for line in data[:end].splitlines())
            records += [record for record in read if record is not None]
        return records

    @property
    def journals(self) -> list[Path]:
        """The journals that were found."""
        return list(self._offsets)

    def rest(self) -> None:
        """Note what stands behind the last complete line: the writer was stopped there."""
        for path, offset in self._offsets.items():
            if (left := path.stat().st_size - offset) > 0:
                self.torn.append(f"{path.name}: the last line is torn after {left} bytes")

    def _record(self, path: Path, line: bytes) -> Record | None:
        if not line.strip():
            return None
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if not isinstance(record, dict) or "record" not in record:
            self.torn.append(f"{path.name}: one line is not a record ({line[:40]!r})")
            return None
        return record


@dataclass
class Case:
    """One variant of one scenario: what it was to show, what happened, and the verdict."""

    about: Record
    steps: list[Record] = field(default_factory=list)
    exchanges: list[Record] = field(default_factory=list)
    rules: list[Record] = field(default_factory=list)
    faults: list[Record] = field(default_factory=list)
    ledger: Record | None = None
    end: Record | None = None

    def take(self, kind: str, record: Record) -> None:
        """Put one of its records where it belongs."""
        if kind == "exchange":
            self.exchanges.append(record["exchange"])
        elif kind in {"step", "rule"}:
            (self.steps if kind == "step" else self.rules).append(record)
        elif kind == "fault" and record["event"] == "lifted":
            self.faults.append(record)
        elif kind == "ledger":
            self.ledger = record
        elif kind == "verdict":
            self.end = record

    @property
    def id(self) -> str:
        """``scenario[variant]``."""
        return str(self.about["case"])

    @property
    def verdict(self) -> str:
        """The verdict; a case that never came to one was not run."""
        word = str(self.end["verdict"]) if self.end else "skipped"
        return word if word in VERDICTS else "broken"

    @property
    def message(self) -> str:
        """Why the verdict is what it is."""
        return str(self.end.get("message") or "") if self.end else NOT_RUN

    @property
    def took(self) -> float:
        """Seconds from start to verdict."""
        return float(self.end.get("took") or 0.0) if self.end else 0.0

    @property
    def left_out(self) -> list[Record]:
        """The steps that were left out, with their reasons."""
        return [step for step in self.steps if step.get("left_out")]

    def get(self, key: str, default: Any = "") -> Any:
        """Return what the case record says about ``key``."""
        value = self.about.get(key)
        return default if value is None else value


@dataclass
class Run:
    """One run folder, read.

    Attributes:
        about: the ``run`` record (empty when the run died before it was written).
        end: the ``end`` record; ``None`` means the run was aborted.
        torn: what could not be read.
    """

    folder: Path
    about: Record = field(default_factory=dict)
    cases: list[Case] = field(default_factory=list)
    end: Record | None = None
    torn: list[str] = field(default_factory=list)

    @property
    def id(self) -> str:
        """The run's name, which is its folder's."""
        return str(self.about.get("id") or self.folder.name)

    @property
    def aborted(self) -> bool:
        """Whether the run was stopped before its end, from outside or by Ctrl-C."""
        interrupted = self.end is None or self.end.get("exit") == _INTERRUPTED
        return interrupted or any(case.end is None for case in self.cases)

    @property
    def counts(self) -> dict[str, int]:
        """How many cases came to which verdict."""
        found = Counter(case.verdict for case in self.cases)
        return {word: found[word] for word in VERDICTS}

    @property
    def verdict(self) -> str:
        """The verdict of the run: one case decides for all; an aborted run never passes."""
        found = {case.verdict for case in self.cases}
        if found <= {"skipped", "passed"}:
            if self.aborted:
                return "inconclusive"
            return "passed" if "passed" in found else "skipped"
        return next(word for word in VERDICTS if word in found)

    @property
    def exit(self) -> int:
        """The exit code of the run: 0 passed, 1 failed, 3 broken or inconclusive, 5 nothing ran."""
        return {"passed": 0, "failed": 1, "skipped": 5}.get(self.verdict, 3)


def read(folder: Path) -> Run:
    """Read a run folder."""
    follower = Follower(folder)
    records = follower.new()
    if not follower.journals:
        raise BadInput(
            str(folder),
            "a run folder with a journal.jsonl",
            "none",
            "name a folder below runs/, or run again",
        )
    follower.rest()
    run = Run(folder)
    cases: dict[str, Case] = {}
    for record in records:
        add(run, cases, record)
    run.cases = list(cases.values())
    run.torn = follower.torn
    return run


def add(run: Run, cases: dict[str, Case], record: Record) -> None:
    """Put one record where it belongs; records of cases that never began are ignored."""
    kind = record["record"]
    if kind == "run":
        run.about = {**run.about, **record}  # written once before the lab stands, and again when it does
    elif kind == "end":
        run.end = record
    elif kind == "case":
        cases[str(record["case"])] = Case(record)
    elif (case := cases.get(str(record.get("case")))) is not None:
        case.take(kind, record)
