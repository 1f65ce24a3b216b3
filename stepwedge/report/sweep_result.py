"""What a sweep came to: one row for each place, as a table, ``sweep.json`` and ``sweep.html``."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from rich.markup import escape
from rich.table import Table

from stepwedge.report import html, summary
from stepwedge.report.atomic import replace
from stepwedge.report.words import STYLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from rich.console import Console

    from stepwedge.report.run_model import Case, Record
    from stepwedge.report.sweep_places import Cut, Link

NOT_RUN: Final = "not run"
_SHOWN: Final = 140


@dataclass(frozen=True)
class Row:
    """One place and what came of the cut there.

    Attributes:
        acted: how often the fault acted; nothing was proven when it did not.
        repeated: words that were said again, because nobody knew what became of them.
        wrong: steps and standing rules that did not pass, and the first line of why.
        run: the folder with the whole evidence.
    """

    link: str
    connection: int
    side: str
    place: str
    case: str
    acted: int = 0
    verdict: str = NOT_RUN
    repeated: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    why: str = ""
    run: str = ""


@dataclass
class Sweep:
    """The whole of it.

    Attributes:
        silent: tapped links on which the case says nothing, and those that were not asked for, with the reason.
        left_out: places that were not cut because there were more than asked for.
    """

    scenario: str
    fault: str
    every: str
    seed: int
    rows: list[Row] = field(default_factory=list)
    silent: dict[str, str] = field(default_factory=dict)
    left_out: int = 0
    seconds: float = 0.0

    @property
    def counts(self) -> dict[str, int]:
        """How many cuts came to which verdict."""
        return dict(Counter(row.verdict for row in self.rows).most_common())

    @property
    def acted(self) -> int:
        """How many cuts were made."""
        return sum(bool(row.acted) for row in self.rows)

    @property
    def exit(self) -> int:
        """0 when every cut was made and what came of it passed; 1 when something failed; 3 when nobody can tell."""
        if "failed" in self.counts:
            return 1
        good = self.rows and all(row.verdict == "passed" and row.acted for row in self.rows)
        return 0 if good else 3

    @property
    def by_link(self) -> list[tuple[str, int, int, int]]:
        """For each link: places, cuts made, passed."""
        links = dict.fromkeys(row.link for row in self.rows)
        mine = {link: [row for row in self.rows if row.link == link] for link in links}
        return [
            (
                link,
                len(rows),
                sum(bool(row.acted) for row in rows),
                sum(row.verdict == "passed" for row in rows),
            )
            for link, rows in mine.items()
        ]

    @property
    def headline(self) -> str:
        """The result in one line."""
        passed = self.counts.get("passed", 0)
        more = f"; {self.left_out} further places were not cut" if self.left_out else ""
        return f"{len(self.rows)} cuts, {self.acted} acted, {passed} passed, in {self.seconds:.0f} s{more}"


def row(cut: Cut, case: Case | None, lifted: Sequence[Record], run: Path) -> Row:
    """Return what came of one cut; ``lifted`` are the records of its fault."""
    said = Row(str(cut.link), cut.connection, cut.side, cut.place, case.id if case else cut.id, run=str(run))
    if case is None or case.end is None:
        return said
    steps = [step for step in case.steps if step.get("verdict") not in {"passed", "skipped"}]
    rules = [
        rule for rule in case.rules if summary.rule_verdict(rule) in {"failed", "broken", "inconclusive"}
    ]
    wrong = [f"{step['kind']} {step['word']}" for step in steps] + [str(rule["rule"]) for rule in rules]
    repeated = [str(step["word"]) for step in case.steps if step.get("repeated")]
    acted = sum(int(one["count"]) for one in lifted)
    why = _why(case) if case.verdict != "passed" else ""
    return Row(
        said.link,
        cut.connection,
        cut.side,
        cut.place,
        case.id,
        acted,
        case.verdict,
        tuple(repeated),
        tuple(wrong),
        why,
        str(run),
    )


def _why(case: Case) -> str:
    """Return the first difference, or the first line of what was said."""
    for record in (*case.steps, *case.rules):
        if record.get("verdict") in {"failed", "inconclusive", "broken"} and record.get("differences"):
            first = record["differences"][0]
            return f"{first['path']}: expected {first['expected']}, found {first['found']}"
    lines = [line for line in case.message.splitlines() if line.strip()]
    unsure = [line.strip() for line in lines if line.strip().startswith(("answer", "unsure", "trouble"))]
    return next(iter([*unsure, *lines]), "")


def write(sweep: Sweep, folder: Path) -> None:
    """Write ``sweep.json`` and ``sweep.html``."""
    replace(folder / "sweep.json", json.dumps(as_json(sweep), indent=1, ensure_ascii=False) + "\n")
    page = html.environment().get_template("sweep.html.j2")
    replace(folder / "sweep.html", page.render(sweep=sweep))


def as_json(sweep: Sweep) -> dict[str, Any]:
    """Return it as JSON values."""
    return {"exit": sweep.exit, "counts": sweep.counts, "acted": sweep.acted, **asdict(sweep)}


def say(console: Console, sweep: Sweep, folder: Path) -> None:
    """Print it: every place, then each link in one line."""
    table = Table(title=f"{sweep.scenario} swept with {sweep.fault}", title_justify="left")
    for column in ("link", "connection", "side", "place", "acted", "repeated", "verdict", "what was wrong"):
        table.add_column(column, overflow="fold")
    for one in sweep.rows:
        table.add_row(*_cells(one))
    console.print(table)
    _links(console, sweep.by_link)
    for link, reason in sweep.silent.items():
        console.print(f"  {link}: {reason}", markup=False, highlight=False)
    console.print(f"\n{sweep.headline}", highlight=False)
    console.print(f"  report {folder / 'sweep.html'}", markup=False, highlight=False, soft_wrap=True)


def _cells(one: Row) -> list[str]:
    wrong = " ".join([", ".join(one.wrong), one.why[:_SHOWN]]).strip()
    style = STYLES.get(one.verdict, "yellow")
    plain = [one.link, str(one.connection or "each"), one.side, one.place, str(one.acted)]
    return [
        *map(escape, plain),
        escape(", ".join(one.repeated)),
        f"[{style}]{one.verdict}[/]",
        escape(wrong),
    ]


def _links(console: Console, links: Iterable[tuple[str, int, int, int]]) -> None:
    table = Table(title="By link", title_justify="left")
    for column in ("link", "places", "acted", "passed"):
        table.add_column(column, justify="left" if column == "link" else "right")
    for link, places, acted, passed in links:
        table.add_row(escape(link), str(places), str(acted), str(passed))
    console.print(table)


def silent(links: Iterable[Link], reason: str) -> dict[str, str]:
    """Return links that are not cut, with the reason."""
    return {str(link): reason for link in links}
