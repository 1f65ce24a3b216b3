"""Say at the end of a run what a person needs: what came out, why, what to do, and where the report is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from stepwedge.report import summary
from stepwedge.report.words import ABORTED, ADVICE, HEADLINES, SIGNS, STYLES

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from stepwedge.report.run_model import Case, Run


def say(console: Console, run: Run, shown_as: Path) -> None:
    """Print the end of a run."""
    told: dict[tuple[str, str], list[Case]] = {}
    for case in run.cases:
        if case.verdict not in {"passed", "skipped"}:
            told.setdefault((case.verdict, case.message), []).append(case)
    for cases in told.values():
        _trouble(console, cases)
    skipped = [case for case in run.cases if case.verdict == "skipped"]
    if skipped:
        console.print("\n[bold]Not run[/]")
        for case in skipped:
            console.print(f"  – {escape(case.id)}: {escape(case.message)}", highlight=False, soft_wrap=True)
    left_out = [(case, step) for case in run.cases for step in case.left_out]
    if left_out:
        steps = "step" if len(left_out) == 1 else "steps"
        console.print(f"\n[bold]Left out[/] {len(left_out)} {steps}, for these reasons:")
        for reason in dict.fromkeys(str(step["left_out"]) for _, step in left_out):
            console.print(f"  – {escape(reason)}", highlight=False, soft_wrap=True)
    console.print()
    style = STYLES[run.verdict]
    headline = ABORTED if run.aborted else HEADLINES[run.verdict]
    counts = ", ".join(f"{count} {word}" for word, count in run.counts.items() if count) or "no case"
    took = summary.seconds_between(run.about.get("started"), (run.end or {}).get("finished"))
    seconds = f" in {took:.1f} s" if took else ""
    console.print(f"[{style}]{SIGNS[run.verdict]} {headline}[/]  {counts}{seconds}", highlight=False)
    console.print(f"  report   {shown_as / 'report.html'}", highlight=False, soft_wrap=True)
    console.print(f"  summary  {shown_as / 'summary.json'}", highlight=False, soft_wrap=True)
    if run.aborted:
        console.print(f"  log      {shown_as / 'pytest.log'}", highlight=False, soft_wrap=True)


def _trouble(console: Console, cases: list[Case]) -> None:
    """Print the trouble that one case, or several for the same reason, came to."""
    word = cases[0].verdict
    for case in cases:
        title = f"[bold]{escape(str(case.get('title') or case.id))}[/]"
        console.print(
            f"\n[{STYLES[word]}]{SIGNS[word]} {word}[/]  {title}  {escape(case.id)}", highlight=False
        )
    for line in (cases[0].message or "no reason was recorded").splitlines():
        console.print(f"  {escape(line)}", highlight=False, soft_wrap=True)
    console.print(f"  [dim]{ADVICE[word]}[/]", highlight=False)


def transactions(console: Console, run: Run) -> None:
    """Print which transactions of the standard a run exercised."""
    table = Table(title=f"Transactions exercised by run {run.id}", title_justify="left")
    for column in ("IHE", "transaction", "steps", "left out", "came out", "cases"):
        table.add_column(column)
    for name, row in summary.transactions(run.cases).items():
        came = ", ".join(
            f"[{STYLES.get(word, '')}]{count} {word}[/]" for word, count in row["verdicts"].items()
        )
        table.add_row(
            name,
            row["name"],
            str(row["exercised"]),
            str(row["left_out"] or ""),
            came or "[dim]not exercised[/]",
            str(len(row["cases"])),
        )
    console.print(table)
