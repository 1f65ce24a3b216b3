"""The FHIR doors of the simulated hospital: what comes by HL7 is seen, orders by FHIR, what is refused, and killed processes."""

from __future__ import annotations

import asyncio
import contextlib
import importlib

import httpx
import pytest

from stepwedge.sim.host import Host, Part, Plan
from stepwedge.sim.simulator import Case
from stepwedge.wire import fhir
from stepwedge.wire.fhir_validate import problems

CASE = Case("fhir", 1)
TYPES = ("Patient", "ServiceRequest", "Appointment", "Task", "Subscription", "Encounter")
TYPED = {"Content-Type": "application/fhir+json"}


@contextlib.asynccontextmanager
async def hospital(state):
    host = Host(Plan({name: Part(name) for name in ("ehr", "ris", "pacs")}), state, 7)
    await host.start()
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
            yield host, client
    finally:
        await host.stop()


async def _ordered(host, by="fhir"):
    ehr = host.simulators["ehr"]
    patient = await ehr.act("register_patient", {}, CASE)
    order = await ehr.act("place_order", {"patient": patient, "procedure": "CTCHEST", "by": by}, CASE)
    return ehr, patient, order


async def _until(look, wanted):
    for _ in range(200):
        if (found := await look()) == wanted:
            return
        await asyncio.sleep(0.02)
    pytest.fail(f"{found!r} instead of {wanted!r}")


def test_an_order_by_fhir_is_known_everywhere_and_every_resource_is_valid(tmp_path):
    """What is shown passes our table and, as a second opinion, the published R4B models."""

    async def talk():
        async with hospital(tmp_path) as (host, client):
            ehr, _, order = await _ordered(host)
            assert order["accession"]

            async def status():
                return (await ehr.ask("order", {"placer": order["placer"]}))["status"]

            await _until(status, "scheduled")
            seen = 0
            for name in ("ehr", "ris"):
                for kind in TYPES:
                    answer = await client.get(f"{host.directory[name].fhir}/{kind}")
                    bundle = fhir.read(answer.content)
                    for entry in bundle.get("entry", ()):
                        assert problems(entry["resource"]) == []
                        module = importlib.import_module(f"fhir.resources.R4B.{kind.lower()}")
                        getattr(module, kind).model_validate_json(fhir.write(entry["resource"]))
                        seen += 1
            assert seen >= 8

    asyncio.run(talk())


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/Patient", b"<!DOCTYPE x><Patient/>", 415),
        ("/Patient", b'{"resourceType":"Task"}', 400),
        ("/Patient", b"[" * 50_000, 400),
        ("/Patient", b'{"resourceType":"Patient","identifier":[{"value":"REAL1"}]}', 422),
        ("/Nonsense", b'{"resourceType":"Nonsense"}', 404),
        ("/Encounter", b'{"resourceType":"Encounter"}', 405),
        ("/", b'{"resourceType":"Bundle","type":"transaction","entry":[' + b"{}," * 100_000 + b"{}]}", 413),
        ("/", b'{"resourceType":"Bundle","type":"searchset"}', 400),
    ],
)
def test_what_is_wrong_is_refused_with_an_outcome_and_the_door_stays_open(tmp_path, path, body, status):
    async def talk():
        async with hospital(tmp_path) as (host, client):
            base = host.directory["ris"].fhir
            answer = await client.post(base + path, content=body, headers=TYPED)
            assert answer.status_code == status
            assert answer.json()["resourceType"] == "OperationOutcome"
            assert (await client.get(f"{base}/metadata")).json()["fhirVersion"] == "4.0.1"

    asyncio.run(talk())
    assert b"REAL1" not in b"".join(path.read_bytes() for path in tmp_path.rglob("*.jsonl"))


def test_versions_conditions_and_pages(tmp_path):
    async def talk():
        async with hospital(tmp_path) as (host, client):
            base = host.directory["ris"].fhir
            one = {"resourceType": "Patient", "identifier": [{"value": "SW11"}], "name": [{"family": "A"}]}
            headers = {**TYPED, "If-None-Exist": "identifier=SW11"}
            made = await client.post(f"{base}/Patient", json=one, headers=headers)
            again = await client.post(f"{base}/Patient", json=one, headers=headers)
            assert (made.status_code, again.status_code) == (201, 200)
            assert made.headers["location"].endswith("/Patient/SW11/_history/1")
            two = {**one, "id": "SW11", "name": [{"family": "B"}]}
            stale = await client.put(f"{base}/Patient/SW11", json=two, headers={**TYPED, "If-Match": 'W/"9"'})
            right = await client.put(f"{base}/Patient/SW11", json=two, headers={**TYPED, "If-Match": 'W/"1"'})
            assert (stale.status_code, right.status_code) == (412, 200)
            first = await client.get(f"{base}/Patient/SW11/_history/1")
            assert first.json()["name"][0]["family"] == "A"
            assert (await client.get(f"{base}/Patient/SW11/_history")).json()["total"] == 2
            unchanged = {"If-None-Match": right.headers["etag"]}
            assert (await client.get(f"{base}/Patient/SW11", headers=unchanged)).status_code == 304
            counted = (await client.get(f"{base}/Patient?_count=0")).json()
            assert (counted["total"], "entry" in counted) == (1, False)
            strict = await client.get(f"{base}/Patient?nonsense=1", headers={"Prefer": "handling=strict"})
            assert strict.status_code == 400
            lenient = (await client.get(f"{base}/Patient?nonsense=1")).json()
            assert lenient["entry"][-1]["search"]["mode"] == "outcome"

    asyncio.run(talk())


def test_a_transaction_that_fails_half_way_changes_nothing(tmp_path):
    async def talk():
        async with hospital(tmp_path) as (host, client):
            base = host.directory["ris"].fhir
            person = {"resourceType": "Patient", "identifier": [{"value": "SW21"}]}
            task = {"resourceType": "Task", "status": "requested", "intent": "order"}
            entries = [
                {"resource": person, "request": {"method": "POST", "url": "Patient"}},
                {"resource": task, "request": {"method": "POST", "url": "Task"}},
            ]
            bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
            answer = await client.post(f"{base}/", json=bundle, headers=TYPED)
            assert answer.status_code == 422
            assert (await client.get(f"{base}/Patient")).json()["total"] == 0
            batch = await client.post(f"{base}/", json={**bundle, "type": "batch"}, headers=TYPED)
            assert [one["response"]["status"][:3] for one in batch.json()["entry"]] == ["201", "422"]

    asyncio.run(talk())


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://192.0.2.1/x",
        "http://example.org/x",
        "file:///etc/passwd",
        "http://127.0.0.1@192.0.2.1/",
        "http://[::ffff:192.0.2.1]/",
    ],
)
def test_a_hook_outside_of_the_lab_is_refused(tmp_path, endpoint):
    async def talk():
        async with hospital(tmp_path) as (host, client):
            channel = {"type": "rest-hook", "endpoint": endpoint}
            hook = {
                "resourceType": "Subscription",
                "status": "requested",
                "reason": "test",
                "criteria": "Task?",
            }
            answer = await client.post(
                f"{host.directory['ris'].fhir}/Subscription", json=hook | {"channel": channel}, headers=TYPED
            )
            assert answer.status_code in {400, 422}
            assert answer.json()["issue"][0]["expression"] == ["Subscription.channel.endpoint"]
            there = await client.get(f"{host.directory['ris'].fhir}/Subscription")
            assert there.json()["total"] == 0

    asyncio.run(talk())


def test_what_was_acknowledged_is_there_after_a_restart(tmp_path):
    async def talk():
        async with hospital(tmp_path) as (host, client):
            _, _, order = await _ordered(host)
            request = f"/ServiceRequest/{order['placer']}"
            before = (await client.get(host.directory["ris"].fhir + request)).json()
        async with hospital(tmp_path) as (host, client):
            assert (await client.get(host.directory["ris"].fhir + request)).json() == before
            assert (await client.get(f"{host.directory['ris'].fhir}/Subscription")).json()["total"] == 1

    asyncio.run(talk())


def test_a_name_that_fhir_cannot_hold_does_not_stop_its_record(tmp_path, admission, ask):
    """HL7 text may hold ESC (ISO 2022) and escaped control characters; what is shown must be readable by us, too."""

    async def talk():
        async with hospital(tmp_path) as (host, client):
            odd, good = admission("1", name="Do\x1be"), admission("2", name="Doe")
            replies = await ask(host, "ris", odd, good)
            answer = await client.get(f"{host.directory['ris'].fhir}/Patient/SW1/_history")
            return replies, answer.json()

    replies, history = asyncio.run(talk())
    assert all(b"MSA|AA" in reply for reply in replies)
    families = [entry["resource"]["name"][0]["family"] for entry in history["entry"]]
    assert families == ["Doe", "Do\N{REPLACEMENT CHARACTER}e"]


@pytest.mark.parametrize("code", [["MR"], {"family": "SW1"}, 7, None, "unknown"])
def test_a_code_that_is_none_names_nobody(code):
    """What comes is looked through for identifiers before it is judged; found by 100,000 requests of nonsense."""
    from stepwedge.sim.resources.naming import keys_of

    coding = [{"code": code}, "MR", None]
    identifier = [{"type": {"coding": coding}, "value": "SW1"}]
    assert keys_of({"resourceType": "Patient", "identifier": identifier}) == {}
