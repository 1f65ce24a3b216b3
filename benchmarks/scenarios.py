"""What the engine itself costs: hospital ready, all shipped runs, own time per step, start to first verdict.

    python benchmarks/scenarios.py [--repeats 5]

*Own time* is what a case took less the time spent waiting for the systems and on the wire: engine, journal, checks.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from stepwedge.lab import hospital, labfile  # noqa: E402 - the path is set before


def ready(folder):
    """Return seconds from the start of the process until every door of the hospital listens."""
    began = time.perf_counter()
    with hospital.start(labfile.load(None), folder, 1):
        return time.perf_counter() - began


def run(folder):
    """Return seconds of the whole command, of its cases alone, until the first verdict; own ms per step; cases and steps."""
    began_wall, began = time.time(), time.perf_counter()
    command = [sys.executable, "-m", "stepwedge", "run", "--quiet", "--evidence", str(folder)]
    subprocess.run(command, check=True, capture_output=True, cwd=sys.path[0])
    whole = time.perf_counter() - began
    records = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    verdicts = [one for one in records if one["record"] == "verdict"]
    assert {one["verdict"] for one in verdicts} == {"passed"}
    steps = sum(one["record"] == "step" for one in records)
    took = sum(one["took"] for one in verdicts)
    own = sum(one["own_time"] for one in verdicts) / steps * 1000
    start = min(one["started"] for one in records if one["record"] == "case")
    return whole, took, start - began_wall, own, len(verdicts), steps


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        up = [ready(folder / f"up{number}") for number in range(repeats)]
        runs = [run(folder / f"run{number}") for number in range(repeats)]
    whole, took, start, own, cases, steps = (statistics.median(column) for column in zip(*runs, strict=True))
    print(f"hospital ready           {statistics.median(up):6.2f} s   goal 2 s")
    print(f"command to first case    {start:6.2f} s   goal 3 s")
    print(f"{cases:.0f} runs, {steps:.0f} steps       {took:6.2f} s   goal 20 s, one process")
    print(f"the whole command        {whole:6.2f} s   with reports")
    print(f"own time of a step       {own:6.2f} ms  goal 15 ms, aim 5")


if __name__ == "__main__":
    main()
