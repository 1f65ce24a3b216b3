"""What passes to a real system is in the journal as it would have written it down, however the stream is cut."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from stepwedge.evidence.journal import Journal
from stepwedge.sim.address import Directory
from stepwedge.sim.bench import Bench
from stepwedge.sim.ports import Ports
from stepwedge.sim.tap.tap import Edge
from stepwedge.sim.tap.witness_hl7 import Hl7Witness
from stepwedge.wire.hl7 import acknowledgement, parse
from stepwedge.wire.mllp import frame


def message(control, patient="SW12345678"):
    return (
        f"MSH|^~\\&|RIS||PACS||20261124093000||ADT^A04|{control}|P|2.5.1\r"
        f"PID|1||{patient}^^^STEPWEDGE||DOE^JANE\r"
    ).encode()


def answer(raw, code="AA"):
    return acknowledgement(parse(raw), code, control="A", now=datetime.now(UTC))


@pytest.fixture
def watch(tmp_path):
    journal = Journal(tmp_path)
    bench = Bench(
        "pacs", "tap", {}, tmp_path / "pacs", 1, journal, Directory(), Ports(tmp_path / "ports.json")
    )
    yield Shown(Hl7Witness(bench, Edge("ris", "pacs", "hl7"))), journal
    bench.store.close()


class Shown:
    """A witness, and what it tells in the journal at once."""

    def __init__(self, witness):
        self.witness = witness

    def asked(self, data):
        self.witness.bench.keep(list(self.witness.asked(data, 1.0)))

    def answered(self, data):
        self.witness.bench.keep(list(self.witness.answered(data, 2.0)))

    def over(self):
        self.witness.bench.keep(list(self.witness.over(3.0)))


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_messages_with_their_answers(watch, size):
    witness, journal = watch
    asked = frame(message("1")) + frame(message("2"))
    said = frame(answer(message("2"), "AE")) + frame(answer(message("1")))  # in any order
    for at in range(0, len(asked), size):
        witness.asked(asked[at : at + size])
    for at in range(0, len(said), size):
        witness.answered(said[at : at + size])
    two, one = journal.after(0)
    assert (two.keys["control"], two.outcome, one.keys["control"], one.outcome) == (["2"], "AE", ["1"], "AA")
    assert (one.actor, one.direction, one.peer, one.kind) == ("pacs", "in", "ris", "ADT^A04")
    assert one.keys["patient"] == ["SW12345678"]
    assert one.facts["tap"] == "ris->pacs hl7"
    assert one.request.read() == message("1")


def test_what_is_never_answered_is_lost(watch):
    witness, journal = watch
    witness.asked(frame(message("1")))
    assert journal.last == 0
    witness.over()
    assert journal.after(0)[0].outcome == "lost"


def test_nobody_real_is_written_down(watch):
    witness, journal = watch
    witness.asked(frame(message("1", "4711")))
    witness.answered(frame(answer(message("1", "4711"))))
    kept = journal.after(0)[0]
    assert (kept.request.read(), kept.response.read(), kept.keys) == (b"", b"", {})
    assert "4711" not in journal.path.read_text()
    assert "JANE" not in journal.path.read_text()


def test_what_is_no_hl7_ends_the_reading_and_nothing_else(watch):
    witness, journal = watch
    witness.asked(b"\x16\x03\x01" * 5000)
    witness.asked(frame(message("1")))
    witness.over()
    (told,) = journal.after(0)
    assert (told.kind, told.outcome) == ("unreadable", "garbled")
    assert "MLLP" in told.facts["error"]


def test_open_messages_are_bounded(watch):
    witness, journal = watch
    for number in range(100):
        witness.asked(frame(message(str(number))))
    assert journal.last == 36
    assert {one.outcome for one in journal.after(0)} == {"timeout"}


def test_a_message_that_cannot_be_read_is_not_kept(watch):
    witness, journal = watch
    witness.asked(frame(b"PID|1||4711||DOE^JANE\r"))
    witness.over()
    (told,) = journal.after(0)
    assert (told.kind, told.outcome, told.request.read()) == ("unreadable", "lost", b"")
    assert "JANE" not in journal.path.read_text()
