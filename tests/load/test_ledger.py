"""What the ledger says survives its writer, and adds up to what is really known."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from stepwedge.load.ledger import Account, Ledger

if TYPE_CHECKING:
    from pathlib import Path


def test_what_is_written_is_there_before_the_file_is_closed(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.write("order", "LP1", "attempted", patient="SW1")
    (path,) = tmp_path.iterdir()
    line = json.loads(path.read_text())
    assert line.pop("at") > 0
    assert line == {"kind": "order", "id": "LP1", "state": "attempted", "patient": "SW1"}


def test_orders_add_up(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for placer in ("1", "2", "3", "4"):
        ledger.write("order", placer, "attempted", patient="SW9")
    ledger.write("order", "1", "acknowledged", accession="SW1")
    ledger.write("order", "2", "acknowledged", accession="SW1")
    ledger.write("order", "3", "refused", why="AE")
    account = Account.read(tmp_path)
    assert [one.id for one in account.of("order", "attempted")] == ["4"]
    assert [one.id for one in account.of("order", "refused")] == ["3"]
    assert account.shared("order", "accession") == ["SW1"]
    assert account.of("order", "acknowledged")[0].keys == {"patient": "SW9", "accession": "SW1"}
    assert account.of("report") == []


def test_a_repetition_never_takes_an_acknowledgement_back(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for state in ("attempted", "acknowledged", "attempted", "refused"):
        ledger.write("instance", "1.2", state)
    for state in ("attempted", "refused", "attempted"):
        ledger.write("instance", "1.3", state)
    found = {one.id: (one.state, one.attempts) for one in Account.read(tmp_path).of("instance")}
    assert found == {"1.2": ("acknowledged", 2), "1.3": ("attempted", 2)}


def test_a_torn_last_line_is_passed_over(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.write("order", "1", "attempted")
    ledger.close()
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    for cut in range(len(whole) - 1):
        path.write_bytes(whole + whole[:cut])
        assert len(Account.read(tmp_path).of("order")) == 1
