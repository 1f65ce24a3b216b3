"""The catalogue of clinical cases: which scenario carries each, what it exercises, and how it came out last.

``fixtures/catalogue.yaml`` lists every case with its severity and what it is about; scenarios say themselves which cases
they carry (``catalogue:``). A case that nothing carries is a hole, whether a reason for it is written down or not. A case of
volume is played by ``stepwedge load``, and no scenario need carry it.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from rich.markup import escape
from rich.table import Table

from stepwedge import kit
from stepwedge.errors import BadInput
from stepwedge.report.words import STYLES
from stepwedge.scenario.load import FLOWS, Unusable, load_scenario
from stepwedge.scenario.transactions import numbers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from rich.console import Console

    from stepwedge.scenario.load import ScenarioFile

FILE: Final = "fixtures/catalogue.yaml"
NOT_RUN: Final = "not run"
_WORST: Final = ("failed", "broken", "inconclusive", "skipped", "passed")
"""Verdicts, the one that decides first."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Entry(_Strict):
    """One case of the catalogue.

    Attributes:
        load: a case of volume.
        absent: why nothing carries it here.
    """

    severity: str = Field(pattern=r"^S[1-4]$")
    concerns: tuple[str, ...] = Field(min_length=1)
    title: str = Field(min_length=1)
    load: bool = False
    absent: str = ""


class Catalogue(_Strict):
    """Every case by its id, and what the tags of the concerns mean."""

    concerns: dict[str, str]
    cases: dict[str, Entry]


@dataclass(frozen=True, slots=True)
class Row:
    """One case of the catalogue and what became of it.

    Attributes:
        files: the scenarios that carry it.
        cases: their variants, as case ids.
        verdict: of the last run in which one was played; the worst of them decides.
        run: the folder of that run.
    """

    id: str
    entry: Entry
    files: tuple[str, ...] = ()
    cases: tuple[str, ...] = ()
    transactions: tuple[str, ...] = ()
    verdict: str = NOT_RUN
    run: str = ""

    @property
    def hole(self) -> bool:
        """Whether nothing carries it."""
        return not self.files and not self.entry.load


def read(path: Path | None = None) -> Catalogue:
    """Read the catalogue; a file that is none raises ``BadInput``."""
    path = path or kit.find(FILE)
    try:
        found = Catalogue.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except ValidationError as trouble:
        first = trouble.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadInput(str(path), first["msg"], f"{where}: {first['input']!r}"[:200]) from trouble
    except yaml.YAMLError as trouble:
        raise BadInput(str(path), "YAML", str(trouble)) from trouble
    if strange := {tag for entry in found.cases.values() for tag in entry.concerns} - found.concerns.keys():
        raise BadInput(
            str(path), f"tags of concerns: {', '.join(found.concerns)}", ", ".join(sorted(strange))
        )
    return found


def scenarios() -> list[ScenarioFile]:
    """Return every scenario file of the lab's material that can be read."""
    found = []
    for path in sorted(kit.find("scenarios").rglob("*.yaml")):
        if FLOWS in path.parts:
            continue
        try:
            found.append(load_scenario(path))
        except (Unusable, BadInput):
            continue  # `stepwedge check` says what is wrong with it; here it carries nothing
    return found


def verdicts(runs: Path) -> dict[str, tuple[str, str]]:
    """Return what each case came to in the last of the run folders below ``runs`` that played it, and that folder's name.

    A run that skipped a case says less than an older one that played it.
    """
    found: dict[str, tuple[str, str]] = {}
    told: list[tuple[str, str, list[Mapping[str, Any]]]] = []
    for path in runs.glob("*/summary.json"):
        if path.parent.is_symlink():
            continue
        try:
            said = json.loads(path.read_text(encoding="utf-8"))
            told.append((str(said.get("started") or ""), path.parent.name, list(said["cases"])))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # a run that is being written, or no run
    for _, run, cases in sorted(told, key=lambda one: one[:2]):
        for case in cases:
            name, verdict = str(case.get("case")), str(case.get("verdict"))
            if verdict != "skipped" or name not in found:
                found[name] = (verdict, run)
    return found


def rows(
    catalogue: Catalogue, files: Iterable[ScenarioFile], came_out: Mapping[str, tuple[str, str]]
) -> list[Row]:
    """Return every case of the catalogue, in its order; an id that no case has raises ``BadInput``."""
    carried: dict[str, list[ScenarioFile]] = {}
    for file in files:
        for id_ in file.model.catalogue:
            if id_ not in catalogue.cases:
                raise BadInput(f"{file.source.name}: catalogue", f"an id of {FILE}", id_)
            carried.setdefault(id_, []).append(file)
    return [_row(id_, entry, carried.get(id_, ()), came_out) for id_, entry in catalogue.cases.items()]


def _row(
    id_: str, entry: Entry, files: Iterable[ScenarioFile], came_out: Mapping[str, tuple[str, str]]
) -> Row:
    several = list(files)
    cases = [case for file in several for case in _cases(file)]
    ihe = dict.fromkeys(
        number for file in several for planned in file.steps() for number in numbers(planned.step.ihe or "")
    )
    played = [came_out[case] for case in cases if case in came_out]
    worst = min(
        played, key=lambda one: _WORST.index(one[0]) if one[0] in _WORST else 0, default=(NOT_RUN, "")
    )
    if worst[0] == "skipped" and any(verdict == "passed" for verdict, _ in played):
        worst = next(one for one in played if one[0] == "passed")
    return Row(
        id_,
        entry,
        tuple(str(file.source.name) for file in several),
        tuple(cases),
        tuple(ihe),
        *worst,
    )


def _cases(file: ScenarioFile) -> list[str]:
    name, variants = file.model.scenario, file.model.variants
    return [f"{name}[{variant.get('id')}]" for variant in variants] or [name]


def exit_code(found: Iterable[Row]) -> int:
    """Return 1 when a case has no scenario, 0 when every one has."""
    return int(any(row.hole for row in found))


def say(console: Console, found: list[Row]) -> None:
    """Print the catalogue, and what it has no scenario for."""
    table = Table(title="Clinical cases", title_justify="left")
    for column in ("case", "severity", "about", "carried by", "transactions", "last"):
        table.add_column(column, overflow="fold")
    for row in found:
        table.add_row(*_told(row))
    console.print(table)
    functional = [row for row in found if not row.entry.load]
    holes = [row for row in functional if row.hole]
    came = Counter(row.verdict for row in functional if not row.hole)
    shown = ", ".join(f"{count} {word}" for word, count in came.items())
    console.print(
        f"{len(found)} cases: {len(functional) - len(holes)} of {len(functional)} carried by scenarios"
        f" ({shown or 'none'}), {len(holes)} absent, {len(found) - len(functional)} played as load",
        highlight=False,
    )


def _told(row: Row) -> list[str]:
    about = f"{escape(row.entry.title)}\n[dim]{' '.join(row.entry.concerns)}[/]"
    if row.entry.load:
        return [row.id, row.entry.severity, about, "stepwedge load", "", ""]
    if row.hole:
        why = escape(row.entry.absent or "no scenario names it")
        return [row.id, row.entry.severity, about, f"[bold red]absent[/]: {why}", "", ""]
    count = len(row.cases)
    files = "\n".join(escape(file) for file in row.files)
    carried = f"{files}\n[dim]{count} {'case' if count == 1 else 'cases'}[/]"
    last = f"[{STYLES.get(row.verdict, 'dim')}]{row.verdict}[/]"
    return [row.id, row.entry.severity, about, carried, " ".join(row.transactions), last]


def as_json(catalogue: Catalogue, found: list[Row]) -> dict[str, Any]:
    """Return the catalogue as JSON values."""
    return {
        "exit": exit_code(found),
        "cases": [
            {
                "id": row.id,
                "title": row.entry.title,
                "severity": row.entry.severity,
                "concerns": [catalogue.concerns[tag] for tag in row.entry.concerns],
                "load": row.entry.load,
                "absent": (row.entry.absent or "no scenario names it") if row.hole else "",
                "files": list(row.files),
                "cases": list(row.cases),
                "transactions": list(row.transactions),
                "verdict": row.verdict,
                "run": row.run,
            }
            for row in found
        ],
    }
