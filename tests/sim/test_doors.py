"""The DICOM and web doors, and the ways out: everything is journaled at both ends, with its identifiers."""

import asyncio
import hashlib

import pytest

from stepwedge.errors import LinkLost, Refused
from stepwedge.sim.address import Address, Entity
from stepwedge.sim.simulator import Case
from stepwedge.wire import dimse_asyncio
from stepwedge.wire.elements import encode
from stepwedge.wire.part10 import read as read_part10
from stepwedge.wire.services import STUDY_FIND, VERIFICATION

CASE = Case("case", 1)
CT = "1.2.840.10008.5.1.4.1.1.2"
PIXELS = bytes(range(256)) * 4


def instance(patient="SW1", sop="2.25.9"):
    return encode(
        {
            "SOPClassUID": CT,
            "SOPInstanceUID": sop,
            "PatientID": patient,
            "PatientName": "Realperson",
            "AccessionNumber": "SW77",
            "StudyInstanceUID": "2.25.1",
            "SeriesInstanceUID": "2.25.2",
            "ReferencedStudySequence": [{"ReferencedSOPInstanceUID": "2.25.1"}],
            "PixelData": PIXELS,
        },
        explicit=True,
    )


async def until(condition, seconds=10.0):
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - a condition of any kind
            await asyncio.sleep(0.005)


def archives(**more):
    return {"a": {"role": "archive", **more}, "b": {"role": "archive"}}


def test_a_stored_instance_is_in_the_journal_of_both_ends(hospital, run):
    data = instance()

    async def talk():
        async with hospital(**archives()) as host:
            await host.simulators["a"].act("send", {"to": "b", "sop": "2.25.9", "data": data.hex()}, CASE)
            return host.journal.after(0)

    received, sent, act = run(talk())
    assert (received.actor, received.direction, received.peer) == ("b", "in", "a")
    assert (sent.actor, sent.direction, sent.peer, sent.case) == ("a", "out", "b", "case")
    assert act.keys["sop"] == ["2.25.9"]
    keys = {
        "patient": ["SW1"],
        "accession": ["SW77"],
        "study": ["2.25.1"],
        "series": ["2.25.2"],
        "sop": ["2.25.9"],
    }
    for exchange in (received, sent):
        assert (exchange.kind, exchange.outcome) == ("C-STORE", "0000")
        assert exchange.keys == keys
        dataset = exchange.facts["dataset"]
        assert dataset["sha256"] == hashlib.sha256(data).hexdigest()
        assert dataset["pixels"] == hashlib.sha256(PIXELS).hexdigest()
        assert dataset["header"]["PatientID"] == "SW1"
        assert "PixelData" not in dataset["header"]
        assert read_part10(exchange.request.read()).data == data


def test_what_is_stored_survives_a_restart_on_the_same_port(hospital, run):
    async def talk():
        async with hospital(**archives()) as host:
            before = host.directory["b"].format()
            await host.simulators["a"].act(
                "send", {"to": "b", "sop": "2.25.9", "data": instance().hex()}, CASE
            )
        async with hospital(**archives()) as host:
            return before, host.directory["b"].format(), await host.simulators["b"].ask("objects", {})

    before, after, objects = run(talk())
    assert before == after
    assert objects == ["2.25.9"]


def test_a_real_looking_patient_is_refused_with_0124_and_never_becomes_evidence(hospital, run, tmp_path):
    async def talk():
        async with hospital(**archives()) as host:
            args = {"to": "b", "sop": "2.25.9", "data": instance("4711").hex()}
            result = await host.simulators["a"].act("send", args, CASE)
            return result, host.journal.after(0)[0]

    result, exchange = run(talk())
    assert result["status"] == 0x0124
    assert exchange.outcome == "0124"
    assert exchange.facts["refused"]
    for path in (tmp_path / "state").rglob("*"):
        if path.is_file():
            assert b"Realperson" not in path.read_bytes(), path


def test_a_query_is_journaled_with_its_answers(hospital, run):
    async def talk():
        async with hospital(**archives()) as host:
            await host.simulators["a"].act(
                "send", {"to": "b", "sop": "2.25.9", "data": instance().hex()}, CASE
            )
            there = host.directory["b"].dicom
            async with await dimse_asyncio.open(
                there.host, there.port, calling="SW_PROBE", called=there.ae, contexts=[STUDY_FIND]
            ) as association:
                await association.find(STUDY_FIND, {"PatientID": "SW*", "StudyInstanceUID": ""})
            return host.journal.after(0)[-1]

    exchange = run(talk())
    assert (exchange.kind, exchange.peer, exchange.facts["count"]) == ("C-FIND", "SW_PROBE", 1)
    assert exchange.facts["identifier"]["PatientID"] == "SW*"
    assert exchange.keys == {"patient": ["SW1"], "study": ["2.25.1"]}


def test_an_event_goes_through_the_outbox_on_its_own_association(hospital, run):
    async def talk():
        async with hospital(**archives()) as host:
            args = {"to": "b", "sop": "2.25.9", "transaction": "2.25.5"}
            await host.simulators["a"].act("commit", args, CASE)

            async def arrived():
                return await host.simulators["a"].ask("events", {})

            await until(arrived)
            await until(lambda: asyncio.sleep(0, not host.simulators["b"].bench.outbox.waiting()))
            return await host.simulators["a"].ask("events", {}), host.journal.after(0)

    events, exchanges = run(talk())
    assert events == ["2.25.5"]
    reports = [each for each in exchanges if each.kind == "N-EVENT-REPORT"]
    assert {each.direction for each in reports} == {"in", "out"}
    for exchange in reports:
        assert exchange.keys == {"transaction": ["2.25.5"], "sop": ["2.25.9"]}


def test_an_association_that_cannot_be_made_is_journaled(hospital, run):
    async def talk():
        async with hospital(a={"role": "archive"}, b={"role": "archive"}) as host:
            there = host.directory["b"].dicom
            host.directory["wrong"] = Address(dicom=Entity("NOBODY", there.host, there.port))
            host.directory["gone"] = Address(dicom=Entity("GONE", "127.0.0.1", 9))
            args = {"sop": "2.25.9", "data": instance().hex()}
            with pytest.raises(Refused):
                await host.simulators["a"].act("send", {"to": "wrong", **args}, CASE)
            with pytest.raises(LinkLost):
                await host.simulators["a"].act("send", {"to": "gone", **args}, CASE)
            return host.journal.after(0)

    outcomes = [(each.kind, each.peer, each.outcome) for each in run(talk())]
    assert outcomes == [
        ("A-ASSOCIATE", "wrong", "refused"),
        ("send", "", "refused"),
        ("A-ASSOCIATE", "gone", "lost"),
        ("send", "", "inconclusive"),
    ]


def test_an_echo_is_journaled_without_identifiers(hospital, run):
    async def talk():
        async with hospital(**archives()) as host:
            there = host.directory["b"].dicom
            async with await dimse_asyncio.open(
                there.host, there.port, calling="X", called=there.ae, contexts=[VERIFICATION]
            ) as association:
                await association.echo()
            return host.journal.after(0)

    (exchange,) = run(talk())
    assert (exchange.kind, exchange.outcome, exchange.keys) == ("C-ECHO", "0000", {})


def test_a_web_exchange_is_journaled_at_both_ends(hospital, run):
    async def talk():
        async with hospital(**archives()) as host:
            args = {"to": "b", "path": "/studies/2.25.3", "query": {"PatientID": "SW1", "00080050": "SW7"}}
            result = await host.simulators["a"].act("fetch", args, CASE)
            return result, host.journal.after(0)

    result, (received, sent, _) = run(talk())
    assert result["status"] == 200
    assert (received.actor, received.peer, sent.actor, sent.peer) == ("b", "a", "a", "b")
    for exchange in (received, sent):
        assert (exchange.kind, exchange.outcome) == ("GET /studies/{}", "200")
        assert exchange.keys == {"study": ["2.25.3", "2.25.1"], "patient": ["SW1"], "accession": ["SW7"]}
        assert exchange.facts["path"] == "/studies/2.25.3"
        assert exchange.response.read().decode() == result["body"]
    assert received.facts["seen"] is True


def test_a_mistake_in_a_web_handler_is_a_500_in_the_journal(hospital, run):
    async def talk():
        async with hospital(**archives()) as host:
            result = await host.simulators["a"].act("fetch", {"to": "b", "path": "/mistake"}, CASE)
            return result, host.journal.after(0)[0]

    result, received = run(talk())
    assert result["status"] == 500
    assert received.outcome == "500"
    assert "a bug" in received.facts["error"]
