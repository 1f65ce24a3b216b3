"""The patient index over real MLLP: feeds, the cases of ITI-9, searches in parts, bad input, restart; hl7apy judges the structure."""

import contextlib
import itertools
from datetime import UTC, datetime

import pytest

from stepwedge.sim.host import Host, Part, Plan
from stepwedge.sim.messages import Envelope
from stepwedge.sim.messages.identity import (
    Identifier,
    cancel_query,
    demographics_query,
    link_message,
    notice,
    pix_query,
    read_answer,
)
from stepwedge.wire import mllp_asyncio
from stepwedge.wire.hl7 import compose, header, parse
from stepwedge.wire.structure import complaints

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
_numbers = itertools.count(1)


def envelope():
    return Envelope("TEST", "SW_MPI", f"T{next(_numbers)}", NOW)


def adt(event, number, domain="STEPWEDGE", name=("Doe", "Jane"), born="19700101", sex="F", prior=""):
    head = header(f"ADT^{event}", control=f"T{next(_numbers)}", now=NOW, sender=("TEST", "SW"))
    pid = ("PID", {3: [number, "", "", domain], 5: list(name), 7: born, 8: sex})
    merged = [("MRG", {1: [prior, "", "", domain]})] if prior else []
    return compose([head, ("EVN", {1: event}), pid, *merged])


def pix(number, domain="STEPWEDGE", wanted=()):
    one = envelope()
    return pix_query(one, one.control, Identifier(domain, number), wanted)


@contextlib.asynccontextmanager
async def index(state, quirks=()):
    host = Host(Plan({"mpi": Part("mpi", {"domains": ["STEPWEDGE", "CLINIC"]})}), state, 1, quirks)
    await host.start()
    try:
        yield host
    finally:
        await host.stop()


async def talk(host, *messages):
    endpoint = host.directory["mpi"].hl7
    client = mllp_asyncio.Client(endpoint.host, endpoint.port)
    try:
        return [await client.ask(message, 5) for message in messages]
    finally:
        await client.close()


@pytest.fixture
def asked(tmp_path, run):
    """Feed and ask an index on one state folder; the last answer comes back read."""

    def ask(*messages):
        async def go():
            async with index(tmp_path / "state") as host:
                return await talk(host, *messages)

        return run(go())

    return ask


def test_the_cases_of_a_cross_reference_query(asked):
    *fed, found, none, unknown, domain, wanted = asked(
        adt("A04", "SW1"),
        adt("A28", "SW9", "CLINIC", name=("DOE", "jane")),
        adt("A04", "SW2", name=("Doe", "Joan")),
        pix("SW1"),
        pix("SW2"),
        pix("SW3"),
        pix("SW1", "ELSEWHERE"),
        pix("SW1", wanted=["CLINIC", "ELSEWHERE"]),
    )
    assert [parse(one)["MSA-1"] for one in fed] == ["AA"] * 3
    assert read_answer(found).identifiers == (Identifier("CLINIC", "SW9"),)
    assert (read_answer(none).acknowledged, read_answer(none).status) == ("AA", "NF")
    where = [read_answer(one).where for one in (unknown, domain, wanted)]
    assert where == ["QPD^1^3^1^1", "QPD^1^3^1^4", "QPD^1^4^2"]
    assert {read_answer(one).code for one in (unknown, domain, wanted)} == {"204"}
    assert {read_answer(one).status for one in (unknown, domain, wanted)} == {"AE"}
    for answer in (found, none, unknown, domain, wanted):
        assert complaints(answer) == []


def test_linked_by_hand_then_taken_apart_over_a_restart(asked):
    here, there = Identifier("STEPWEDGE", "SW1"), Identifier("CLINIC", "SW9")
    asked(adt("A04", "SW1"), adt("A04", "SW9", "CLINIC", name=("Roe", "Ann")))
    linked, known = asked(link_message("A24", here, there, envelope()), pix("SW1"))
    assert parse(linked)["MSA-1"] == "AA"
    assert read_answer(known).identifiers == (there,)
    asked(link_message("A37", here, there, envelope()))
    assert read_answer(asked(adt("A08", "SW9", "CLINIC"), pix("SW1"))[-1]).status == "NF"


def test_a_merge_takes_links_along_and_a_renamed_record_keeps_them(asked):
    answers = asked(
        adt("A04", "SW1", name=("Older", "Record")),
        adt("A04", "SW2"),
        adt("A04", "SW9", "CLINIC"),
        adt("A40", "SW1", name=("Older", "Record"), prior="SW2"),
        pix("SW9", "CLINIC"),
        adt("A47", "SW5", prior="SW1"),
        pix("SW9", "CLINIC"),
        adt("A47", "SW2", prior="SW5"),
        pix("SW2"),
    )
    assert read_answer(answers[4]).identifiers == (Identifier("STEPWEDGE", "SW1"),)
    assert read_answer(answers[6]).identifiers == (Identifier("STEPWEDGE", "SW5"),)
    assert (parse(answers[7])["MSA-1"], parse(answers[7])["ERR-3.1"]) == ("AE", "205")
    assert read_answer(answers[8]).status == "AE"


def test_a_search_in_parts_and_its_end(asked):
    keys, tag = {"@PID.5.1.1": "do*", "@PID.8": "F"}, "TAG"
    *_, first = asked(
        *(adt("A04", f"SW{n}", name=("Doe", f"Jane{n}")) for n in range(5)),
        demographics_query(envelope(), tag, keys, most=2),
    )
    people, pointer = read_answer(first).people, read_answer(first).pointer
    (second,) = asked(demographics_query(envelope(), tag, keys, most=2, pointer=pointer))
    people += read_answer(second).people
    pointer = read_answer(second).pointer
    ended, gone = asked(
        cancel_query(envelope(), tag), demographics_query(envelope(), tag, keys, most=2, pointer=pointer)
    )
    assert [one["name"] for one in people] == [f"Doe^Jane{n}" for n in range(4)]
    assert parse(ended)["MSA-1"] == "AA"
    assert (read_answer(gone).status, read_answer(gone).where) == ("AE", "DSC^^1")
    # hl7apy's RSP_K21 holds one patient, where ITI-21 repeats the group
    single = demographics_query(envelope(), "ONE", keys, most=1)
    assert complaints(asked(single)[0]) == []


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (demographics_query(envelope(), "T", {"@PID.99": "x"}), "103"),
        (demographics_query(envelope(), "T", {}), "101"),
        (pix("ALIEN1"), "204"),
        (adt("A04", "SW1", "ELSEWHERE"), "204"),
        (adt("A40", "SW1", prior="SW1"), "205"),
        (adt("A99", "SW1"), "201"),
    ],
)
def test_bad_input_is_refused_and_the_door_stays_open(asked, message, code):
    refused, fed = asked(message, adt("A04", "SW7"))
    assert parse(refused)["MSA-1"] in {"AE", "AR"}
    assert parse(refused)["ERR-3.1"] == code
    assert parse(fed)["MSA-1"] == "AA"


def test_what_we_write_is_as_hl7apy_knows_it():
    both = [Identifier("CLINIC", "SW9"), Identifier("STEPWEDGE", "SW1")]
    messages = [
        pix("SW1", wanted=["CLINIC"]),
        demographics_query(envelope(), "T", {"@PID.5.1": "D*"}, ["CLINIC"], most=3, pointer="P1"),
        cancel_query(envelope(), "T"),
        link_message("A24", *both, envelope()),
        link_message("A37", *both, envelope()),
        notice(both, envelope()),
    ]
    assert [complaints(one) for one in messages] == [[]] * len(messages)
