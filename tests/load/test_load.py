"""``stepwedge load`` as a whole: met by a hospital that conforms, missed by one that loses, untold without its workers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from stepwedge.load import fleet
from stepwedge.load.ledger import Account
from stepwedge.load.measures import Series
from stepwedge.load.plan import Plan

if TYPE_CHECKING:
    from pathlib import Path

COMMAND = [
    sys.executable,
    "-m",
    "stepwedge",
    "load",
    "minute",
    "--seconds",
    "6",
    "--times",
    "0.5",
    "--seed",
    "3",
]
ALWAYS = (
    "ADT^A04",
    "C-FIND worklist",
    "N-CREATE MPPS",
    "C-STORE",
    "N-SET MPPS",
    "N-ACTION commitment",
    "ORU^R01",
)


def load(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, "--evidence", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)


def summary(folder: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    return told


def test_a_hospital_that_conforms_is_met(tmp_path: Path) -> None:
    """Met, or untold when this machine had no time for the generator: never missed; and everything that was due was done."""
    folder = tmp_path / "load"
    done = load(folder, "--sample", "1")
    assert done.returncode in {0, 2}, done.stdout + done.stderr
    account, series = Account.read(folder / "ledger"), Series.read(folder / "measures")
    assert len(account.of("order", "acknowledged")) >= 5
    assert not [one for kind in account.entries for one in account.of(kind, "attempted")]
    assert set(ALWAYS) <= set(series.names())
    assert not {name: series.total(name) for name in series.names() if series.total(name).bad}
    exams = [json.loads(path.read_text()) for path in (folder / "exams").glob("*.json")]
    assert series.total("arrival", "exam").count == len(exams) > 0
    assert [one["cut"] for one in exams if one["cut"]] == []
    planned = sum(one.keys["planned"] for one in account.of("study"))
    assert len(account.of("instance", "acknowledged")) == planned == series.total("C-STORE").count
    (marked,) = (json.loads(path.read_text()) for path in folder.glob("done-*.json"))
    assert (marked["running"], marked["backlog"], marked["troubles"]) == (0, 0, [])
    assert list(folder.glob("ended-*.json"))  # it was told to end; one that is killed leaves no such mark
    (lines,) = series.generators.values()
    assert len(lines) >= Plan.read(folder).seconds - 1
    assert (folder / "load.html").stat().st_size > 10_000


def test_what_a_wrong_system_loses_is_found(tmp_path: Path) -> None:
    done = load(tmp_path / "load", "--quirk", "store.success_on_failure")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "image" in done.stdout


def test_a_worker_that_is_killed_is_named_and_nobody_can_tell(tmp_path: Path) -> None:
    folder = tmp_path / "load"
    command = [*COMMAND, "--evidence", str(folder), "--workers", "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
        deadline = time.monotonic() + 120
        while (
            not (folder / "plan.json").exists() or not json.loads((folder / "plan.json").read_text())["began"]
        ):
            assert time.monotonic() < deadline, "it never began"
            time.sleep(0.1)
        os.kill(json.loads((folder / fleet.PIDS).read_text())["worker-1"], signal.SIGKILL)
        said, _ = running.communicate(timeout=240)
    assert running.returncode == 2, said
    assert "worker-1 was killed in mid-run by signal 9" in said


def test_a_folder_with_an_earlier_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text("{}", encoding="utf-8")
    done = load(tmp_path)
    assert done.returncode == 2
    assert "an empty folder" in done.stderr
