"""The tables of life cycles against the wire: random legal and illegal events, sent over real sockets to simulated systems.

The reference below knows the tables alone. After each event it must agree with what a stranger can see: DIMSE status,
acknowledgement code, worklist, and the messages that others receive. Longer walks: ``pytest --hypothesis-profile=long``.
"""

import asyncio
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepwedge.errors import Refused
from stepwedge.model.appointment import Appointment
from stepwedge.model.encounter import Encounter
from stepwedge.model.lifecycles import APPOINTMENT, ENCOUNTER, MPPS, ORDER, REPORT, STEP
from stepwedge.model.order import STATUS_TO_HL7
from stepwedge.model.patient import Patient, PersonName
from stepwedge.sim.host import Host, Part, Plan
from stepwedge.sim.messages import (
    APPOINTMENT_EVENTS,
    Envelope,
    ReportEvent,
    appointment_message,
    patient_message,
    report_message,
)
from stepwedge.sim.simulator import Case
from stepwedge.wire import dimse_asyncio, mllp_asyncio, services
from stepwedge.wire.hl7 import parse

CASE = Case("walk[one]", 4171)
LONGEST = 8
MOST = settings.default.max_examples // 10
SECONDS = 10
MPPS_EVENTS = {"IN PROGRESS": "set", "COMPLETED": "complete", "DISCONTINUED": "discontinue"}
TRIGGERS = {event: trigger for trigger, event in APPOINTMENT_EVENTS.items()}

walk = settings(max_examples=MOST, suppress_health_check=list(HealthCheck))


@dataclass
class Exam:
    """The reference: one order with one scheduled step, and what was performed for it, by the tables alone.

    Attributes:
        told: the order statuses (ORC-5) that the ward must have been told, in their order.
    """

    order: str = "scheduled"
    step: str = "SCHEDULED"
    performed: dict[str, str] = field(default_factory=dict)
    told: list[str] = field(default_factory=lambda: ["SC"])

    def create(self, uid, status):
        """Return the status of N-CREATE (PS3.4 table F.7.2-2)."""
        if uid in self.performed:
            return 0x0111
        if status != "IN PROGRESS":
            return 0x0106
        self.performed[uid] = status
        self._drive("start")
        return 0x0000

    def set(self, uid, status):
        """Return the status of N-SET."""
        if uid not in self.performed:
            return 0x0112
        if status not in MPPS_EVENTS:
            return 0x0106
        if MPPS_EVENTS[status] not in MPPS[self.performed[uid]]:
            return 0x0110
        self.performed[uid] = status
        if status != "IN PROGRESS" and "IN PROGRESS" not in self.performed.values():
            self._drive(MPPS_EVENTS[status])
        return 0x0000

    def cancel(self):
        """Return the order control code of the answer (HL7 table 0119)."""
        if self.order != "cancelled" and "cancel" not in ORDER[self.order]:
            return "UC"
        if self.order != "cancelled":
            self.order, self.step = ORDER[self.order]["cancel"], STEP[self.step]["cancel"]
        return "CR"

    def _drive(self, event):
        self.step = STEP[self.step].get(event, self.step)
        ends = {"COMPLETED": "complete", "DISCONTINUED": "discontinue", "STARTED": "start"}
        before, self.order = self.order, ORDER[self.order].get(ends[self.step], self.order)
        if self.order != before:
            self.told.append(STATUS_TO_HL7[self.order])


class Ward:
    """A small hospital in this process, and a stranger's view of it."""

    def __init__(self, host):
        self.host, self.number, self.began = host, 0, host.journal.last

    async def act(self, full, **args):
        name, _, word = full.partition(".")
        return await self.host.simulators[name].act(word, args, CASE)

    def envelope(self, sender, receiver):
        """Return the head of the next message that is sent by hand."""
        self.number += 1
        control = f"W{self.began}.{self.number}"
        now = self.host.simulators[receiver].bench.clock.now()
        return Envelope(f"SW_{sender.upper()}", f"SW_{receiver.upper()}", control, now)

    async def tell(self, receiver, raw):
        """Send a message to an HL7 door; return MSA-1 and the code of the fault (ERR-3, HL7 table 0357)."""
        endpoint = self.host.directory[receiver].hl7
        client = mllp_asyncio.Client(endpoint.host, endpoint.port)
        try:
            answer = parse(await client.ask(raw, SECONDS))
        finally:
            await client.close()
        return answer["MSA-1"], answer["ERR-3.1"]

    async def scanner(self):
        entity = self.host.directory["ris"].worklist
        contexts = [services.WORKLIST, services.MPPS]
        return await dimse_asyncio.open(
            entity.host, entity.port, calling="SW_CT1", called=entity.ae, contexts=contexts, timeout=SECONDS
        )

    def received(self, actor, kinds, holds):
        """Return the messages of some kinds about one thing that an actor received, in their order."""
        exchanges = self.host.journal.after(self.began)
        found = [parse(one.request.read()) for one in exchanges if _in(one, actor, kinds)]
        return [message for message in found if holds in message.raw.decode()]

    async def heard(self, actor, kinds, holds, count):
        """Wait until an actor received so many messages; return all it has by then."""
        async with asyncio.timeout(SECONDS):
            while len(found := self.received(actor, kinds, holds)) < count:
                await self.host.journal.wait(self.host.journal.last, SECONDS)
        return found


def _in(exchange, actor, kinds):
    return (exchange.actor, exchange.direction) == (actor, "in") and exchange.kind in kinds


@pytest.fixture(scope="module")
def hospital(tmp_path_factory):
    """Run EHR, RIS and PACS for all walks; ``hospital(script, *quirks)`` runs ``script(ward)`` in their loop."""
    with asyncio.Runner() as runner:
        parts = {name: Part(name, {}) for name in ("ehr", "ris", "pacs")}
        host = Host(Plan(parts), tmp_path_factory.mktemp("walks"), 4171)
        runner.run(host.start())

        def run(script, *active):
            for simulator in host.simulators.values():
                quirks = simulator.bench.quirks
                quirks.set(quirk for quirk in active if quirk in quirks.known)
            return runner.run(script(Ward(host)))

        yield run
        runner.run(host.stop())


# --- one exam: ORDER, STEP and MPPS together

UIDS = st.sampled_from(["1", "2"])
EXAM_EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("create"), UIDS, st.sampled_from(["IN PROGRESS", "IN PROGRESS", "COMPLETED"])),
        st.tuples(st.just("set"), UIDS, st.sampled_from([*MPPS_EVENTS, "ABANDONED"])),
        st.just(("cancel",)),
    ),
    min_size=1,
    max_size=LONGEST,
)
QUERY = {"PatientID": "", "AccessionNumber": "", "StudyInstanceUID": ""}
SCHEDULED = "ScheduledProcedureStepSequence"


def exam(events):
    """Return a script that walks one exam through events and compares after each."""

    async def script(ward):
        patient = await ward.act("ehr.register_patient")
        order = await ward.act("ehr.place_order", patient=patient, procedure="CTCHEST")
        book = Exam()
        async with await ward.scanner() as scanner:
            key = {**QUERY, "AccessionNumber": order["accession"]}
            entries = await scanner.find(
                services.WORKLIST, {**key, SCHEDULED: [{"ScheduledProcedureStepID": ""}]}
            )
            (entry,) = entries
            for event in events:
                await happens(ward, scanner, event, book, order, entry)
                listed = list(await scanner.find(services.WORKLIST, key))
                assert len(listed) == (book.step == "SCHEDULED"), (event, book)
                assert await told(ward, order, len(book.told)) == book.told, (event, book)
        # What is told about a later order is told after everything about this one.
        fence = await ward.act("ehr.place_order", patient=patient, procedure="CTCHEST")
        await told(ward, fence, 1)
        assert await told(ward, order, 0) == book.told

    return script


async def told(ward, order, count):
    """Return the order statuses that the ward has been told about an order (ORC-5 of RAD-3)."""
    messages = await ward.heard("ehr", {"OMG^O19", "ORM^O01"}, order["accession"], count)
    return [message["ORC-5"] for message in messages]


async def happens(ward, scanner, event, book, order, entry):
    """Let an event happen in the hospital and in the book; both must answer it alike."""
    match event:
        case ("create", uid, status):
            sop = f"{entry['StudyInstanceUID']}.{uid}"
            answer = await scanner.create(services.MPPS, sop, begun(entry, status))
            assert answer.status == book.create(uid, status), (event, book)
        case ("set", uid, status):
            sop = f"{entry['StudyInstanceUID']}.{uid}"
            answer = await scanner.set(services.MPPS, sop, ended(status))
            assert answer.status == book.set(uid, status), (event, book)
        case ("cancel",):
            answer = await ward.act("ehr.cancel_order", order=order)
            assert answer["control"] == book.cancel(), (event, book)


def begun(entry, status):
    step = entry[SCHEDULED][0]["ScheduledProcedureStepID"]
    scheduled = {key: entry[key] for key in ("StudyInstanceUID", "AccessionNumber")}
    return {
        "ScheduledStepAttributesSequence": [{**scheduled, "ScheduledProcedureStepID": step}],
        "PatientID": entry["PatientID"],
        "PerformedProcedureStepID": "PPS1",
        "PerformedStationAETitle": "SW_CT1",
        "PerformedProcedureStepStartDate": "20261124",
        "PerformedProcedureStepStartTime": "100000",
        "PerformedProcedureStepStatus": status,
        "Modality": "CT",
    }


def ended(status):
    series = [{"SeriesInstanceUID": "2.25.7", "ReferencedImageSequence": []}]
    return {"PerformedProcedureStepStatus": status, "PerformedSeriesSequence": series}


@walk
@given(EXAM_EVENTS)
def test_an_exam_follows_its_tables(hospital, events):
    hospital(exam(events))


# --- tables that live behind one HL7 door: REPORT, ENCOUNTER, APPOINTMENT


async def along(table, events, send, *, late=""):
    """Send events one after the other: AA for what the table allows, AE with 103 for the rest; return those allowed.

    What was refused must have changed nothing, or the next answer would betray it.

    Args:
        send: ``await send(event, number)`` returns the acknowledgement.
        late: an event that is filed without effect when it comes after its time.
    """
    state, allowed = "", []
    for number, event in enumerate(events):
        answer = await send(event, number)
        if event in table[state]:
            assert answer == ("AA", ""), (event, state)
            state, allowed = table[state][event], [*allowed, event]
        elif event == late and state:
            assert answer == ("AA", ""), (event, state)
        else:
            assert answer == ("AE", "103"), (event, state)
    return allowed


def some(table):
    """Return walks over every event of a table, whether or not it is its time."""
    events = sorted({event for allowed in table.values() for event in allowed})
    return st.lists(st.sampled_from(events), min_size=1, max_size=LONGEST)


async def somebody(ward):
    """Return a patient whom all know, as the writers of messages want it, and an order."""
    found = await ward.act("ehr.register_patient")
    order = await ward.act("ehr.place_order", patient=found, procedure="CTCHEST")
    return Patient(found["id"], PersonName.from_dicom(found["name"])), order


def report(letters):
    """Return a script that signs versions of a report and looks at what the ward is sent."""

    async def script(ward):
        person, order = await somebody(ward)

        async def send(letter, number):
            event = ReportEvent(letter, order["accession"], f"text {number}", f"more {number}")
            return await ward.tell("ris", report_message(event, person, ward.envelope("reader", "ris")))

        allowed = await along(REPORT, letters, send, late="P")
        messages = await ward.heard("ehr", {"ORU^R01"}, order["accession"], len(allowed))
        # An addendum is final (OBR-25), with the addendum in an OBX of its own.
        assert [message["OBR-25"] for message in messages] == [
            "F" if letter == "A" else letter for letter in allowed
        ]

    return script


@walk
@given(some(REPORT))
def test_a_report_follows_its_table(hospital, letters):
    hospital(report(letters))


@walk
@given(st.sampled_from(sorted(ENCOUNTER[""])), some(ENCOUNTER))
def test_an_encounter_follows_its_table(hospital, first, triggers):
    async def script(ward):
        person, _ = await somebody(ward)

        async def send(trigger, number):
            told_ = Encounter(f"V{person.id}", person.id, location=f"W{number}", former="W0")
            raw = patient_message(trigger, person, ward.envelope("ehr", "ris"), encounter=told_)
            return await ward.tell("ris", raw)

        # An encounter that nobody announced begins with whatever is heard first; here it is announced.
        await along(ENCOUNTER, [first, *triggers], send)

    hospital(script)


def calendar(events):
    """Return a script that books an appointment and tells the ward what becomes of it."""

    async def script(ward):
        person, order = await somebody(ward)
        own = f"A{order['filler']}"  # beside the one that the RIS made

        async def send(event, number):
            said = Appointment(own, order["placer"], order["filler"], person.id, f"202611241{number}0000")
            raw = appointment_message(TRIGGERS[event], said, person, ward.envelope("ris", "ehr"))
            return await ward.tell("ehr", raw)

        await along(APPOINTMENT, ["book", *events], send)

    return script


@walk
@given(some(APPOINTMENT))
def test_an_appointment_follows_its_table(hospital, events):
    hospital(calendar(events))


# --- the walks see what they should: known wrong behaviours turn them red

START, DONE = ("create", "1", "IN PROGRESS"), ("set", "1", "COMPLETED")


@pytest.mark.parametrize(
    ("quirk", "script"),
    [
        ("mwl.keep_cancelled", exam([("cancel",)])),
        ("cancel.filler_not_told", exam([("cancel",)])),
        ("mpps.arrived_not_started", exam([START])),
        ("report.status_map", report(["F", "C"])),
        ("siu.second_appointment", calendar(["move", "cancel", "move"])),
    ],
)
def test_a_walk_notices(hospital, quirk, script):
    with pytest.raises((AssertionError, TimeoutError, Refused)):
        hospital(script, quirk)
    hospital(script)
