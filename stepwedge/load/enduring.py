"""The command ``stepwedge endure``: show how far the rounds are, print and write what came of them."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from stepwedge.errors import BadInput
from stepwedge.lab import labfile
from stepwedge.lab.bar import counted
from stepwedge.load import archive, endure_result, intents
from stepwedge.load.endure import TROUBLES, Endurance, Plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from stepwedge.load.endure import Round


def command(
    console: Console,
    file: Path,
    evidence: Path | None,
    *,
    actor: str,
    kills: int,
    others: int,
    images: int,
    troubles: Sequence[str],
    seed: int,
    minutes: float,
) -> int:
    """Break the archive of a lab; print and write what came of it, and return the exit code."""
    lab = labfile.load(file)
    archive.chosen(lab, actor)
    if strange := [one for one in troubles if one not in TROUBLES]:
        raise BadInput("--trouble", f"one of {', '.join(TROUBLES)}", strange[0])
    folder = evidence or Path("runs") / f"endure-{datetime.now().astimezone():%Y%m%d-%H%M%S}"
    if (folder / f"ledger-{intents.NAME}.jsonl").exists():
        raise BadInput(
            str(folder), "a folder without a ledger", "one of another run", "name another --evidence"
        )
    plan = Plan(lab, actor, folder.absolute(), kills, others, images, seed, troubles or TROUBLES, minutes)
    total, began = len(plan.rounds()), time.monotonic()
    with counted(console) as bar:
        task = bar.add_task(f"{lab.name}: {actor}", total=total)

        def tell(said: Round) -> None:
            bar.update(task, advance=1, description=f"{said.trouble} {said.window}".strip())

        endurance = Endurance(plan, tell)
        asyncio.run(endurance.run())
    result = endure_result.Result(
        f"{lab.text.sut.name} {lab.text.sut.version}".strip() or actor,
        seed,
        endurance.rounds,
        endurance.findings,
        endurance.left,
        endurance.disk.kind if endurance.disk else "",
        round(time.monotonic() - began, 1),
        endurance.trouble,
    )
    endure_result.write(result, folder)
    endure_result.say(console, result, folder)
    return result.exit
