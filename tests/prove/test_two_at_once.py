"""Two runs at once, with the same seed, do not meet."""

from __future__ import annotations

import json
import subprocess
import sys

from stepwedge import kit

SLOW = 100


def start(folder, *args):
    command = [sys.executable, "-m", "stepwedge", "run", "-q", "--evidence", str(folder), *args]
    return subprocess.Popen(
        command, cwd=kit.shipped(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


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
