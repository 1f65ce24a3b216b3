"""What a run promises whatever happens to it: killed anywhere it can be read, and two at once do not meet.

``STEPWEDGE_KILLS=50`` kills a run that often; three times otherwise.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET

import pytest

from stepwedge import kit

KILLS = int(os.environ.get("STEPWEDGE_KILLS", "3"))
SLOW = 100
RECORDS = 250
"""Journal lines of the scenarios below, about."""
MOMENTS = sorted(random.Random(20261124).sample(range(1, RECORDS), KILLS))  # noqa: S311 - a draw, not a secret


def start(folder, *args):
    command = [sys.executable, "-m", "stepwedge", "run", "-q", "--evidence", str(folder), *args]
    return subprocess.Popen(
        command,
        cwd=kit.shipped(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def wait_for(condition, what):
    deadline = time.monotonic() + SLOW
    while not condition():
        assert time.monotonic() < deadline, f"no {what} within {SLOW} s"
        time.sleep(0.005)


def lines(folder):
    with contextlib.suppress(FileNotFoundError):
        return (folder / "journal.jsonl").read_bytes().count(b"\n")
    return 0


def gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


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


@pytest.mark.timeout(3 * SLOW)
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_killed_anywhere_is_reported_as_what_it_was(tmp_path, moment):
    folder = tmp_path / "run"
    process = start(folder, "scenarios/cancel")
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
    known = folder / "state/hospital.json"
    if known.exists():
        simulated = json.loads(known.read_text())["pid"]
        wait_for(lambda: gone(simulated), "end of the hospital")


def test_two_runs_at_once_with_the_same_seed_do_not_meet(tmp_path):
    one = "scenarios/routine/ct-order-to-report.yaml"
    both = [start(tmp_path / name, "--seed", "4171", one) for name in ("first", "second")]
    for process in both:
        said, _ = process.communicate(timeout=SLOW)
        assert process.returncode == 0, said
    ports, seen = [], []
    for name in ("first", "second"):
        records = [json.loads(line) for line in (tmp_path / name / "journal.jsonl").read_text().splitlines()]
        exchanges = [one["exchange"] for one in records if one["record"] == "exchange"]
        ports.append(set(json.loads((tmp_path / name / "state/ports.json").read_text()).values()))
        seen.append(sorted((one["actor"], one["direction"], one["kind"]) for one in exchanges))
    assert not ports[0] & ports[1]
    assert seen[0]
    assert [each for each in seen[0] if each[0] == "pacs" and each[2] == "C-STORE"] == [
        each for each in seen[1] if each[0] == "pacs" and each[2] == "C-STORE"
    ]
