"""Power fails after every acknowledgement and at any moment: all that was acknowledged is there, once, and the day goes on.

A deterministic day is driven over the wire: registrations, orders by HL7 and FHIR, performed steps, images, a merge, reports.
The host is killed after the k-th acknowledgement, or at a moment of its own while the next request is under way; it starts again on
the same state, the sender repeats what was not acknowledged, as the standards let it, and goes on. In the end the systems are
asked over the wire, and a ledger of all that they told others is read. The short form kills at a few k; all of them, and a hundred
moments, with ``STEPWEDGE_KILLS=100 python -m pytest`` and this file.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import threading
import time
from collections import Counter

import httpx
import pytest

from stepwedge.errors import LinkLost, WireError
from stepwedge.model.identifiers import uid
from stepwedge.wire import mllp_asyncio, mllp_blocking
from stepwedge.wire.dimse_blocking import Association
from stepwedge.wire.elements import EXPLICIT_LE, encode
from stepwedge.wire.hl7 import acknowledgement, parse
from stepwedge.wire.services import MPPS, STUDY_FIND, WORKLIST

KILLS = int(os.environ.get("STEPWEDGE_KILLS", "0"))
CT = "1.2.840.10008.5.1.4.1.1.2"
SCANNER = "SW_CT1"
STEP = "ScheduledProcedureStepSequence"
TYPED = {"Content-Type": "application/fhir+json"}


class Ledger:
    """The ward's receiver: takes every message, answers AA, and remembers all that it heard."""

    def __init__(self):
        from datetime import UTC, datetime

        self.heard = []
        self._now = datetime(2026, 11, 24, tzinfo=UTC)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.server = self._run(mllp_asyncio.serve("127.0.0.1", 0, self._answer))

    def _run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def _answer(self, raw, peer):
        message = parse(raw)
        self.heard.append(raw)
        return acknowledgement(message, "AA", control=f"L{len(self.heard)}", now=self._now)

    def facts(self):
        """Return what was said, once for each control ID; the same control ID must always say the same."""
        by_control = {}
        for raw in list(self.heard):
            message = parse(raw)
            assert by_control.setdefault(message["MSH-10"], raw) == raw, "one control ID, two messages"
        return [parse(raw) for raw in by_control.values()]

    def close(self):
        self._run(self.server.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Day:
    """A day's work as steps; each returns when its request was acknowledged, and may be repeated when it was not."""

    def __init__(self, writer, image):
        self.writer, self.image = writer, image
        self.orders, self.places = {}, {}
        self.steps = [
            *(lambda n=n: self.tell(writer.admission(f"A{n}", n)) for n in range(4)),
            *(lambda n=n: self.place(n) for n in range(3)),
            lambda: self.place_by_fhir(3),
            lambda: self.begin(0),
            *(lambda n=n: self.store(n) for n in range(3)),
            lambda: self.finish(0),
            lambda: self.tell(writer.report("R1", self.orders[0], 0)),
            lambda: self.tell(writer.admission("M1", 1, "A40", prior="SW00000002")),
            lambda: self.tell(writer.report("R2", self.orders[0], 0, "Nodule.", "C")),
            lambda: self.tell(writer.admission("M2", 1, "A08")),
        ]

    def at(self, host):
        self.ris, self.pacs = host.address("ris"), host.address("pacs").dicom

    def tell(self, raw):
        with mllp_blocking.Link.open(self.ris.hl7.host, self.ris.hl7.port, 10) as link:
            answer = parse(link.ask(raw))
        assert answer["MSA-1"] == "AA", answer.raw
        return answer

    def place(self, number):
        answer = self.tell(self.writer.order(f"O{number}", f"P{number}", number))
        self.orders[number] = self.same(self.orders, number, answer["OBR-18.1"])

    def same(self, known, number, found):
        """What was answered once is answered always."""
        assert found
        assert known.get(number, found) == found
        return found

    def place_by_fhir(self, number):
        order = {
            "resourceType": "ServiceRequest",
            "status": "active",
            "intent": "order",
            "identifier": [{"type": {"coding": [{"code": "PLAC"}]}, "value": f"P{number}"}],
            "subject": {"identifier": {"value": f"SW{number:08}"}},
            "code": {"coding": [{"code": "CTCHEST"}]},
        }
        once = {**TYPED, "If-None-Exist": f"identifier=P{number}"}
        try:
            answer = httpx.post(f"{self.ris.fhir}/ServiceRequest", json=order, headers=once, trust_env=False)
        except httpx.TransportError as error:
            raise LinkLost(str(error)) from error
        assert answer.status_code in {200, 201}, answer.text

    @contextlib.contextmanager
    def calling(self, entity, *contexts):
        with Association.open(
            entity.host, entity.port, calling=SCANNER, called=entity.ae, contexts=contexts, timeout=10
        ) as link:
            yield link

    def worklist(self):
        keys = {
            "AccessionNumber": "",
            "PatientID": "",
            "StudyInstanceUID": "",
            STEP: [{"ScheduledProcedureStepID": ""}],
        }
        with self.calling(self.ris.worklist, WORKLIST) as link:
            return list(link.find(WORKLIST, keys))

    def begin(self, number):
        entry = next((one for one in self.worklist() if one["AccessionNumber"] == self.orders[number]), None)
        attributes = {
            "ScheduledStepAttributesSequence": [
                {
                    "StudyInstanceUID": entry["StudyInstanceUID"] if entry else "",
                    "AccessionNumber": self.orders[number],
                    "ScheduledProcedureStepID": entry[STEP][0]["ScheduledProcedureStepID"] if entry else "",
                }
            ],
            "PatientID": f"SW{number:08}",
            "PerformedProcedureStepID": "PPS1",
            "PerformedStationAETitle": SCANNER,
            "PerformedProcedureStepStartDate": "20261124",
            "PerformedProcedureStepStartTime": "100000",
            "PerformedProcedureStepStatus": "IN PROGRESS",
            "Modality": "CT",
        }
        with self.calling(self.ris.worklist, MPPS) as link:
            status = link.create(MPPS, "2.25.1", attributes).status
        assert status in ({0x0000} if entry else {0x0111}), (
            f"{status:04X}"
        )  # 0111: it was done before the power failed

    def finish(self, number):
        done = {
            "PerformedProcedureStepStatus": "COMPLETED",
            "PerformedProcedureStepEndDate": "20261124",
            "PerformedProcedureStepEndTime": "101000",
            "PerformedSeriesSequence": [{"SeriesInstanceUID": "2.25.7", "ReferencedImageSequence": []}],
        }
        with self.calling(self.ris.worklist, MPPS) as link:
            status = link.set(MPPS, "2.25.1", done).status
        assert status in {0x0000, 0x0110}, f"{status:04X}"  # 0110: it was completed before the power failed

    def store(self, number):
        image = self.image(number)
        with self.calling(self.pacs, CT) as link:
            result = link.store(CT, image["SOPInstanceUID"], EXPLICIT_LE, encode(image, explicit=True))
        assert result.status == 0

    # --- afterwards

    def holds(self, done, ledger, asked=0):
        """Ask everybody, over the wire, about the first ``done`` steps; an order counts once, whoever asked twice.

        ``asked`` steps were asked for, where that is more than was acknowledged: the last one may have happened.
        """
        assert [self.fhir("Patient", f"identifier=SW{n:08}") for n in range(4) if n < done] == [1] * min(
            done, 4
        )
        for number in range(4):
            if done > 4 + number:
                assert self.fhir("ServiceRequest", f"identifier=P{number}") == 1, number
        waiting = Counter(one["AccessionNumber"] for one in self.worklist())
        assert set(waiting.values()) <= {1}, waiting
        for number, accession in self.orders.items():
            if done > 4 + number and (number or max(done, asked) <= 8):
                assert waiting[accession] == 1, number
        if done > 8:
            assert self.orders[0] not in waiting
        self.holds_images(done)
        if done >= 15:
            (moved,) = [one for one in self.worklist() if one["AccessionNumber"] == self.orders[2]]
            assert moved["PatientID"] == "SW00000001"

    def holds_images(self, done):
        """Ask the archive for the images of the first ``done`` steps, each there once."""
        with self.calling(self.pacs, STUDY_FIND) as link:
            keys = {"StudyInstanceUID": self.image(0)["StudyInstanceUID"], "SOPInstanceUID": ""}
            series = {"SeriesInstanceUID": self.image(0)["SeriesInstanceUID"]}
            rows = link.find(STUDY_FIND, {"QueryRetrieveLevel": "IMAGE", **keys, **series})
            kept = Counter(one["SOPInstanceUID"] for one in rows)
        assert all(kept[self.image(n)["SOPInstanceUID"]] == 1 for n in range(min(max(done - 9, 0), 3)))

    def fhir(self, kind, asked):
        answer = httpx.get(f"{self.ris.fhir}/{kind}?{asked}", trust_env=False, timeout=20)
        assert answer.status_code == 200
        return answer.json()["total"]


def told_once(ledger, orders):
    """Wait until the ward has heard all of the day; nothing was told it under two control IDs."""
    deadline = time.monotonic() + 30
    while True:
        facts = Counter()
        for message in ledger.facts():
            if message.type.startswith("ORU"):
                facts["report", message["OBR-3.1"], message["OBR-25"]] += 1
            elif message.type.startswith(("OMG", "ORM")):
                facts["status", message["ORC-2.1"], message["ORC-5"]] += 1
            else:
                facts[message.type, message["SCH-2.1"], message["SCH-25.1"]] += 1
        reports = {letter for kind, _, letter in facts if kind == "report"}
        states = {state for kind, placer, state in facts if kind == "status" and placer == "P0"}
        if reports == {"F", "C"} and {"SC", "IP", "CM"} <= states:
            break
        assert time.monotonic() < deadline, facts
        time.sleep(0.05)
    assert set(facts.values()) == {1}, facts


@pytest.fixture
def ledger():
    one = Ledger()
    yield one
    one.close()


@pytest.fixture
def day(writer, ct_image):
    whole = ct_image(1) | {"Rows": 4, "Columns": 4, "PixelData": bytes(32)}

    def image(number):
        return whole | {"SOPInstanceUID": uid("day", number), "InstanceNumber": str(number + 1)}

    return Day(writer, image)


@pytest.fixture
def start(victim, ledger):
    def go(**more):
        ward = {"ehr": {"hl7": f"mllp://127.0.0.1:{ledger.server.port}"}}
        return victim(ris={}, pacs={}, directory=ward, **more)

    return go


STEPS = 17
AFTER = range(1, STEPS + 1) if KILLS else (4, 8, 9, 12, 15)


@pytest.mark.timeout(600)
def test_power_fails_after_an_acknowledgement(start, day, ledger):
    """One day, one host, killed after each of several acknowledgements; asked at once, and again in the evening."""
    assert len(day.steps) == STEPS
    host = start()
    day.at(host)
    for number, step in enumerate(day.steps, 1):
        step()
        if number in AFTER:
            host.kill()
            day.at(host.start())
            day.holds(number, ledger)
    told_once(ledger, day.orders)
    host.unharmed()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(KILLS or 1))
def test_power_fails_while_a_request_is_under_way(start, day, ledger, seed):
    """Killed at moments of their own; who got no answer sends the same again, and it counts once."""
    dice = random.Random(seed)  # noqa: S311 - when to kill, nothing secret
    victims = set(dice.sample(range(STEPS), 3))
    host = start()
    day.at(host)
    for number, step in enumerate(day.steps):
        if number in victims:
            alarm = threading.Timer(dice.uniform(0, 0.012), host.process.kill)
            alarm.start()
            acknowledged = True
            try:
                step()
            except WireError:
                acknowledged = False
            alarm.join()
            host.kill()
            day.at(host.start())
            day.holds(number + acknowledged, ledger, asked=number + 1)
            if acknowledged:
                continue
        step()
    day.holds(STEPS, ledger)
    told_once(ledger, day.orders)
    host.unharmed()


FORGETS = "from stepwedge.sim.store import Store; Store.commit = lambda self, state, change: None"


@pytest.mark.parametrize(
    ("steps", "done"), [((0, 1, 2, 3), 4), ((9, 10, 11), 12)], ids=["patients", "images"]
)
def test_a_system_that_acknowledges_before_it_keeps_is_found_out(start, day, ledger, steps, done):
    host = start(before=FORGETS)
    day.at(host)
    for number in steps:
        day.steps[number]()
    host.kill()
    day.at(host.start())
    if steps[0] == 0:
        with pytest.raises(AssertionError):
            day.holds(done, ledger)
    else:
        with pytest.raises(AssertionError):
            day.holds_images(done)


def test_a_ward_that_is_told_twice_is_found_out(ledger, writer, start, day):
    """The same report under a second control ID is no repetition, and is seen."""
    day.at(start())
    for step in day.steps:
        step()
    told_once(ledger, day.orders)
    report = next(raw for raw in ledger.heard if b"ORU^R01" in raw)
    control = parse(report)["MSH-10"].encode()
    ledger.heard.append(report.replace(control, b"ANOTHER", 1))
    with pytest.raises(AssertionError):
        told_once(ledger, day.orders)
