"""Messages that come together: one transaction, one write to the journal, and each is judged as if it had come alone."""

import re
import sqlite3
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepwedge.errors import Broken
from stepwedge.evidence.journal import Journal, read
from stepwedge.sim import keys
from stepwedge.sim.hl7 import Hl7Door, Reply, told_by
from stepwedge.sim.store import Send, Store
from stepwedge.sim.tables import State
from stepwedge.wire.hl7 import Er7, HL7Error, Rep, compose, header, parse


def codes(answers):
    return [parse(answer)["MSA-1"] for answer in answers]


def admit(state, message, now):
    state.patients[message["PID-3.1"]] = message["PID-5.1"]
    state.next("heard")
    match message["PID-5.1"]:
        case "No":
            return Reply("AE", text="not today")
        case "Wrong":
            raise HL7Error(204, "PID-3", "unknown")
        case "Bug":
            raise RuntimeError("a mistake of ours")
        case "Unsendable":
            return Reply(sends=[Send("nobody", b"x", kind="pigeon", control="1")])
        case "Undone":
            state.rollback()
    return Reply()


class Desk(State):
    def __init__(self):
        super().__init__(1, "ris")
        self.patients = self.table("patients", str)


@pytest.fixture
def door(bench):
    bench = bench[1]._bench
    return bench, (desk := Desk()), Hl7Door(bench, desk, {"ADT^A04": admit})


NAMES = ("Doe", "No", "Wrong", "Bug", "Unsendable", "Undone")
ACCEPTED = {"Doe", "Undone"}


def test_one_that_fails_undoes_itself_and_no_other(door, admission):
    _, desk, door = door
    messages = [(admission(name, f"SW{name}", name), "x:1") for name in NAMES]
    answers = door.answers(messages)
    assert codes(answers) == ["AA" if name in ACCEPTED else "AE" for name in NAMES]
    assert [parse(answer)["MSA-2"] for answer in answers] == list(NAMES)
    assert dict(desk.patients.items()) == {"SWDoe": "Doe"}
    assert desk.next("heard") == 2


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sent=st.lists(st.tuples(st.integers(0, 3), st.sampled_from(NAMES)), min_size=1, max_size=8),
    cuts=st.sets(st.integers(1, 7)),
)
def test_together_is_the_same_as_one_after_the_other(bench, admission, sent, cuts):
    """Also repetitions and control IDs used twice, within one group or over several."""
    bench = bench[1]._bench
    messages = [(admission(f"M{control}", "SW1", name), "x:1") for control, name in sent]
    bounds = [0, *sorted(cut for cut in cuts if cut < len(messages)), len(messages)]
    outcomes = []
    for groups in (
        [[one] for one in messages],
        [messages[a:b] for a, b in pairwise(bounds)],
    ):
        bench.store.clear_outbox()
        first, desk = bench.journal.last, Desk()
        door = Hl7Door(bench, desk, {"ADT^A04": admit})
        answers = [answer for group in groups for answer in door.answers(group)]
        told = [(one.outcome, one.keys, "repeated" in one.facts) for one in bench.journal.after(first)]
        for one in list(bench.store._rows):
            bench.store._db.execute("DELETE FROM rows WHERE place = ?", (bench.store._rows.pop(one),))
        outcomes.append((codes(answers), dict(desk.patients.items()), desk.counters.get("heard"), told))
    assert outcomes[0] == outcomes[1]


def test_what_was_answered_together_is_durable_and_in_the_journal_before_the_answers(
    door, admission, tmp_path
):
    bench, _, door = door
    answers = door.answers([(admission(str(number), f"SW{number}"), "x:1") for number in range(5)])
    bench.store._db.close()  # as a kill leaves it: nothing is written on the way out
    store, desk = Store(tmp_path / "state" / "ris" / "state.sqlite"), Desk()
    store.load(desk)
    assert list(desk.patients) == [f"SW{number}" for number in range(5)]
    assert [store.replied("TEST|STEPWEDGE", str(number)).reply for number in range(5)] == answers
    store.close()
    lines = list(read(bench.journal.path))
    assert [(line["number"], line["keys"]["control"]) for line in lines] == [
        (number, [str(number - 1)]) for number in range(1, 6)
    ]


def test_a_transaction_that_cannot_be_made_is_made_for_each_alone(door, admission, monkeypatch):
    bench, desk, door = door
    commit = bench.store.commit

    def fails(state, change):
        if any(control == "2" for _, control in change.replies):
            raise sqlite3.OperationalError("disk I/O error")
        commit(state, change)

    monkeypatch.setattr(bench.store, "commit", fails)
    answers = door.answers([(admission(str(number), f"SW{number}"), "x:1") for number in range(4)])
    assert codes(answers) == ["AA", "AA", "AE", "AA"]
    assert "disk I/O error" in parse(answers[2])["ERR-8"]
    assert list(desk.patients) == ["SW0", "SW1", "SW3"]
    monkeypatch.undo()
    assert codes(door.answers([(admission("2", "SW2"), "x:1")])) == ["AA"]


def test_lines_written_together_are_numbered_and_found(tmp_path, door):
    bench, _, _ = door
    (tmp_path / "other").mkdir()
    journal = Journal(tmp_path / "other")
    one = bench.exchange("hl7", "in", "ADT^A04", began=0.0, peer="x", outcome="AA", request=b"1")
    journal.extend([one, one, one])
    journal.append(one)
    assert [line.number for line in journal.after(1)] == [2, 3, 4]
    journal.close()


def test_a_send_nobody_can_take_is_refused_by_the_outbox(door):
    bench, _, _ = door
    with pytest.raises(Broken, match="no sender"):
        bench.outbox.check(Send("nobody", b"x", kind="pigeon"))


FIELD = st.one_of(
    st.text("SW19^~&\\|ö", max_size=6),
    st.lists(st.text("SW1^~&", max_size=4), max_size=3),
    st.lists(st.text("SW1", max_size=4), max_size=3).map(lambda parts: Rep([[part, "x"] for part in parts])),
    st.sampled_from(["P1^SW~P2^SW", "P\\T\\1", ""]).map(Er7),
    st.none(),
)


@given(placer=FIELD, filler=FIELD, accession=FIELD)
def test_the_keys_of_what_is_written_are_those_of_what_would_be_read_back(placer, filler, accession):
    from datetime import UTC, datetime

    segments = [("ORC", {1: "OK", 2: placer, 3: filler}), ("OBR", {2: placer, 18: accession})]
    head = header("ORR^O02", control="1", now=datetime(2026, 11, 24, tzinfo=UTC))
    written = compose([head, *segments], charset="UNICODE UTF-8")
    assert keys.of_segments(segments) == told_by(written)
    assert re.match(rb"MSH\|", written)
