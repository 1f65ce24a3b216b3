"""A short load is met, and one that loses an order or cannot tell is not."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from stepwedge.load.ledger import Account
from stepwedge.load.run import Outcome, read, reconcile
from stepwedge.sim.address import Address, Entity

if TYPE_CHECKING:
    from pathlib import Path


def test_a_short_load_is_met(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "stepwedge",
        "load",
        "--seconds",
        "4",
        "--evidence",
        str(tmp_path / "load"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "met: " in done.stdout
    account = Account.read(tmp_path / "load" / "ledger")
    assert len(account.of("order", "acknowledged")) >= 5
    assert not account.of("order", "refused")


def counted(folder: Path, rows: list[tuple[str, int, int]]) -> Outcome:
    table = [{"name": name, "num_requests": made, "num_failures": failed} for name, made, failed in rows]
    (folder / "locust.json").write_text(json.dumps(table))
    return read(folder)


def test_a_kind_of_request_that_was_never_made_is_not_met(tmp_path: Path) -> None:
    assert counted(tmp_path, [("ADT^A04", 5, 0), ("OMG^O19", 5, 0)]).exit_code == 3


def test_a_failed_request_is_missed(tmp_path: Path) -> None:
    rows = [("ADT^A04", 5, 0), ("OMG^O19", 5, 1), ("C-FIND worklist", 4, 0)]
    assert counted(tmp_path, rows).exit_code == 1


def test_no_order_and_no_worklist_cannot_be_told(tmp_path: Path) -> None:
    outcome = Outcome()
    reconcile(outcome, Account.read(tmp_path), Address(worklist=Entity("NOBODY", "127.0.0.1", 1)))
    assert outcome.exit_code == 3
    assert len(outcome.unsure) == 2
