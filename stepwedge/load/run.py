"""Run a short, honest load against the simulated hospital: Locust drives, the ledger decides.

A run is *met* only when Locust reports no failure, every kind of request was really made, and every order that was
acknowledged is found exactly once on the worklist afterwards.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from stepwedge import kit
from stepwedge.errors import BadInput, WireError
from stepwedge.lab import hospital, labfile
from stepwedge.load.ledger import Account
from stepwedge.wire.dimse_blocking import Association

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from stepwedge.lab.labfile import Lab
    from stepwedge.sim.address import Address

_WORKLIST: Final = "1.2.840.10008.5.1.4.31"
LOG: Final = "locust.log"
KINDS: Final = ("ADT^A04", "OMG^O19", "C-FIND worklist")


@dataclass
class Outcome:
    """What one load run came to.

    Attributes:
        requests: number of requests by name.
        failures: number of failed requests by name.
        problems: what keeps the run from being met, for reading.
        unsure: what could not be told; with no problem the run is then inconclusive.
    """

    requests: dict[str, int] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    orders: int = 0
    problems: list[str] = field(default_factory=list)
    unsure: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 met, 1 missed, 3 nobody can tell."""
        if self.problems:
            return 1
        return 3 if self.unsure else 0


def command(
    console: Console,
    file: Path | None,
    evidence: Path | None,
    *,
    users: int,
    seconds: float,
    rate: float,
    seed: int | None,
) -> int:
    """Run a load and print what came of it; return the exit code."""
    lab = labfile.load(file)
    if "ris" in lab.real:
        raise BadInput(
            str(lab.file),
            "a lab whose RIS is simulated",
            "a real one",
            "load against real systems needs their consent",
        )
    chosen = secrets.randbelow(9000) + 1000 if seed is None else seed
    folder = evidence or Path("runs") / f"load-{datetime.now().astimezone():%Y%m%d-%H%M%S}"
    console.print(f"{users} users for {seconds:g} s, seed {chosen}", highlight=False)
    return say(console, run(lab, folder, users=users, seconds=seconds, rate=rate, seed=chosen), folder)


def say(console: Console, outcome: Outcome, folder: Path) -> int:
    """Print what came of a load; return the exit code."""
    for name, count in outcome.requests.items():
        console.print(f"  {count:6d} {name}, {outcome.failures[name]} failed", highlight=False)
    for line in (*outcome.problems, *outcome.unsure):
        console.print(f"  – {line}", markup=False, highlight=False)
    word = {0: "met", 1: "missed", 3: "nobody can tell"}[outcome.exit_code]
    console.print(
        f"{word}: {outcome.orders} orders acknowledged and looked for; see {folder}",
        markup=False,
        highlight=False,
    )
    return outcome.exit_code


def run(lab: Lab, folder: Path, *, users: int, seconds: float, rate: float, seed: int) -> Outcome:
    """Start the hospital, drive it with ``users`` for ``seconds``, reconcile, and leave Locust's own files in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    state = folder / "hospital"
    with hospital.start(lab, state, seed) as running:
        told = state / hospital.READY
        code = locust(folder, told, users=users, seconds=seconds, rate=rate, seed=seed)
        outcome = read(folder)
        if code not in {0, 1}:  # Locust's own: 0 no failure, 1 failed requests
            outcome.unsure.append(f"Locust ended with code {code}, see {folder / LOG}")
        reconcile(outcome, Account.read(folder / "ledger"), running.cast()["ris"].address)
    return outcome


def locust(
    folder: Path,
    told: Path,
    *,
    users: int,
    seconds: float,
    rate: float,
    seed: int,
    more: Sequence[str] = (),
    log: str = LOG,
) -> int:
    """Run Locust on the systems that ``told`` gives the addresses of; return its exit code.

    Without ``users`` it is a worker: whoever leads says how many, how long and with which seed. Its log is a file of
    ``folder``, or our own output.
    """
    command = [sys.executable, "-m", "locust", "-f", str(kit.find("load/locustfile.py")), *more]
    if users:
        command += ["--headless", "--only-summary", "--users", str(users), "--spawn-rate", str(users)]
        command += ["--run-time", f"{seconds:g}s", "--stop-timeout", "10"]
        command += ["--json-file", str(folder / "locust"), "--html", str(folder / "locust.html")]
    variables = {
        "STEPWEDGE_HOSPITAL": str(told.resolve()),
        "STEPWEDGE_LEDGER": str((folder / "ledger").resolve()),
        "STEPWEDGE_SEED": str(seed),
        "STEPWEDGE_RATE": f"{rate:g}",
    }
    with (folder / log).open("wb") if log else contextlib.nullcontext() as output:
        return subprocess.run(  # noqa: S603  # our own interpreter, no shell
            command,
            env={**os.environ, **variables},
            stdout=output,
            stderr=output,
            timeout=seconds + 120 if users else None,
            check=False,
        ).returncode


def read(folder: Path) -> Outcome:
    """Read what Locust counted; a kind of request that was never made is not met."""
    outcome = Outcome()
    for row in json.loads((folder / "locust.json").read_text(encoding="utf-8")):
        outcome.requests[row["name"]] = row["num_requests"]
        outcome.failures[row["name"]] = row["num_failures"]
    for name in KINDS:
        if not outcome.requests.get(name):
            outcome.unsure.append(f"no {name} was made")
    outcome.problems += [f"{count} of {name} failed" for name, count in outcome.failures.items() if count]
    return outcome


def reconcile(outcome: Outcome, account: Account, ris: Address) -> None:
    """Look for every acknowledged order on the worklist, through a door the load did not wait behind."""
    accessions = {one.id: str(one.keys["accession"]) for one in account.of("order", "acknowledged")}
    outcome.orders = len(accessions)
    if not accessions:
        outcome.unsure.append("no order was acknowledged")
    outcome.problems += [f"order {one.id} was refused" for one in account.of("order", "refused")]
    outcome.problems += [
        f"accession {number} was given to more than one order"
        for number in account.shared("order", "accession")
    ]
    entity = ris.worklist or ris.dicom
    if entity is None:
        outcome.unsure.append("the RIS has no worklist to look at")
        return
    try:
        ae, host, port = entity[:3]
        with Association.open(host, port, calling="SW_PROBE", called=ae, contexts=[_WORKLIST]) as link:
            for placer, accession in accessions.items():
                if (count := _entries(link, {"AccessionNumber": accession})) != 1:
                    outcome.problems.append(
                        f"order {placer} was acknowledged, and has {count} worklist entries"
                    )
            for placer in sorted(
                one.id for one in account.of("order", "attempted")
            ):  # whoever was interrupted cannot say: none or one is right
                if (count := _entries(link, {"PlacerOrderNumberImagingServiceRequest": placer})) > 1:
                    outcome.problems.append(
                        f"order {placer} was never answered, and has {count} worklist entries"
                    )
    except WireError as trouble:
        outcome.unsure.append(f"the worklist could not be asked: {trouble}")


def _entries(link: Association, keys: dict[str, Any]) -> int:
    return len(list(link.find(_WORKLIST, {**keys, "ScheduledProcedureStepSequence": [{}]})))
