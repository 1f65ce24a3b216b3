"""The worklist service of the archive over the wire (UPS-RS, PS3.18 section 11): every state against every request, and bad input."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
from types import SimpleNamespace

import httpx
import pytest

from stepwedge.model.identifiers import uid
from stepwedge.model.lifecycles import UPS
from stepwedge.sim.host import Host, Part, Plan
from stepwedge.wire import dicomjson, ups

TASK = "2.25.77"
LOCK, OTHER = "2.25.88", "2.25.99"
NEW = {
    "ScheduledProcedureStepPriority": "MEDIUM",
    "ProcedureStepLabel": "Read",
    "ScheduledProcedureStepStartDateTime": "20261124093000",
    "InputReadinessState": "READY",
    "PatientID": "SW12345678",
    "PatientName": "MÜLLER^Jörg",
    "StudyInstanceUID": uid("tests", "study"),
}
DONE = {
    "UnifiedProcedureStepPerformedProcedureSequence": [
        {
            "PerformedProcedureStepStartDateTime": "20261124093000",
            "PerformedProcedureStepEndDateTime": "20261124094000",
        }
    ],
    "ProcedureStepProgressInformationSequence": [{"ProcedureStepCancellationDateTime": "20261124094000"}],
}


@contextlib.asynccontextmanager
async def archive(state, **settings):
    host = Host(Plan({"pacs": Part("pacs", settings)}, {}), state, 7)
    await host.start()
    try:
        async with httpx.AsyncClient(base_url=host.directory["pacs"].web, trust_env=False) as client:

            async def ask(request):
                return await client.request(
                    request.method,
                    request.path,
                    params=request.query,
                    headers=request.headers,
                    content=request.body or None,
                )

            yield ask
    finally:
        await host.stop()


async def brought(ask, state):
    """Bring the task into a state, by requests."""
    assert (await ask(ups.create(TASK, NEW))).status_code == 201
    if state != ups.SCHEDULED:
        assert (await ask(ups.change_state(TASK, ups.IN_PROGRESS, LOCK))).status_code == 200
        assert (await ask(ups.update(TASK, DONE, LOCK))).status_code == 200
    if state in {ups.COMPLETED, ups.CANCELED}:
        assert (await ask(ups.change_state(TASK, state, LOCK))).status_code == 200


async def shown(ask):
    return dicomjson.loads((await ask(ups.retrieve(TASK))).content)[0]


def test_a_task_is_kept_over_a_restart_and_never_tells_its_key(tmp_path):
    async def talk():
        async with archive(tmp_path) as ask:
            made = await ask(ups.create(TASK, NEW))
            assert (made.status_code, made.headers["location"].rpartition("/")[2]) == (201, TASK)
            assert (await ask(ups.create(TASK, NEW))).status_code == 409
            assert (await ask(ups.change_state(TASK, ups.IN_PROGRESS, LOCK))).status_code == 200
        async with archive(tmp_path) as ask:
            told = await shown(ask)
            assert told["ProcedureStepState"] == ups.IN_PROGRESS
            assert told["PatientName"] == "MÜLLER^Jörg"
            assert "TransactionUID" not in told
            assert (await ask(ups.change_state(TASK, ups.COMPLETED, OTHER))).status_code == 400
            assert (await ask(ups.update(TASK, DONE, LOCK))).status_code == 200
            assert (await ask(ups.change_state(TASK, ups.COMPLETED, LOCK))).status_code == 200

    asyncio.run(talk())


REQUESTS = {
    "update": (ups.update(TASK, {"ProcedureStepLabel": "Again"}, LOCK), 200),
    "claim": (ups.change_state(TASK, ups.IN_PROGRESS, LOCK), 200),
    "complete": (ups.change_state(TASK, ups.COMPLETED, LOCK), 200),
    "cancel": (ups.change_state(TASK, ups.CANCELED, LOCK), 200),
}


@pytest.mark.parametrize("state", list(UPS))
@pytest.mark.parametrize("event", list(REQUESTS))
def test_every_request_follows_the_table(tmp_path, state, event):
    """PS3.4 table CC.1.1-2: what is not in the table is 409 and changes nothing; the state it has already is 200."""

    async def talk():
        request, good = REQUESTS[event]
        async with archive(tmp_path) as ask:
            await brought(ask, state)
            before = await shown(ask)
            answer = await ask(request)
            after = await shown(ask)
        again = {("complete", ups.COMPLETED), ("cancel", ups.CANCELED)}
        if event in UPS[state] and (event, state) != ("cancel", ups.SCHEDULED):
            assert answer.status_code == good
            assert after["ProcedureStepState"] == UPS[state][event]
        else:  # only a request for cancellation cancels what nobody claimed
            assert answer.status_code == (200 if (event, state) in again else 409)
            assert after == before
            assert "299" in answer.headers["warning"]

    asyncio.run(talk())


@pytest.mark.parametrize(
    ("state", "status", "then"),
    [
        (ups.SCHEDULED, 202, ups.CANCELED),
        (ups.IN_PROGRESS, 409, ups.IN_PROGRESS),
        (ups.COMPLETED, 409, ups.COMPLETED),
        (ups.CANCELED, 202, ups.CANCELED),
    ],
)
def test_a_cancellation_is_asked_for(tmp_path, state, status, then):
    async def talk():
        async with archive(tmp_path) as ask:
            await brought(ask, state)
            assert (await ask(ups.request_cancel(TASK, "not needed"))).status_code == status
            assert (await shown(ask))["ProcedureStepState"] == then

    asyncio.run(talk())


def test_of_many_who_claim_at_once_one_has_it(tmp_path):
    async def talk():
        async with archive(tmp_path) as ask:
            await ask(ups.create(TASK, NEW))
            claims = [ups.change_state(TASK, ups.IN_PROGRESS, f"2.25.{number}") for number in range(1, 9)]
            answers = await asyncio.gather(*(ask(one) for one in claims))
            assert sorted(one.status_code for one in answers) == [200] + [409] * 7

    asyncio.run(talk())


def test_a_search_finds_by_any_attribute_and_page_by_page(tmp_path):
    async def talk():
        async with archive(tmp_path) as ask:
            for number in range(3):
                await ask(ups.create(f"2.25.{number}", NEW | {"ProcedureStepLabel": f"Read {number}"}))
            assert (await ask(ups.search({"ProcedureStepState": "COMPLETED"}))).status_code == 204
            page = await ask(ups.search({"ProcedureStepLabel": "Read*", "limit": "2"}))
            assert len(dicomjson.loads(page.content)) == 2
            assert "299" in page.headers["warning"]
            rest = await ask(ups.search({"PatientID": "SW12345678", "offset": "2"}))
            assert [one["SOPInstanceUID"] for one in dicomjson.loads(rest.content)] == ["2.25.2"]
            assert (await ask(ups.search({"Colour": "red"}))).status_code == 400

    asyncio.run(talk())


def raw(body, content_type="application/dicom+json"):
    headers = {"Content-Type": content_type}
    return SimpleNamespace(
        method="POST", path="/workitems", query={"workitem": TASK}, headers=headers, body=body
    )


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (raw(b"{"), 400),
        (raw(b"[]"), 400),
        (raw(b"[{},{}]"), 400),
        (raw(json.dumps({"00100020": {"vr": "LO"}}).encode()), 400),
        (raw(b"x" * ((1 << 20) + 1)), 400),
        (raw(b"{}", "text/plain"), 400),
        (ups.create("no uid", NEW), 400),
        (ups.create(TASK, NEW | {"InputReadinessState": "MAYBE"}), 400),
        (ups.create(TASK, NEW | {"ProcedureStepState": "IN PROGRESS"}), 400),
        (ups.create(TASK, NEW | {"PatientID": "4711"}), 403),
        (ups.retrieve("1.2.3"), 404),
        (ups.update("1.2.3", {"ProcedureStepLabel": "x"}), 404),
        (ups.change_state("1.2.3", "IN PROGRESS", LOCK), 404),
        (ups.request_cancel("1.2.3", "x"), 404),
        (ups.update("2.25.1", {"PatientID": "SW99999999"}), 400),
        (ups.change_state("2.25.1", "SCHEDULED", LOCK), 400),
        (ups.change_state("2.25.1", "IN PROGRESS"), 400),
    ],
)
def test_bad_requests_are_refused_and_change_nothing(tmp_path, request_, status):
    async def talk():
        async with archive(tmp_path) as ask:
            await ask(ups.create("2.25.1", NEW))
            assert (await ask(request_)).status_code == status
            (left,) = dicomjson.loads((await ask(ups.search({}))).content)
            assert (left["SOPInstanceUID"], left["ProcedureStepState"]) == ("2.25.1", "SCHEDULED")
            assert left["PatientID"] == NEW["PatientID"]

    asyncio.run(talk())


@pytest.mark.peer
def test_curl_reads_claims_and_is_refused(tmp_path):
    """A client that is not ours, with bodies written by hand."""

    async def talk():
        host = Host(Plan({"pacs": Part("pacs", {})}, {}), tmp_path, 7)
        await host.start()
        root = host.directory["pacs"].web

        async def curl(method, path, body=None):
            more = ["-H", "Content-Type: application/dicom+json", "-d", json.dumps(body)] if body else []
            command = ["curl", "-s", "-X", method, "-w", "\n%{http_code}", *more, root + path]
            done = await asyncio.to_thread(
                subprocess.run, command, capture_output=True, text=True, check=True
            )
            text, _, status = done.stdout.rpartition("\n")
            return int(status), text

        def state(word, key):
            return [
                {
                    "00741000": {"vr": "CS", "Value": [word]},
                    "00081195": {"vr": "UI", "Value": [key]},
                }
            ]

        task = [
            {
                "00741000": {"vr": "CS", "Value": ["SCHEDULED"]},
                "00741200": {"vr": "CS", "Value": ["HIGH"]},
                "00741204": {"vr": "LO", "Value": ["Segment"]},
                "00404005": {"vr": "DT", "Value": ["20261124093000"]},
                "00404041": {"vr": "CS", "Value": ["READY"]},
                "00100020": {"vr": "LO", "Value": ["SW12345678"]},
            }
        ]
        try:
            assert (await curl("POST", f"/workitems?{TASK}", task))[0] == 201
            status, found = await curl("GET", "/workitems?00741200=HIGH")
            assert (status, json.loads(found)[0]["00080018"]["Value"]) == (200, [TASK])
            assert (await curl("PUT", f"/workitems/{TASK}/state", state("IN PROGRESS", LOCK)))[0] == 200
            assert (await curl("PUT", f"/workitems/{TASK}/state", state("IN PROGRESS", OTHER)))[0] == 409
            told = json.loads((await curl("GET", f"/workitems/{TASK}"))[1])[0]
            assert told["00741000"]["Value"] == ["IN PROGRESS"]
            assert "00081195" not in told
        finally:
            await host.stop()

    asyncio.run(talk())
