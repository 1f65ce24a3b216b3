"""What the ledger says survives its writer, and adds up to what is really known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepwedge.load.ledger import Account, Ledger, entries

if TYPE_CHECKING:
    from pathlib import Path


def test_what_is_written_is_there_before_the_file_is_closed(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.write("order", "LP1", "attempted", patient="SW1")
    (line,) = entries(tmp_path)
    assert line["at"] > 0
    assert {key: line[key] for key in ("kind", "id", "state", "patient")} == {
        "kind": "order",
        "id": "LP1",
        "state": "attempted",
        "patient": "SW1",
    }


def test_orders_add_up(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.write_all("order", ("1", "2", "3", "4"), "attempted", patient="SW9")
    ledger.write("order", "1", "acknowledged", accession="SW1")
    ledger.write("order", "2", "acknowledged", accession="SW1")
    ledger.write("order", "3", "refused", why="AE")
    account = Account.read(tmp_path)
    assert [one.id for one in account.of("order", "attempted")] == ["4"]
    assert [one.id for one in account.of("order", "refused")] == ["3"]
    assert account.shared("order", "accession") == ["SW1"]
    assert account.count("order") == {"attempted": 1, "acknowledged": 2, "refused": 1}
    assert account.of("order", "acknowledged")[0].keys == {"patient": "SW9", "accession": "SW1"}
    assert account.of("report") == []


def test_a_repetition_never_takes_an_acknowledgement_back(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for state in ("attempted", "acknowledged", "attempted", "refused"):
        ledger.write("instance", "1.2", state)  # type: ignore[arg-type]
    for state in ("attempted", "refused", "attempted"):
        ledger.write("instance", "1.3", state)  # type: ignore[arg-type]
    states = {one.id: one.state for one in Account.read(tmp_path).of("instance")}
    assert states == {"1.2": "acknowledged", "1.3": "attempted"}


def test_a_torn_last_line_is_passed_over(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.write("order", "1", "attempted")
    ledger.close()
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    for cut in range(len(whole)):
        path.write_bytes(whole + whole[:cut])
        assert len(list(entries(tmp_path))) == 1


def test_images_have_keys_of_their_own(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.write_each(
        "instance", [("1.2", {"pixels": "aa"}), ("1.3", {"pixels": "bb"})], "attempted", study="1"
    )
    kept = {one.id: one.keys for one in Account.read(tmp_path).of("instance")}
    assert kept == {"1.2": {"study": "1", "pixels": "aa"}, "1.3": {"study": "1", "pixels": "bb"}}
