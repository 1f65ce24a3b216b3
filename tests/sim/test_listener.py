"""The HL7 door: duplicates, refusals, mistakes, all-or-nothing."""

import json
import re

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepwedge.sim.hl7 import Hl7Door, Reply
from stepwedge.wire.hl7 import HL7Error, parse


def test_an_accepted_message_is_kept_journaled_and_answered(hospital, admission, ask, run):
    async def talk():
        async with hospital(ris={}) as host:
            (reply,) = await ask(host, "ris", admission("1"))
            (exchange,) = host.journal.after(0)
            return reply, exchange, await host.simulators["ris"].ask("patient", {"id": "SW1"})

    reply, exchange, patient = run(talk())
    assert parse(reply)["MSA-1"] == "AA"
    assert patient == {"id": "SW1", "name": "Doe", "heard": 1}
    assert (exchange.actor, exchange.direction, exchange.kind, exchange.outcome) == (
        "ris",
        "in",
        "ADT^A04",
        "AA",
    )
    assert exchange.keys == {"control": ["1"], "patient": ["SW1"]}
    assert exchange.request.read() == admission("1")
    assert exchange.response.read() == reply


def test_a_repeated_message_gets_the_same_answer_and_does_nothing(hospital, admission, ask, run):
    async def talk():
        async with hospital(ris={}) as host:
            replies = await ask(host, "ris", admission("1"), admission("1"))
            return replies, await host.simulators["ris"].ask("patient", {"id": "SW1"}), host.journal.after(0)

    (first, second), patient, exchanges = run(talk())
    assert first == second
    assert patient["heard"] == 1
    assert [exchange.facts.get("repeated", False) for exchange in exchanges] == [False, True]


def test_the_same_control_id_over_other_content_is_refused(hospital, admission, ask, run):
    async def talk():
        async with hospital(ris={}) as host:
            return await ask(host, "ris", admission("1"), admission("1", patient="SW2"))

    _, second = run(talk())
    reply = parse(second)
    assert (reply["MSA-1"], reply["MSA-2"], reply["ERR-3.1"]) == ("AE", "1", "205")
    assert "used before" in reply["ERR-8"]


def test_two_senders_may_use_the_same_control_id(hospital, admission, ask, run):
    async def talk():
        async with hospital(ris={}) as host:
            return await ask(host, "ris", admission("1"), admission("1", patient="SW2", application="OTHER"))

    assert [parse(reply)["MSA-1"] for reply in run(talk())] == ["AA", "AA"]


def test_a_handler_that_fails_leaves_nothing_and_the_message_may_come_again(
    hospital, admission, ask, run, tmp_path
):
    async def talk():
        async with hospital(ris={}) as host:
            replies = await ask(host, "ris", admission("1", name="BUG"), admission("2"))
            count = await host.simulators["ris"].ask("count", {})
            again = await ask(host, "ris", admission("1", patient="SW3"))
        async with hospital(ris={}) as host:
            return replies + again, count, await host.simulators["ris"].ask("count", {})

    (failed, next_, again), count, kept = run(talk())
    assert parse(failed)["MSA-1"] == "AE"
    assert "a bug" in parse(failed)["ERR-8"]
    assert parse(next_)["MSA-1"] == parse(again)["MSA-1"] == "AA"
    assert (count, kept) == (1, 2)


def test_unknown_types_are_rejected_by_table_0357(hospital, admission, ask, run):
    async def talk():
        async with hospital(ris={}) as host:
            event = admission("1").replace(b"ADT^A04^ADT_A01", b"ADT^A99^ADT_A99")
            kind = admission("2").replace(b"ADT^A04^ADT_A01", b"BAR^P01^BAR_P01")
            return await ask(host, "ris", event, kind)

    assert [(parse(r)["MSA-1"], parse(r)["ERR-3.1"]) for r in run(talk())] == [("AR", "201"), ("AR", "200")]


def test_a_broken_message_is_refused_and_the_door_stays_open(hospital, admission, ask, run):
    async def talk():
        async with hospital(ris={}) as host:
            replies = await ask(host, "ris", admission("1").replace(b"Doe", b"D\xf6e"), admission("2"))
            return replies, host.journal.after(0)

    (broken, whole), exchanges = run(talk())
    assert parse(broken)["MSA-1"] == "AE"
    assert parse(whole)["MSA-1"] == "AA"
    assert [exchange.outcome for exchange in exchanges] == ["AE", "AA"]


def test_a_real_looking_patient_is_refused_and_never_becomes_evidence(
    hospital, admission, ask, run, tmp_path
):
    async def talk():
        async with hospital(ris={}) as host:
            return await ask(host, "ris", admission("1", patient="4711", name="Realperson"))

    (reply,) = run(talk())
    assert parse(reply)["MSA-1"] == "AE"
    for path in (tmp_path / "state").rglob("*"):
        if path.is_file():
            assert b"Realperson" not in path.read_bytes(), path
    (line,) = (tmp_path / "state" / "journal.jsonl").read_text().splitlines()
    assert json.loads(line)["facts"] == {"refused": "identifiers that are not synthetic"}


def test_a_lab_may_take_other_patient_ids(hospital, admission, ask, run):
    async def talk():
        async with hospital(ris={"identity": {"patients": ""}}) as host:
            return await ask(host, "ris", admission("1", patient="4711"))

    assert parse(run(talk())[0])["MSA-1"] == "AA"


ODD = st.one_of(
    st.binary(max_size=200),
    st.binary(max_size=60).map(lambda tail: b"MSH|^~\\&|T|X|||20261124||ADT^A04^ADT_A01|1|P|2.5.1\r" + tail),
    st.text("|^~&\\\rMSHPIDA04öß0123.", max_size=120).map(lambda text: b"MSH|^~\\&|" + text.encode()),
    st.tuples(st.integers(0, 200), st.binary(max_size=3), st.integers(0, 9)),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(odd=ODD)
def test_whatever_comes_is_answered_and_leaves_state_and_door_whole(bench, admission, odd):
    if isinstance(odd, tuple):  # a good message with some bytes replaced
        at, put, cut = odd
        whole = admission("M1")
        odd = whole[:at] + put + whole[at + cut :]
    desk, door = bench
    rows = len(desk.patients)
    answer = door.answer(odd, "fuzz:1")
    (code,) = re.findall(rb"^MSH\|.*\rMSA\|(AA|AE|AR)[|\r]", answer)
    if code != b"AA":
        assert len(desk.patients) == rows
    desk.settled()


def test_an_answer_other_than_aa_undoes_what_the_handler_did(bench, admission):
    desk, _ = bench

    def half(state, message, now):
        state.patients["SW9"] = None
        return Reply("AE", text="not today")

    def raising(state, message, now):
        state.patients["SW9"] = None
        raise HL7Error(204, "PID-3", "Größe unbekannt")

    for handler in (half, raising):
        door = Hl7Door(desk.bench, desk, {"ADT^A04": handler})
        answer = parse(door.answer(admission("1"), "x:1"))
        assert answer["MSA-1"] == "AE"
        assert "SW9" not in desk.patients
