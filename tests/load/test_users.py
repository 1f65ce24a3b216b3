"""Locust in a process of its own drives a whole simulated hospital for some seconds, and says by files how far it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from stepwedge import clock, kit
from stepwedge.lab import hospital, labfile
from stepwedge.load import case, day
from stepwedge.load.ledger import Account
from stepwedge.load.measures import Series
from stepwedge.load.plan import Plan, resolve

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ALWAYS = (
    "ADT^A04",
    "C-FIND worklist",
    "N-CREATE MPPS",
    "C-STORE",
    "N-SET MPPS",
    "N-ACTION commitment",
    "ORU^R01",
)


def waited(seconds: float, until: Callable[[], object]) -> None:
    """Wait for a condition; what never comes fails here and not later."""
    deadline = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)


def marks(folder: Path, word: str) -> list[Path]:
    return list(folder.glob(f"{word}-*.json"))


def test_locust_drives_the_hospital(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    plan = replace(
        resolve(case.load("minute"), day.load("s"), seed=31, seconds=5, times=0.5),
        hospital="addresses.json",
        drain=40.0,
        sample=1.0,
    )
    with hospital.start(labfile.load(None), tmp_path / "hospital", 31) as running:
        folder.mkdir()
        told = {key: {name: one[of] for name, one in running.told["actors"].items()} for key, of in KEYS}
        (folder / plan.hospital).write_text(json.dumps(told), encoding="utf-8")
        plan.write(folder)
        process = started(folder)
        try:
            waited(60, lambda: marks(folder, "ready") or process.poll() is not None)
            replace(plan, began=clock.moment() + 0.5).write(folder)
            waited(80, lambda: marks(folder, "done") or process.poll() is not None)
            assert process.poll() is None
        finally:
            process.terminate()
            assert process.wait(20) is not None
    (done,) = marks(folder, "done")
    said = json.loads(done.read_text())
    assert (said["running"], said["backlog"], said["troubles"]) == (0, 0, [])
    assert marks(folder, "ended")  # it was told to end; one that is killed leaves no such mark
    judged(folder, Plan.read(folder))


KEYS = (("directory", "address"), ("roles", "role"), ("admins", "admin"))


def started(folder: Path) -> subprocess.Popen[bytes]:
    """Start Locust as ``stepwedge load`` does."""
    command = [sys.executable, "-m", "locust", "-f", str(kit.find("load/locustfile.py"))]
    command += ["--headless", "--users", "1", "--spawn-rate", "1", "--only-summary"]
    return subprocess.Popen(
        command,
        env={**os.environ, "STEPWEDGE_PLAN": str(folder / "plan.json")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def judged(folder: Path, plan: Plan) -> None:
    """Expect that everything that was due was done, measured and written down."""
    series, account = Series.read(folder / "measures"), Account.read(folder / "ledger")
    assert set(ALWAYS) <= set(series.names())
    assert not {name: series.total(name) for name in series.names() if series.total(name).bad}
    exams = [json.loads(path.read_text()) for path in (folder / "exams").glob("*.json")]
    assert series.total("arrival", "exam").count == len(exams) > 0
    assert [one["cut"] for one in exams if one["cut"]] == []
    planned = sum(one.keys["planned"] for one in account.of("study"))
    assert len(account.of("instance", "acknowledged")) == planned == series.total("C-STORE").count
    assert plan.began > 0
    (lines,) = series.generators.values()
    assert len(lines) >= plan.seconds - 1
