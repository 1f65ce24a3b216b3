"""A load spread over several Locust workers, against a RIS that runs already: what the containers of profile ``load`` do.

Locust is content when a worker dies: the others go on, and it ends with 0. Here each worker leaves a mark when it was told to
end; a run in which one is missing, or ended early, drove less than it was to drive, and nobody can tell what it shows.
"""

from __future__ import annotations

import json
import secrets
import time
from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import BadInput, Broken
from stepwedge.lab import containers
from stepwedge.load import run
from stepwedge.load.ledger import Account
from stepwedge.sim.address import Address

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

MARK: Final = "ended-*.json"
SERVICES: Final = ("load-master", "load-worker")
_PATIENCE: Final = 15.0
"""Seconds that workers have to leave their marks after the run."""


def in_containers(console: Console, users: int, seconds: float) -> int:
    """Let the containers of profile ``load`` drive the hospital in containers; return what their master ended with."""
    if trouble := containers.missing():
        raise Broken(f"no containers: {trouble}")
    compose = ("compose", "--file", str(containers.compose_file()))
    told = {
        "COMPOSE_PROFILES": "core,load",
        "STEPWEDGE_USERS": str(users),
        "STEPWEDGE_SECONDS": f"{seconds:g}",
    }
    try:
        containers.docker(
            *compose, "up", "--detach", "--no-build", "--no-deps", *SERVICES, within=60, env=told
        )
        (master,) = containers.docker(*compose, "ps", "--all", "--quiet", SERVICES[0], env=told).split()
        code = int(containers.docker("wait", master, within=seconds + 120))
        console.print(containers.docker("logs", master).rstrip(), markup=False, highlight=False)
    finally:
        containers.docker(*compose, "rm", "--force", "--stop", *SERVICES, within=60, env=told)
    return code


def master(
    console: Console, plan: Path, folder: Path, workers: int, *, users: int, seconds: float, rate: float
) -> int:
    """Wait for the workers, drive the RIS of ``plan`` with them, reconcile, and return the exit code.

    ``folder`` is shared with the workers and must be fresh: what an earlier run left would be counted.
    """
    ris = _ris(plan)
    if workers % 2 == 0:  # Locust deals users out in turn: a ward, a scanner, a ward, ...
        remedy = "an even number leaves all wards to some workers and all scanners to the others"
        raise BadInput("--workers", "an odd number", str(workers), remedy)
    if any(folder.glob(MARK)) or any((folder / "ledger").glob("*")):
        raise BadInput(
            str(folder), "a folder without an earlier load", "its ledger", "stepwedge down removes it"
        )
    folder.mkdir(parents=True, exist_ok=True)
    began = time.time()
    spread = ("--master", "--expect-workers", str(workers), "--expect-workers-max-wait", "60")
    code = run.locust(
        folder,
        plan,
        users=users,
        seconds=seconds,
        rate=rate,
        seed=secrets.randbelow(9000) + 1000,
        more=spread,
    )
    try:
        outcome = run.read(folder)
    except FileNotFoundError:
        raise Broken(f"Locust ended with code {code} and counted nothing: {_tail(folder)}") from None
    if code not in {0, 1}:
        outcome.unsure.append(f"Locust ended with code {code}: {_tail(folder)}")
    outcome.unsure += missing(folder, workers, began + seconds, _PATIENCE)
    run.reconcile(outcome, Account.read(folder / "ledger"), ris)
    return run.say(console, outcome, folder)


def worker(plan: Path, folder: Path, host: str, *, rate: float) -> int:
    """Be one of the workers of the load that ``host`` spreads, until it says that it is over; return Locust's code."""
    _ris(plan)
    folder.mkdir(parents=True, exist_ok=True)
    more = ("--worker", "--master-host", host)
    return run.locust(folder, plan, users=0, seconds=0, rate=rate, seed=0, more=more, log="")


def missing(folder: Path, workers: int, until: float, patience: float) -> list[str]:
    """Return what is wrong with the workers' marks: too few of them, or one from before the moment ``until``."""
    deadline = time.monotonic() + patience
    while len(marks := sorted(folder.glob(MARK))) < workers and time.monotonic() < deadline:
        time.sleep(0.1)
    ends = {path: until - float(json.loads(path.read_text(encoding="utf-8"))["at"]) for path in marks}
    wrong = [
        f"worker {path.stem.removeprefix('ended-')} ended {early:.1f} s early"
        for path, early in ends.items()
        if early > 0
    ]
    if len(marks) < workers:
        wrong.append(f"{workers - len(marks)} of {workers} workers died: less was driven than was asked for")
    return wrong


def _ris(plan: Path) -> Address:
    try:
        told: dict[str, Any] = json.loads(plan.read_text(encoding="utf-8"))
        return Address.parse(told["directory"]["ris"], f"{plan}: ris")
    except (OSError, ValueError, KeyError) as trouble:
        raise BadInput(str(plan), "a plan with the address of ris in its directory", repr(trouble)) from None


def _tail(folder: Path) -> str:
    return (folder / run.LOG).read_text(encoding="utf-8", errors="replace")[-800:].strip()
