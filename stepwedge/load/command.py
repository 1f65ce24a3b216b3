"""``stepwedge load``: a load case by its name, what came of it in words, and an exit code that never says more than is known."""

from __future__ import annotations

import itertools
import json
import os
import secrets
import subprocess
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from stepwedge import kit
from stepwedge.errors import BadInput
from stepwedge.lab import bar, labfile
from stepwedge.load import baseline, capacity, fleet
from stepwedge.load import case as cases
from stepwedge.load import day as days
from stepwedge.load import plan as plans
from stepwedge.load.run import Options, run

if TYPE_CHECKING:
    from rich.console import Console

    from stepwedge.lab.labfile import Lab
    from stepwedge.load.case import LoadCase
    from stepwedge.load.plan import Plan
    from stepwedge.load.verdict import Verdict

USUAL: Final = "monday"
MOST, PRECISION = 16.0, 0.2
"""How many times the load is tried at the most, and how close the search comes to the knee (a share): each trial takes its seconds."""


@dataclass(frozen=True)
class Wanted:
    """What the command line says; 0 and empty leave it to the case.

    Attributes:
        hours: ``07:00-11:00``, in the place of the case's phases.
    """

    case: str = USUAL
    day: str = ""
    seconds: float = 0.0
    hours: str = ""
    times: float = 1.0
    images: float = 0.0
    sample: float = -1.0
    workers: int = 1
    remote: bool = False
    ordinary: bool = False
    web: int = 0
    seed: int | None = None
    evidence: Path | None = None
    compare: Path | None = None
    find_capacity: bool = False
    quirks: tuple[str, ...] = ()


def listed(console: Console) -> int:
    """Print every load case and every hospital."""
    for path in sorted(kit.find(cases.FOLDER).glob("*.yaml")):
        one = cases.load(str(path))
        console.print(
            f"  {one.load:14s} {one.title} (hospital {one.day}, {one.seconds:g} s)", highlight=False
        )
    for path in sorted(kit.find(days.FOLDER).glob("*.yaml")):
        day = days.load(str(path))
        console.print(
            f"  --day {day.day:8s} {day.title}: {day.exams:.0f} exams a working day", highlight=False
        )
    return 0


def command(console: Console, file: Path | None, wanted: Wanted) -> int:
    """Run a load case, or look for the capacity, and print what came of it; return the exit code."""
    case = _case(wanted)
    lab = labfile.load(file or (kit.find(case.lab) if case.lab else None))
    plan = _plan(case, wanted, lab)
    folder = wanted.evidence or Path("runs") / f"load-{datetime.now().astimezone():%Y%m%d-%H%M%S}"
    console.print(_headline(plan, lab), highlight=False, markup=False)
    if wanted.find_capacity:
        return _capacity(console, lab, plan, folder, wanted)
    found = _driven(console, lab, plan, folder, wanted)
    for line in found.lines:
        console.print(f"  {line}", markup=False, highlight=False)
    if wanted.compare:
        for change in baseline.compare(folder, wanted.compare):
            console.print(f"  {change}", markup=False, highlight=False)
    console.print(f"report: {folder / 'load.html'}", markup=False, highlight=False)
    return found.exit_code


def _case(wanted: Wanted) -> LoadCase:
    case = cases.load(wanted.case)
    if wanted.hours:
        begin, _, end = wanted.hours.partition("-")
        try:
            told = {"phase": "hours", "from": begin, "to": end}
            phases = (cases.PhaseText.model_validate(told),)
        except ValueError:
            raise BadInput("--hours", "hours such as 07:00-11:00", repr(wanted.hours)) from None
        case = case.model_copy(update={"phases": phases})
    return case


def _plan(case: LoadCase, wanted: Wanted, lab: Lab) -> Plan:
    missing = [one for one in case.requires if lab.claims is not None and one not in lab.claims]
    if missing:
        raise BadInput(
            str(lab.file), f"a lab that claims {', '.join(missing)}", "it does not", f"{case.load} needs it"
        )
    seed = secrets.randbelow(9000) + 1000 if wanted.seed is None else wanted.seed
    plan = plans.resolve(
        case,
        days.load(wanted.day or case.day),
        seed=seed,
        seconds=wanted.seconds,
        times=wanted.times,
        images=wanted.images,
        ordinary=wanted.ordinary,
    )
    return plan if wanted.sample < 0 else replace(plan, sample=wanted.sample)


def _headline(plan: Plan, lab: Lab) -> str:
    thinned = f", {plan.images:.0%} of the images of a study" if plan.images < 1 else ""
    times = f", {plan.times:g} times its load" if plan.times != 1 else ""
    return (
        f"{plan.case}: {plan.title}; hospital {plan.day.day}{times}, in lab {lab.name}, {plan.seconds:g} s "
        f"(the day {plan.compress:.0f} times as fast{thinned}), seed {plan.seed}"
    )


def _driven(console: Console, lab: Lab, plan: Plan, folder: Path, wanted: Wanted) -> Verdict:
    with bar.counted(console) as progress:
        task = progress.add_task("starting", total=plan.seconds + plan.drain)
        options = Options(
            workers=wanted.workers,
            remote=wanted.remote,
            web=wanted.web,
            quirks=wanted.quirks,
            told=lambda at, words: progress.update(task, completed=max(at, 0.0), description=words),
        )
        return run(lab, plan, folder, options)


def _capacity(console: Console, lab: Lab, plan: Plan, folder: Path, wanted: Wanted) -> int:
    """Raise the load until a gate breaks; every trial has a folder and a seed of its own."""
    numbers = itertools.count(1)

    def trial(times: float) -> Verdict:
        number = next(numbers)
        more = replace(plans.at_times(plan, times), seed=plan.seed + number)
        found = _driven(console, lab, more, folder / f"{number:02d}-times-{times:.2f}", wanted)
        console.print(f"  {times:6.2f} times: {found.word} {found.first}", highlight=False, markup=False)
        return found

    what = f"the {plan.case} of hospital {plan.day.day}"
    found = capacity.find(trial, most=MOST, precision=PRECISION, what=what)
    console.print(f"{found.sentence[:1].upper()}{found.sentence[1:]}", markup=False, highlight=False)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "capacity.json").write_text(json.dumps(asdict(found), indent=1), encoding="utf-8")
    return found.exit_code


def worker(folder: Path, host: str) -> int:
    """Be one of the workers of the load that ``host`` leads, until it says that it is over; return Locust's code."""
    told = {**os.environ, **fleet.variables(folder)}
    return subprocess.run(fleet.command(*fleet.worker(host)), env=told, check=False).returncode  # noqa: S603 - our own interpreter, no shell
