"""An order whose acknowledgement is lost is sent again: a RIS that knows it neither by its message nor by its placer number is found."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import stepwedge

ROOT = Path(stepwedge.__file__).parents[1]
FORGETS = {"message": "ack.repeats_taken_again", "order": "order.dup_new_accession"}


@pytest.mark.parametrize(
    ("forgets", "verdict"), [((), "passed"), (("message",), "passed"), (("message", "order"), "failed")]
)
def test_one_of_two_keys_is_enough_to_know_an_order_again(forgets, verdict, tmp_path):
    command = [sys.executable, "-m", "stepwedge", "run", "scenarios/faults/acknowledgement-lost.yaml", "-q"]
    command += ["-k", "closed", "--lab", "fixtures/labs/faults.yaml", "--evidence", str(tmp_path / "run")]
    command += [word for one in forgets for word in ("--quirk", FORGETS[one])]
    subprocess.run(command, check=False, cwd=ROOT, capture_output=True, timeout=100)
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["verdict"] == verdict, summary["counts"]
