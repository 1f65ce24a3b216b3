"""Show a run while it goes on, read off its growing journal: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, Protocol

from rich.live import Live
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Column

from stepwedge.report.run_model import Case, Follower, Record, Run, add
from stepwedge.report.words import SIGNS, STYLES

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

LOOK: Final = 0.05
"""Seconds between two looks at the journal."""


class Display(Protocol):
    """What shows a run while it goes on."""

    def show(self, run: Run, cases: dict[str, Case], record: Record) -> None:
        """Show what one new record means."""
        ...

    def __enter__(self) -> Any: ...

    def __exit__(self, *_: object) -> None: ...


def follow(follower: Follower, display: Display, over: Callable[[], bool]) -> Run:
    """Show the run in ``follower``'s folder until ``over``; return what was read of it."""
    run, cases = Run(follower.folder), dict[str, Case]()
    with display:
        while True:
            last = over()
            for record in follower.new():
                add(run, cases, record)
                display.show(run, cases, record)
            if last:
                break
            time.sleep(LOOK)
    run.cases = list(cases.values())
    return run


def verdict_line(case: Case) -> str:
    """Return one finished case as a line with markup."""
    word = case.verdict
    style = STYLES[word]
    return f"[{style}]{SIGNS[word]} {word:<12}[/] {escape(case.id):<48} [dim]{case.took:6.1f} s[/]"


class Plain:
    """One line per finished case; nothing when quiet."""

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self._console, self._quiet = console, quiet

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None

    def show(self, _run: Run, cases: dict[str, Case], record: Record) -> None:
        """Print the line of a case when it has its verdict."""
        if not self._quiet and record["record"] == "verdict":
            self._console.print(verdict_line(cases[str(record["case"])]), highlight=False, soft_wrap=True)


class Lively:
    """Finished cases scroll by; below them stands how many they are, and which case and step was last heard of."""

    def __init__(self, console: Console) -> None:
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.fields[done]}"),
            TimeElapsedColumn(),
            TextColumn("{task.description}", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)),
            console=console,
            expand=True,
        )
        self._done = 0
        self._task = self._bar.add_task("starting the lab", total=None, done="")
        self._live = Live(self._bar, console=console, refresh_per_second=12, transient=True)

    def __enter__(self) -> None:
        self._live.start()

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, run: Run, cases: dict[str, Case], record: Record) -> None:
        """Move on by one record."""
        kind = record["record"]
        case = cases.get(str(record.get("case")))
        if kind == "verdict" and case is not None:
            self._done += 1
            self._live.console.print(verdict_line(case), highlight=False)
            total = f" of {run.about['cases']}" if run.about.get("cases") else ""
            self._bar.update(self._task, done=f"{self._done}{total}")
        elif kind in {"case", "step"} and case is not None:
            step = f" · {record.get('title') or record['word']}" if kind == "step" else ""
            self._bar.update(self._task, description=escape(f"{case.get('title') or case.id}{step}"))


def display(console: Console, *, quiet: bool = False) -> Display:
    """Return the display that fits the console."""
    return Lively(console) if console.is_terminal and not quiet else Plain(console, quiet=quiet)
