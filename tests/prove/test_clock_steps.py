"""The clock of the machine is set, forwards and backwards, several times a second in every process of a run: nothing changes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import stepwedge

ROOT = Path(stepwedge.__file__).parents[1]
STEPPING = """
import time
_time, _time_ns = time.time, time.time_ns
STEPS = (0, 300, -300, 0, -600)  # seconds; every deadline of the run is shorter
def _step():
    return STEPS[int(time.monotonic() / 0.3) % len(STEPS)]
time.time = lambda: _time() + _step()
time.time_ns = lambda: _time_ns() + _step() * 10**9
"""


def run(folder, *arguments):
    """Run scenarios in a world in which the clock is set all the time; return summary and records of the journal."""
    (folder / "world").mkdir()
    (folder / "world" / "sitecustomize.py").write_text(STEPPING)
    env = {**os.environ, "PYTHONPATH": f"{folder / 'world'}{os.pathsep}{ROOT}"}
    command = [
        sys.executable,
        "-m",
        "stepwedge",
        "run",
        "-q",
        "--seed",
        "4711",
        "--evidence",
        str(folder / "run"),
        *arguments,
    ]
    subprocess.run(command, check=False, cwd=ROOT, env=env, capture_output=True, timeout=100)
    records = [json.loads(line) for line in (folder / "run" / "journal.jsonl").read_text().splitlines()]
    return json.loads((folder / "run" / "summary.json").read_text()), records


def test_a_run_passes_and_measures_right_while_the_clock_is_set(tmp_path):
    summary, records = run(
        tmp_path,
        "scenarios/routine/ct-order-to-report.yaml",
        "-k",
        "routine",
        "scenarios/cancel/after-worklist.yaml",
    )
    assert summary["verdict"] == "passed", summary["counts"]
    exchanges = [one["exchange"] for one in records if one["record"] == "exchange"]
    assert len(exchanges) > 50
    assert all(0 <= one["took"] < 60 for one in exchanges)
    assert max(one["at"] for one in exchanges) - min(one["at"] for one in exchanges) < 100
    steps = [one["took"] for one in records if one["record"] == "step"]
    assert all(0 <= took < 60 for took in steps)


def test_a_defect_is_still_seen_in_its_time_while_the_clock_is_set(tmp_path):
    summary, records = run(tmp_path, "scenarios/cancel/after-worklist.yaml", "--quirk", "mwl.keep_cancelled")
    assert summary["verdict"] == "failed"
    failed = [one for one in records if one["record"] == "step" and one["verdict"] == "failed"]
    assert failed
    assert all(one["took"] < 30 for one in failed)
