"""A run that is killed in the middle: what it knew is reported, nothing is left running, and it never passes.

``STEPWEDGE_KILLS=50`` kills a run that often at moments drawn from its journal; three times otherwise.
"""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from stepwedge import kit

SLOW = 60
RECORDS = 250
"""Journal lines of scenarios/cancel, about."""
KILLS = int(os.environ.get("STEPWEDGE_KILLS", "3"))
MOMENTS = sorted(random.Random(20261124).sample(range(1, RECORDS), KILLS))  # noqa: S311 - a draw, not a secret


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


def lines(folder):
    with contextlib.suppress(FileNotFoundError):
        return (folder / "journal.jsonl").read_bytes().count(b"\n")
    return 0


def readable(folder):
    """Read every output that is there; returns the summary."""
    *whole, last = (folder / "journal.jsonl").read_bytes().split(b"\n")
    for line in whole:
        json.loads(line)
    assert not last or not last.endswith(b"}\n")
    for path in [*folder.glob("*.json"), *folder.glob("allure-results/*.json")]:
        json.loads(path.read_text("utf-8"))
    for path in folder.glob("junit.xml"):
        ET.parse(path)  # noqa: S314 - what we wrote ourselves
    assert (folder / "report.html").read_text("utf-8").rstrip().endswith("</html>")
    return json.loads((folder / "summary.json").read_text("utf-8"))


@pytest.mark.timeout(5 * SLOW)
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_killed_anywhere_is_reported_as_what_it_was(tmp_path, moment):
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "stepwedge", "run", "-q", "--evidence", str(folder), "scenarios/cancel"]
    process = subprocess.Popen(
        command, cwd=kit.shipped(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )
    wait_for(lambda: lines(folder) >= moment or process.poll() is not None, f"record {moment}")
    ended = process.poll() is not None
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=SLOW)
    command = [sys.executable, "-m", "stepwedge", "report", str(folder)]
    done = subprocess.run(command, cwd=kit.shipped(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert readable(folder)["aborted"] is not ended
    assert ended or "aborted" in (folder / "report.html").read_text("utf-8")
    if (folder / "state/hospital.json").exists():
        simulated = hospital(folder)
        wait_for(lambda: gone(simulated), "end of the hospital")
