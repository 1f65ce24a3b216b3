"""A run that is killed in the middle: what it knew is reported, nothing is left running, and it never passes."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stepwedge import kit

SLOW = 60


def wait_for(condition, what):
    deadline = time.monotonic() + SLOW
    while not (found := condition()):
        assert time.monotonic() < deadline, f"no {what} within {SLOW} s"
        time.sleep(0.01)
    return found


def gone(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


def records(folder):
    path = folder / "journal.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line)["record"] for line in lines if line.endswith("}")]


@pytest.fixture
def going(tmp_path):
    """Start a run and wait until its first case has a verdict; returns the command's process and the run folder."""
    folder = tmp_path / "run"
    command = [
        sys.executable,
        "-m",
        "stepwedge",
        "run",
        str(kit.find("scenarios")),
        "--evidence",
        str(folder),
    ]
    process = subprocess.Popen(
        command, cwd=kit.shipped(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    wait_for(lambda: "verdict" in records(folder), "verdict")
    yield process, folder
    process.kill()
    process.wait()


def hospital(folder):
    return json.loads((folder / "state/hospital.json").read_text())["pid"]


def child_of(parent):
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # processes come and go while we look
            pid, _, rest = stat.read_text().partition(" (")
            if int(rest.rpartition(")")[2].split()[1]) == parent:
                return int(pid)
    raise AssertionError(f"process {parent} has no child")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
def test_a_run_whose_pytest_dies_is_reported_as_aborted(going, number):
    process, folder = going
    simulated = hospital(folder)
    os.kill(child_of(process.pid), number)
    said, _ = process.communicate(timeout=SLOW)
    assert process.returncode == 3, said
    assert "The run was aborted" in said
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["aborted"]
    assert summary["counts"]["passed"] >= 1
    assert "The run was aborted" in (folder / "report.html").read_text()
    wait_for(lambda: gone(simulated), "end of the hospital")


def test_a_command_that_is_killed_leaves_a_journal_to_report_from(going):
    process, folder = going
    process.kill()
    process.wait()
    done = subprocess.run(
        [sys.executable, "-m", "stepwedge", "report", str(folder)],
        cwd=kit.shipped(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["counts"]["passed"] >= 1
