"""``stepwedge prove``: run the trials, show how far they are, print and write the matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from stepwedge import kit
from stepwedge.lab import launch
from stepwedge.lab import prove as trials
from stepwedge.lab import quirks as systems
from stepwedge.report import matrix as proof
from stepwedge.report.session import new_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.console import Console

    from stepwedge.sim.quirks import Quirk


def prove(
    console: Console,
    paths: Sequence[Path],
    names: Sequence[str],
    workers: int,
    *,
    lab: Path | None,
    clean: int,
    seed: int,
    patience: str,
    folder: Path | None,
) -> int:
    """Run every trial; return 0 only when each quirk was caught and nothing was red without one."""
    quirks = {} if clean else systems.chosen(names)
    folder = folder or new_folder("prove-")
    runs = [trials.Trial(f"{trials.CLEAN}-{seed + at}", "", seed + at) for at in range(clean or 1)]
    runs += [trials.Trial(name, name, seed) for name in quirks]
    lab = lab or kit.find("fixtures/labs/department.yaml")
    bench = trials.Bench(folder, launch.Wish(paths, lab, patience=patience), workers)
    matrix = proof.Matrix(seed)
    with _progress(console) as bar:
        task = bar.add_task(f"{len(runs)} runs, {workers} at a time", total=len(runs), left="")
        for done, trial in enumerate(bench.run(runs), 1):
            line = _take_in(matrix, trial, quirks, folder / trial.name)
            left = bench.left(len(runs) - done)
            bar.update(task, advance=1, left=f"about {left:.0f} s left" if left else "")
            bar.console.print(line, markup=False, highlight=False, soft_wrap=True)
    matrix.rows.sort(key=lambda row: list(quirks).index(row.quirk))
    matrix.settle()
    proof.write(matrix, folder)
    proof.say(console, matrix, folder)
    return matrix.exit


def _take_in(
    matrix: proof.Matrix, trial: trials.Trial, quirks: dict[str, tuple[str, Quirk]], folder: Path
) -> str:
    """Put a finished run into the matrix; return the line that says so."""
    if not trial.quirk:
        before = len(matrix.stains)
        proof.add_clean(matrix, folder)
        return f"clean, seed {trial.seed}: {'spotless' if len(matrix.stains) == before else 'NOT spotless'}"
    role, quirk = quirks[trial.quirk]
    row = proof.row(trial.quirk, role, quirk, folder)
    matrix.rows.append(row)
    cases = ", ".join(dict.fromkeys(catch.case for catch in row.catches))
    return f"{trial.quirk}: {row.outcome}{f' by {cases}' if cases else f' ({row.why})'}"


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
