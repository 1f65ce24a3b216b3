"""A name that occurs nowhere else goes through the hospital, also where things go wrong, and stands in no log of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from pathlib import Path

from stepwedge.checks.rules.logs import forms
from stepwedge.errors import WireError
from stepwedge.sim.address import Address
from stepwedge.sim.phantoms import CT_IMAGE_STORAGE
from stepwedge.wire import dimse_asyncio
from stepwedge.wire.dicomweb import DicomWeb
from stepwedge.wire.elements import EXPLICIT_LE, encode
from stepwedge.wire.mllp_asyncio import Client
from stepwedge.wire.services import STUDY_FIND

ROOT = Path(__file__).parents[2]
CANARY = "Kanarienvogel"
"""In the name of the scenario no-patient-in-logs, and of everybody here."""


def found(text):
    """Return how the canary stands in a text, empty when it does not."""
    return [how for how, needle in forms(CANARY) if needle in text]


def run(folder, *options):
    command = (sys.executable, "-m", "stepwedge", "run", "--lab", "fixtures/labs/secure.yaml", "--seed", "7")
    return subprocess.run(
        [*command, "--evidence", str(folder), "-k", "no-patient-in-logs", *options],
        cwd=ROOT,
        capture_output=True,
        timeout=110,
        check=False,
    )


def test_a_scenario_leaves_the_name_in_the_evidence_alone(tmp_path):
    done = run(tmp_path / "run")
    assert done.returncode == 0, done.stdout
    logs = [path for path in (tmp_path / "run").rglob("*.log") if path.is_file()]
    assert any(path.name == "hospital.log" for path in logs)
    told = {path.name: found(path.read_bytes()) for path in logs}
    assert {name: how for name, how in told.items() if how} == {}
    assert not found(done.stdout)
    assert not found(done.stderr)
    assert found(
        b"".join(path.read_bytes() for path in (tmp_path / "run").rglob("*.hl7"))
    )  # the search can find it


def test_a_system_that_logs_messages_is_seen(tmp_path):
    """The same search finds the name when a system writes it: the control of the control."""
    done = run(tmp_path / "run", "--quirk", "log.phi")
    assert done.returncode == 1
    (log,) = (tmp_path / "run").rglob("hospital.log")
    assert found(log.read_bytes())


def broken_messages():
    """Yield HL7 messages that name the canary and cannot be taken, each for another reason."""
    head = "MSH|^~\\&|SW_EHR|STEPWEDGE|SW|STEPWEDGE|20261124093000||{0}|C{1}|P|{2}\r"
    person = f"PID|||SW1^^^STEPWEDGE||{CANARY}^Jane||{{0}}|F\r"
    yield head.format("ADT^A04", 1, "2.5.1") + person.format("19991399")
    yield head.format("ADT^A04", 2, "9.9") + person.format("19700101")
    yield head.format("ADT^Z99", 3, "2.5.1") + person.format("19700101")
    yield head.format("ORM^O01", 4, "2.3.1") + person.format("19700101") + "ORC|XX|1\r"
    yield (
        head.format("ADT^A40", 5, "2.5.1")
        + person.format("19700101")
        + f"MRG|SW1^^^STEPWEDGE||||||{CANARY}\r"
    )
    yield head.format("ADT^A04", 6, "2.5.1") + f"PID|||{CANARY}||{CANARY}\\Xzz\\||19700101\r"
    yield f"{CANARY} is no message"


async def trouble(doors):
    """Bring the canary to every door in a way that must be refused."""
    for address in doors.values():
        if address.hl7:
            for raw in broken_messages():
                client = Client(address.hl7.host, address.hl7.port)
                with contextlib.suppress(WireError):
                    await client.ask(raw.encode(), 5)
                await client.close()
        entity = address.dicom or address.worklist
        if entity:
            for contexts, verb in (([CT_IMAGE_STORAGE], "store"), ([STUDY_FIND], "find")):
                with contextlib.suppress(WireError):
                    await _refused(entity, contexts, verb)
        if address.web and address.dicom:
            with contextlib.suppress(WireError):
                await asyncio.to_thread(_search, address.web)


async def _refused(entity, contexts, verb):
    """Store a data set that is cut in its midst; ask with a name where none can stand."""
    whole = encode(
        {"PatientName": f"{CANARY}^Jane", "PatientID": CANARY, "SOPInstanceUID": "1.2.3"}, explicit=True
    )
    async with await dimse_asyncio.open(
        entity.host, entity.port, calling="SW_PROBE", called=entity.ae, contexts=contexts, timeout=10
    ) as association:
        if verb == "store":
            for data in (whole, whole[:-3]):
                await association.store(CT_IMAGE_STORAGE, "1.2.3", EXPLICIT_LE, data)
        else:
            asked = {"QueryRetrieveLevel": CANARY[:10], "PatientName": f"{CANARY}*"}
            await association.find(STUDY_FIND, asked)


def _search(root):
    with DicomWeb(root, timeout=10) as web:
        web.qido("studies", {"PatientName": CANARY, "NoSuchKey": CANARY})


def test_what_goes_wrong_at_a_door_is_told_without_the_name(tmp_path):
    plan = {
        "actors": {
            role: {"role": role} for role in ("ehr", "ris", "pacs", "modality", "reader", "auditor", "engine")
        }
    }
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    ready = tmp_path / "state" / "hospital.json"
    options = ("--actors", tmp_path / "plan.json", "--state", tmp_path / "state", "--seed", "7")
    command = [sys.executable, "-m", "stepwedge", "sim", "--hospital", *map(str, options)]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while not ready.exists():
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        told = json.loads(ready.read_text())["actors"]
        asyncio.run(trouble({name: Address.parse(one["address"]) for name, one in told.items()}))
    finally:
        process.terminate()
        process.wait(30)
    assert not found((tmp_path / "log").read_bytes()), (tmp_path / "log").read_text()[-3000:]
    assert found((tmp_path / "state" / "journal.jsonl").read_bytes())  # it was there
