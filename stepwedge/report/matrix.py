"""Which scenario and which standing rule caught which quirk: the proof that the scenarios notice what they should."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from rich.markup import escape
from rich.table import Table

from stepwedge.errors import BadInput
from stepwedge.lab import prove
from stepwedge.report import html, run_model, summary, timeline
from stepwedge.report.atomic import replace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rich.console import Console

    from stepwedge.lab.defects import Defect
    from stepwedge.report.run_model import Case, Record
    from stepwedge.sim.quirks import Quirk

_STYLES: Final = {"caught": "green", "missed": "bold red", "inconclusive": "yellow", "elsewhere": "dim"}
_TELLING: Final = ("elsewhere", "inconclusive", "missed", "caught")
"""Outcomes, by how much they say about a quirk."""
NOT_HERE: Final = "not in this lab: what it changes is not there"
_SHOWN: Final = 160
_CASES: Final = 3


@dataclass(frozen=True)
class Catch:
    """One case that a quirk turned red.

    Attributes:
        step: the step that noticed it, such as ``expect worklist.no_entry``; empty when only standing rules did.
        rules: the standing rules that noticed it.
        sign: the first difference, or the first line of the failure.
        message: the exchange that betrayed it.
    """

    case: str
    step: str
    rules: list[str]
    sign: str
    message: str


@dataclass
class Row:
    """One quirk and what became of it.

    Attributes:
        lab: the lab it was tried in; empty when it was in none, because it can act in none that was to be used.
        wanted: it was asked for by name, so that having tried it nowhere is no answer.
    """

    quirk: str
    role: str
    defect: str
    severity: str
    notices: str
    lab: str = ""
    wanted: bool = False
    acted: int = 0
    catches: list[Catch] = field(default_factory=list)
    verdicts: dict[str, str] = field(default_factory=dict)
    trouble: str = ""

    @property
    def outcome(self) -> str:
        """``caught``, ``missed``, ``inconclusive`` when it never acted or the run could not tell, ``elsewhere`` when not tried."""
        if not self.lab:
            return "inconclusive" if self.wanted else "elsewhere"
        if self.trouble or not self.acted:
            return "inconclusive"
        return "caught" if self.catches else "missed"

    @property
    def steps(self) -> list[str]:
        """The steps that noticed it, each once."""
        return list(dict.fromkeys(catch.step for catch in self.catches if catch.step))

    @property
    def rules(self) -> list[str]:
        """The standing rules that noticed it, each once."""
        return sorted({rule for catch in self.catches for rule in catch.rules}, key=summary.natural)

    @property
    def why(self) -> str:
        """Why it was not caught."""
        if not self.lab:
            return NOT_HERE
        if self.trouble:
            return self.trouble
        if not self.acted:
            return "the quirk never acted: no scenario led there"
        return "" if self.catches else "it acted, and no scenario turned red"

    def tells_more(self, other: Row) -> bool:
        """Tell whether it says more about the quirk than what another lab said."""
        return _TELLING.index(self.outcome) > _TELLING.index(other.outcome)


@dataclass
class Matrix:
    """The whole proof.

    Attributes:
        stains: cases of clean runs that were played and did not pass, each with its lab, run, verdict and reason.
        left: how many runs were still to be made when this was written.
    """

    seed: int
    left: int = 0
    cases: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    clean_runs: int = 0
    stains: list[dict[str, str]] = field(default_factory=list)

    @property
    def exit(self) -> int:
        """0 when every quirk was caught and the clean runs are spotless; 1 when not; 3 when nobody can tell."""
        outcomes = {row.outcome for row in self.rows}
        if "missed" in outcomes or any(stain["verdict"] == "failed" for stain in self.stains):
            return 1
        return 3 if self.left or "inconclusive" in outcomes or self.stains or not self.clean_runs else 0

    def settle(self) -> None:
        """Take back what a case that is red in the same lab without any quirk seemed to catch."""
        red = {(stain["lab"], stain["case"]) for stain in self.stains}
        for row in self.rows:
            row.catches = [catch for catch in row.catches if (row.lab, catch.case) not in red]

    @property
    def tried(self) -> list[Row]:
        """The quirks that count: those that can act in a lab that was used, and those asked for by name."""
        return [row for row in self.rows if row.outcome != "elsewhere"]

    @property
    def caught(self) -> int:
        """How many quirks were caught."""
        return sum(row.outcome == "caught" for row in self.rows)


def add_clean(matrix: Matrix, lab: str, folder: Path) -> None:
    """Take in a run without quirks: every case that this lab can play must pass."""

    def stain(verdict: str, message: str, case: str = "") -> None:
        said = {"lab": lab, "run": folder.name, "case": case, "verdict": verdict, "message": message}
        matrix.stains.append(said)

    try:
        run = run_model.read(folder)
    except BadInput as trouble:
        stain("broken", str(trouble))
        return
    matrix.clean_runs += 1
    matrix.cases = list(dict.fromkeys([*matrix.cases, *(case.id for case in run.cases)]))
    if run.aborted or not any(case.verdict == "passed" for case in run.cases):
        stain("broken", "the run was aborted" if run.aborted else "no case passed")
    for case in run.cases:
        if case.verdict not in {"passed", "skipped"}:
            stain(case.verdict, case.message, case.id)


def elsewhere(name: str, role: str, quirk: Quirk, *, wanted: bool) -> Row:
    """Return the row of a quirk that was tried in no lab."""
    return Row(name, role, quirk.defect, quirk.severity, quirk.notices, wanted=wanted)


def row(name: str, role: str, quirk: Quirk, lab: str, folder: Path) -> Row:
    """Return what became of one quirk in its run in one lab."""
    said = Row(name, role, quirk.defect, quirk.severity, quirk.notices, lab)
    try:
        run = run_model.read(folder)
        said.acted = prove.acted(folder, name)
    except (BadInput, ValueError) as trouble:
        said.trouble = str(trouble).splitlines()[0]
        return said
    said.verdicts = {case.id: case.verdict for case in run.cases}
    said.catches = [_catch(case) for case in run.cases if case.verdict == "failed"]
    broken = next((case for case in run.cases if case.verdict == "broken"), None)
    if not said.catches and (run.aborted or broken):
        said.trouble = broken.message.splitlines()[0] if broken and broken.message else "the run was aborted"
    return said


def _catch(case: Case) -> Catch:
    """Say what turned a case red, and which message betrayed it."""
    steps = [step for step in case.steps if step.get("verdict") == "failed"]
    rules = [rule for rule in case.rules if summary.rule_verdict(rule) == "failed"]
    record: Record = next(iter([*steps, *rules]), {})
    numbers = record.get("evidence") or []
    exchange = next((one for one in case.exchanges if one["number"] in numbers), None)
    step = f"{steps[0]['kind']} {steps[0]['word']}" if steps else ""
    return Catch(
        case.id, step, [str(rule["rule"]) for rule in rules], _sign(record, case), _message(exchange)
    )


def _sign(record: Record, case: Case) -> str:
    if differences := record.get("differences"):
        first = differences[0]
        where = f"{first['path']}: " if first["path"] else ""
        return f"{where}expected {first['expected']}, found {first['found']}"
    lines = str(record.get("message") or case.message).strip().splitlines()
    return lines[0] if lines else ""


def _message(exchange: Record | None) -> str:
    if exchange is None:
        return ""
    sender, receiver = timeline.ends(exchange)
    return f"#{exchange['number']:04d} {exchange['kind']} {sender} → {receiver}"


def write(matrix: Matrix, folder: Path) -> None:
    """Write ``matrix.json`` and ``matrix.html``."""
    replace(folder / "matrix.json", json.dumps(as_json(matrix), indent=1, ensure_ascii=False) + "\n")
    page = html.environment().get_template("matrix.html.j2")
    replace(folder / "matrix.html", page.render(matrix=matrix))


def as_json(matrix: Matrix) -> dict[str, Any]:
    """Return the proof as JSON values."""
    rows = [{**asdict(row), "outcome": row.outcome, "why": row.why} for row in matrix.rows]
    return {
        "exit": matrix.exit,
        "left": matrix.left,
        "seed": matrix.seed,
        "quirks": len(matrix.tried),
        "caught": matrix.caught,
        "clean_runs": matrix.clean_runs,
        "stains": matrix.stains,
        "cases": matrix.cases,
        "rows": rows,
    }


def say(console: Console, matrix: Matrix, folder: Path) -> None:
    """Print the proof."""
    if matrix.rows:
        table = Table(title="Which scenario caught which quirk", title_justify="left", show_lines=True)
        for column in ("quirk", "acted", "outcome", "scenarios", "steps and rules", "first sign"):
            table.add_column(column, overflow="fold")
        for row in matrix.rows:
            table.add_row(*_cells(row))
        console.print(table)
    for stain in matrix.stains:
        run = f"{stain['lab']}/{stain['run']}"
        text = f"clean run {run}: {stain['case']} {stain['verdict']}: {stain['message']}"
        console.print(escape(text), style="red", highlight=False, soft_wrap=True)
    spotless = "spotless" if matrix.clean_runs and not matrix.stains else "NOT spotless"
    runs = f"{matrix.clean_runs} clean {'run' if matrix.clean_runs == 1 else 'runs'} {spotless}"
    quirks = f"{matrix.caught} of {len(matrix.tried)} quirks caught; " if matrix.rows else ""
    here = len(matrix.rows) - len(matrix.tried)
    console.print(f"\n{quirks}{runs}{f'; {here} quirks not in this lab' if here else ''}", highlight=False)
    if matrix.rows:
        console.print(f"  matrix {folder / 'matrix.html'}", highlight=False, soft_wrap=True)


def catalogue(
    console: Console, quirks: Mapping[str, tuple[str, Quirk]], labs: Mapping[str, Sequence[str]]
) -> None:
    """Print quirks, each with its defect and the labs it can act in, in the order in which they are tried."""
    table = Table(title="Known wrong behaviours", title_justify="left")
    for column in ("quirk", "role", "defect", "severity", "lab", "what a person would notice"):
        table.add_column(column, overflow="fold")
    for name, (role, quirk) in quirks.items():
        places = ", ".join(labs[name]) or "not in this lab"
        table.add_row(*map(escape, (name, role, quirk.defect, quirk.severity, places, quirk.notices)))
    console.print(table)


def without_quirk(console: Console, defects: Mapping[str, Defect]) -> None:
    """Print the known defects that are no quirk, each with its reason."""
    left = {number: defect for number, defect in defects.items() if not defect.quirks}
    table = Table(
        title=f"Known defects: {len(defects) - len(left)} of {len(defects)} are quirks; the others",
        title_justify="left",
    )
    for column in ("defect", "severity", "stands", "why"):
        table.add_column(column, overflow="fold")
    for number, defect in left.items():
        table.add_row(*map(escape, (number, defect.severity, defect.standing, defect.reason)))
    console.print(table)


def _cells(row: Row) -> list[str]:
    cases = [catch.case for catch in row.catches]
    shown = [*cases[:_CASES], *([f"and {len(cases) - _CASES} more"] if len(cases) > _CASES else [])]
    by = "\n".join([*row.steps, " ".join(row.rules)]).strip()
    first = row.catches[0] if row.catches else None
    sign = f"{first.sign[:_SHOWN]}\n{first.message}".strip() if first else row.why
    outcome = f"[{_STYLES[row.outcome]}]{row.outcome}[/]"
    cells = [
        f"{row.quirk}\n{row.role}, {row.defect}, {row.severity}{f', {row.lab}' if row.lab else ''}",
        str(row.acted),
        "\n".join(shown),
        by,
        sign,
    ]
    name, acted, *rest = (escape(cell) for cell in cells)
    return [name, acted, outcome, *rest]
