"""Containers that are killed, paused and restarted: nothing acknowledged is lost, and nobody is told that all is well."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime

import pytest

from stepwedge.errors import Broken, NoAnswer, WireError
from stepwedge.lab import containers
from stepwedge.load.ledger import Account, Ledger
from stepwedge.model.identifiers import Mint, uid
from stepwedge.model.order import Order
from stepwedge.model.patient import Patient, PersonName
from stepwedge.scenario.case import Feed
from stepwedge.sim.messages import Envelope, order_message, patient_message, read_answer
from stepwedge.sim.phantoms import CT_IMAGE_STORAGE
from stepwedge.wire.dimse_blocking import Association
from stepwedge.wire.elements import EXPLICIT_LE, decode, encode
from stepwedge.wire.mllp_blocking import Link
from stepwedge.wire.services import STUDY_GET, VERIFICATION

from .conftest import ROOT, command

pytestmark = pytest.mark.docker

WORKLIST = "1.2.840.10008.5.1.4.31"
KILLED_INSIDE = "import json, os; os.kill(json.load(open('/state/hospital.json'))['pid'], 9)"


def connect(entity, *contexts, timeout=10, **more):
    return Association.open(
        entity.host,
        entity.port,
        calling="SW_CT1",
        called=entity.ae,
        contexts=contexts,
        timeout=timeout,
        **more,
    )


class Ward:
    """Orders chest CTs one after the other and keeps a ledger, written before anything is sent."""

    def __init__(self, folder, seed):
        self.ledger = Ledger(folder)
        self.mint = Mint(seed, "killed")
        self.sent = {}

    def order(self, link):
        patient = Patient(self.mint.patient_id(), PersonName("KILL", "TEST"), "19700101", "O")
        order = Order(self.mint.number("placer", "KP", 10), patient.id, "CTCHEST", "CT chest")
        self.sent[order.placer] = [
            patient_message("A04", patient, self.envelope()),
            order_message("NW", order, patient, self.envelope()),
        ]
        self.ledger.write("order", order.placer, "attempted")
        self.send(link, order.placer)

    def order_until_lost(self, ris):
        with Link.open(ris.hl7.host, ris.hl7.port, 10) as link:
            while True:
                self.order(link)

    def envelope(self):
        control = self.mint.number("control", "K", 15)
        return Envelope("SW_EHR", "SW_RIS", control, datetime.now(UTC), "2.5.1")

    def send(self, link, placer):
        """Send, or send again: the same bytes, so that it is the same order however often it arrives."""
        for raw in self.sent[placer]:
            answer = read_answer(link.ask(raw))
            assert answer.code == "AA"
        self.ledger.write(
            "order",
            placer,
            "acknowledged",
            accession=next(item.accession for item in answer.items if item.accession),
        )


def wrong(account, ris):
    """Look for every order on the worklist, another door than the orders came in by; return what is not as it should be."""
    entity = ris.worklist
    found = [f"accession {number} was given twice" for number in account.shared("order", "accession")]
    with connect(entity, WORKLIST) as link:

        def entries(**keys):
            return len(list(link.find(WORKLIST, {**keys, "ScheduledProcedureStepSequence": [{}]})))

        for one in account.of("order", "acknowledged"):
            if (count := entries(AccessionNumber=one.keys["accession"])) != 1:
                found.append(f"order {one.id} was acknowledged, and has {count} entries")
        for one in account.of("order", "attempted"):
            if (count := entries(PlacerOrderNumberImagingServiceRequest=one.id)) > 1:
                found.append(f"order {one.id} was never answered, and has {count} entries")
    return found


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_ris_killed_while_orders_arrive(hospital, tmp_path, seed):
    """RELIABILITY: SIGKILL in the midst of HL7; started again by the engine's own command."""
    ris, ward = hospital.address("ris"), Ward(tmp_path, seed * 1000 + random.randrange(1000))  # noqa: S311
    delay = random.Random(seed).uniform(0.2, 0.8)  # noqa: S311 - when to kill, nothing secret
    timer = threading.Timer(delay, lambda: hospital["ris"].kill("SIGKILL"))
    timer.start()
    with pytest.raises(WireError):
        ward.order_until_lost(ris)
    timer.join()
    assert hospital["ris"].attrs["State"]["ExitCode"] == 137
    before = Account.read(tmp_path)
    assert before.of("order", "acknowledged"), (
        "it was killed before anything was acknowledged: nothing is shown"
    )
    hospital["ris"].start()
    hospital.wait()
    assert not wrong(before, ris)
    with Link.open(ris.hl7.host, ris.hl7.port, 10) as link:
        for one in before.of("order", "attempted"):
            ward.send(link, one.id)
        ward.order(link)
    settled = Account.read(tmp_path)
    assert not settled.of("order", "attempted")
    assert not wrong(settled, ris)


def stored(entity, study):
    with connect(entity, STUDY_GET, CT_IMAGE_STORAGE, scp_of=[CT_IMAGE_STORAGE]) as link:
        done = link.get(STUDY_GET, {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": study})
    return {one.sop_instance: decode(one.data, explicit=True) for one in done.instances}


@pytest.mark.parametrize("seed", [21, 22, 23])
def test_archive_killed_while_images_arrive(hospital, ct_image, seed):
    """RELIABILITY: SIGKILL in the midst of C-STORE; the restart policy brings it back by itself."""
    entity = hospital.address("pacs").dicom
    run = time.time_ns()
    study = uid(seed, "study", run)
    images = [
        ct_image(number, StudyInstanceUID=study, SOPInstanceUID=uid(seed, "sop", run, number))
        for number in range(1, 301)
    ]
    archive = hospital["pacs"]
    restarts = archive.attrs["RestartCount"]
    delay = random.Random(seed).uniform(0.1, 0.5)  # noqa: S311 - when to kill, nothing secret
    timer = threading.Timer(delay, lambda: archive.exec_run(["python3", "-c", KILLED_INSIDE]))
    acknowledged = set()

    def store(link, image):
        data = encode(image, explicit=True)
        assert link.store(CT_IMAGE_STORAGE, image["SOPInstanceUID"], EXPLICIT_LE, data).status == 0
        acknowledged.add(image["SOPInstanceUID"])

    def store_until_lost():
        with connect(entity, CT_IMAGE_STORAGE) as link:
            store(link, images[0])
            timer.start()
            while True:
                for image in images[1:]:
                    store(link, image)

    with pytest.raises(WireError) as lost:
        store_until_lost()
    timer.join()
    assert acknowledged, lost.value
    hospital.wait()
    archive.reload()
    assert archive.attrs["RestartCount"] == restarts + 1
    there = stored(entity, study)
    sent = {one["SOPInstanceUID"]: one for one in images}
    assert acknowledged <= set(there)
    assert all(elements == sent[sop] for sop, elements in there.items())
    with connect(entity, CT_IMAGE_STORAGE) as link:
        for image in images[: len(acknowledged) + 2]:
            store(link, image)
    assert acknowledged <= set(stored(entity, study))


def test_a_paused_archive_is_no_pass(hospital, tmp_path):
    """A paused process still accepts connections: only an answer says that somebody is there."""
    entity = hospital.address("pacs").dicom
    folder = tmp_path / "run"
    scenario = ["scenarios/cancel/after-worklist.yaml", "-k", "before-start"]
    arguments = ["run", "--lab", containers.LAB, *scenario, "--evidence", folder]
    run = subprocess.Popen(
        [sys.executable, "-m", "stepwedge", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
    )
    try:
        while not records(folder, "case"):
            assert run.poll() is None
            time.sleep(0.01)
        hospital["pacs"].pause()
        with socket.create_connection((entity.host, entity.port), 5):
            pass
        with pytest.raises(NoAnswer), connect(entity, VERIFICATION, timeout=1) as link:
            link.echo()
        code = run.wait(100)
    finally:
        if run.poll() is None:
            run.kill()
    assert code == 3
    (verdict,) = [one["verdict"] for one in records(folder, "verdict")]
    assert verdict in {"inconclusive", "broken"}
    hospital["pacs"].unpause()
    with connect(entity, VERIFICATION) as link:
        assert link.echo().status == 0


def records(folder, kind):
    try:
        lines = (folder / "journal.jsonl").read_text().splitlines()
    except OSError:
        return []
    return [one for one in map(json.loads, lines) if one["record"] == kind]


def test_a_killed_system_is_not_the_fault_of_a_system_under_test(hospital):
    hospital["reader"].kill("SIGKILL")
    done = command("run", "--lab", containers.LAB, "scenarios/cancel/after-worklist.yaml")
    assert done.returncode == 3
    assert "reader does not run" in done.stdout + done.stderr


def test_what_is_on_its_way_is_delivered_after_a_restart(hospital):
    """The RIS owes the archive an order while that is down; a restart of both in between loses nothing."""
    from stepwedge.actors.cast import Admin

    told = hospital.wait()
    ehr, case = Admin(told["ehr"]["admin"]), {"id": "restart", "seed": time.time_ns() % 10**6}
    patient = ehr.act("register_patient", {}, case)
    hospital["pacs"].stop(timeout=10)
    order = ehr.act("place_order", {"patient": patient, "procedure": "CTCHEST"}, case)
    ris = Admin(told["ris"]["admin"])
    assert waiting(ris)
    ris.close()
    hospital["ris"].restart(timeout=10)
    hospital["pacs"].start()
    hospital.wait()
    deadline = time.monotonic() + 30
    while waiting(ris):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    taken = [
        one
        for one in Feed(Admin(hospital.lab.apart["pacs"])).take()
        if one.protocol == "hl7" and order["accession"] in one.keys.get("accession", ())
    ]
    assert [one.outcome for one in taken] == ["AA"]


def waiting(admin):
    try:
        return admin.health()["result"]["waiting"] > 0
    except Broken:
        return True
