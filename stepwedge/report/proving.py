"""``stepwedge prove``: run the trials, show how far they are, print and write the matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.progress import TextColumn

from stepwedge.lab import defects, labfile, launch, places
from stepwedge.lab import prove as trials
from stepwedge.lab import quirks as systems
from stepwedge.lab.bar import counted
from stepwedge.report import matrix as proof
from stepwedge.report.session import new_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.console import Console

    from stepwedge.lab.labfile import Lab
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
    first_only: bool,
    keep: bool,
) -> int:
    """Run every trial; return 0 only when each quirk was caught and nothing was red without one.

    Each quirk is tried in the labs it can act in, one after the other, until it is caught in one. ``first_only`` ends
    the run of a quirk at the first case it turns red. The matrix is written after each run, so that one who gives up has
    what was found. Of a run that came out as it should, the messages of the cases that caught the quirk stay; ``keep``
    keeps all, which is some 200 MB a run.
    """
    labs = _labs(lab)
    quirks = {} if clean else systems.chosen(names)
    ahead = {name: places.of(role, quirk, labs) for name, (role, quirk) in quirks.items()}
    folder = folder or new_folder("prove-")
    said = proof.Matrix(seed)
    found = {
        name: proof.elsewhere(name, role, quirk, wanted=name in names)
        for name, (role, quirk) in quirks.items()
    }
    first = [trials.Trial(ahead[name].pop(0), name, seed) for name in quirks if ahead[name]]
    used = [one for one in labs if any(trial.lab is one for trial in first)] or labs[:1]
    waiting = [trials.Trial(one, "", seed + at) for one in used for at in range(clean or 1)]
    waiting += sorted(first, key=lambda trial: used.index(trial.lab))
    wish = launch.Wish(paths, patience=patience, more=("-x",) if first_only else ())
    total, bench = len(waiting), trials.Bench(folder, wish, workers)
    with counted(console, TextColumn("{task.fields[left]}")) as bar:
        task = bar.add_task(f"{workers} runs at a time", total=total, left="")
        for done, trial in enumerate(bench.run(waiting), 1):
            line = _take_in(said, found, trial, quirks, folder / trial.name)
            if not keep and _as_it_should(said, found, trial):
                trials.thin(folder / trial.name, _telling(found, trial))
            more = _further(trial, found, ahead, used)
            waiting += more
            total += len(more)
            said.rows, said.left = list(found.values()), total - done
            proof.write(said, folder)
            left = bench.left(total - done)
            bar.update(task, advance=1, total=total, left=f"about {left:.0f} s left" if left else "")
            bar.console.print(line, markup=False, highlight=False, soft_wrap=True)
    said.settle()
    proof.write(said, folder)
    proof.say(console, said, folder)
    return said.exit


def catalogue(console: Console, names: Sequence[str], lab: Path | None) -> int:
    """Print the quirks and where each can act; nothing is run."""
    labs, quirks = _labs(lab), systems.chosen(names)
    can = {name: [one.file.stem for one in places.of(*known, labs)] for name, known in quirks.items()}
    proof.catalogue(console, quirks, can)
    if not names:
        proof.without_quirk(console, defects.read())
    return 0


def _labs(lab: Path | None) -> list[Lab]:
    return [labfile.load(lab)] if lab else places.shipped()


def _as_it_should(said: proof.Matrix, found: dict[str, proof.Row], trial: trials.Trial) -> bool:
    if trial.quirk:
        return found[trial.quirk].outcome == "caught"
    return not any((stain["lab"], stain["run"]) == (trial.place, trial.folder) for stain in said.stains)


def _telling(found: dict[str, proof.Row], trial: trials.Trial) -> set[str]:
    return {catch.case for catch in found[trial.quirk].catches} if trial.quirk else set()


def _further(
    trial: trials.Trial, found: dict[str, proof.Row], ahead: dict[str, list[Lab]], used: list[Lab]
) -> list[trials.Trial]:
    """Return what is to be run after a trial: the quirk in its next lab when it was not caught, and that lab clean."""
    if not trial.quirk or found[trial.quirk].outcome == "caught" or not ahead[trial.quirk]:
        return []
    lab = ahead[trial.quirk].pop(0)
    more = [trials.Trial(lab, trial.quirk, trial.seed)]
    if lab not in used:
        used.append(lab)
        more.insert(0, trials.Trial(lab, "", trial.seed))
    return more


def _take_in(
    said: proof.Matrix,
    found: dict[str, proof.Row],
    trial: trials.Trial,
    quirks: dict[str, tuple[str, Quirk]],
    folder: Path,
) -> str:
    """Put a finished run into the matrix; return the line that says so."""
    if not trial.quirk:
        before = len(said.stains)
        proof.add_clean(said, trial.place, folder)
        spotless = "spotless" if len(said.stains) == before else "NOT spotless"
        return f"{trial.place}: clean, seed {trial.seed}: {spotless}"
    role, quirk = quirks[trial.quirk]
    row = proof.row(trial.quirk, role, quirk, trial.place, folder)
    if not found[trial.quirk].lab or row.tells_more(found[trial.quirk]):
        found[trial.quirk] = row
    cases = ", ".join(dict.fromkeys(catch.case for catch in row.catches))
    return f"{trial.place}: {trial.quirk}: {row.outcome}{f' by {cases}' if cases else f' ({row.why})'}"
