"""The hospital in the background: ``stepwedge up``, ``down``, ``status`` and ``preflight``."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.table import Table

from stepwedge.actors.cast import Admin
from stepwedge.errors import BadInput, Broken
from stepwedge.lab import containers, hospital, labfile, security
from stepwedge.lab import preflight as asking

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

STATE: Final = Path("runs/hospital")
_PATIENCE: Final = 15.0
_NOT_THERE: Final = 3


def up(console: Console, file: Path | None, seed: int | None, quirks: Sequence[str]) -> int:
    """Start the hospital and leave it running."""
    if _told() is not None:
        console.print("it runs already")
        return status(console)
    lab = labfile.load(file)
    for name, real in lab.real.items():
        if real.start:
            console.print(
                f"{name} is not started: 'up' starts what is simulated, 'run' starts {name} too", markup=False
            )
    running = hospital.start(lab, STATE, seed if seed is not None else 1, quirks, stays=True)
    _show(console, running.told)
    return 0


def down(console: Console) -> int:
    """Stop the hospital by its id, if it is really the one that wrote it down; remove the containers that are ours."""
    if removed := containers.down():
        counts = ", ".join(f"{count} {kind}" for kind, count in removed.items())
        console.print(f"removed, with their state: {counts}", highlight=False)
    if (told := _told()) is None:
        if not removed:
            console.print("no hospital runs")
        return 0
    os.kill(told["pid"], signal.SIGTERM)
    deadline = time.monotonic() + _PATIENCE
    while (STATE / hospital.READY).exists():
        if time.monotonic() > deadline:
            raise Broken(f"process {told['pid']} did not end within {_PATIENCE:g} s")
        time.sleep(0.05)
    console.print(f"stopped; its state is kept in {STATE}", highlight=False)
    return 0


def status(console: Console) -> int:
    """Say where everybody is; 3 when nobody is."""
    if (told := _told()) is None:
        console.print("no hospital runs; start one with: stepwedge up")
        return _NOT_THERE
    _show(console, told)
    return 0


def preflight(console: Console, file: Path, timeout: float) -> int:
    """Ask every real system, and print what its people must enter."""
    lab = labfile.load(file)
    if not lab.real:
        raise BadInput(
            str(file), "a lab with a real system", "only simulated ones", "write real: {...} for one actor"
        )
    bad = 0
    for finding in asking.findings(lab, timeout=timeout, tls=security.probe(lab, STATE)):
        bad += bool(finding.trouble)
        sign = "[red]✕[/]" if finding.trouble else "[yellow]![/]" if finding.warning else "[green]✓[/]"
        console.print(
            f"{sign} {finding.actor} {finding.door} {finding.where}: {finding.asked}",
            highlight=False,
            soft_wrap=True,
        )
        if said := finding.trouble or finding.warning:
            console.print(f"    {said}", markup=False, highlight=False, soft_wrap=True)
    table = Table(title="Connection sheet: what the real systems must know", title_justify="left")
    table.add_column("our side")
    table.add_column("reached at, or known as")
    for who, where in asking.connection_sheet(lab):
        table.add_row(who, where)
    console.print(table)
    return _NOT_THERE if bad else 0


def _told() -> dict[str, Any] | None:
    """Return what a living hospital wrote down, ``None`` when there is none."""
    with contextlib.suppress(OSError, ValueError, KeyError, Broken):
        told: dict[str, Any] = json.loads((STATE / hospital.READY).read_text(encoding="utf-8"))
        Admin(told["admin"], timeout=2.0).health()
        return told
    return None


def _show(console: Console, told: dict[str, Any]) -> None:
    table = Table(
        title=f"Simulated hospital, process {told['pid']}, seed {told['seed']}", title_justify="left"
    )
    for column in ("actor", "plays", "reached at"):
        table.add_column(column)
    for name, one in told["actors"].items():
        doors = [
            where for door, where in one["address"].items() if door not in {"admin", "application", "calling"}
        ]
        table.add_row(name, one["role"], "\n".join(doors))
    console.print(table)
    console.print(f"admin {told['admin']}", highlight=False)
