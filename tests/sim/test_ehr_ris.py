"""EHR and RIS over their real doors: MLLP, worklist and performed procedure steps on loopback."""

import asyncio
import contextlib

import pytest

from stepwedge.errors import BadInput, Refused
from stepwedge.sim.host import Host, Part, Plan
from stepwedge.sim.messages import Envelope, ReportEvent, read_items, report_message
from stepwedge.sim.simulator import Case
from stepwedge.sim.store import Send
from stepwedge.wire import dimse_asyncio, mllp_asyncio
from stepwedge.wire.hl7 import parse
from stepwedge.wire.services import MPPS, WORKLIST
from stepwedge.wire.structure import complaints

CASE = Case("test[one]", 4171)
STEP = "ScheduledProcedureStepSequence"
KEYS = {
    "PatientName": "",
    "PatientID": "",
    "AccessionNumber": "",
    "StudyInstanceUID": "",
    "RequestedProcedurePriority": "",
    STEP: [
        {"ScheduledProcedureStepID": "", "ScheduledStationAETitle": "", "ScheduledProcedureStepStartDate": ""}
    ],
}
VERSIONS = pytest.mark.parametrize("version", ["2.3.1", "2.5.1"])


class Clinic:
    """A hospital under test, and the shortest way to use it."""

    def __init__(self, host):
        self.host = host

    async def act(self, full, **args):
        name, _, word = full.partition(".")
        return await self.host.simulators[name].act(word, args, CASE)

    async def ask(self, name, what, **args):
        return await self.host.simulators[name].ask(what, args)

    async def until(self, name, what, args, **wanted):
        """Wait until an answer holds what is wanted."""
        found = {}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(10):
                while not found or any(found.get(key) != value for key, value in wanted.items()):
                    await asyncio.sleep(0.005)
                    found = await self.ask(name, what, **args)
        assert {key: found.get(key) for key in wanted} == wanted, await self.ask("ris", "parked")
        return found

    @contextlib.asynccontextmanager
    async def scanner(self):
        entity = self.host.directory["ris"].worklist
        contexts = [WORKLIST, MPPS]
        opening = dimse_asyncio.open(
            entity.host, entity.port, calling="SW_CT1", called=entity.ae, contexts=contexts, timeout=10
        )
        async with await opening as association:
            yield association

    async def worklist(self, **keys):
        async with self.scanner() as scanner:
            answers = await scanner.find(WORKLIST, {**KEYS, **keys})
        assert answers.status == 0
        return list(answers)

    async def ordered(self, version="2.5.1", **more):
        patient = await self.act("ehr.register_patient", version=version, **more.pop("patient", {}))
        order = await self.act(
            "ehr.place_order", patient=patient, version=version, **{"procedure": "CTCHEST", **more}
        )
        return patient, order

    def said(self, actor, kind):
        """Return the messages of a kind that an actor received."""
        exchanges = self.host.journal.after(0)
        return [
            parse(each.request.read())
            for each in exchanges
            if (each.actor, each.direction, each.kind) == (actor, "in", kind)
        ]


def started(entry, uid="2.25.1", **changes):
    step = entry[STEP][0]
    return uid, {
        "ScheduledStepAttributesSequence": [
            {
                "StudyInstanceUID": entry["StudyInstanceUID"],
                "AccessionNumber": entry["AccessionNumber"],
                "ScheduledProcedureStepID": step["ScheduledProcedureStepID"],
            }
        ],
        "PatientID": entry["PatientID"],
        "PerformedProcedureStepID": "PPS1",
        "PerformedStationAETitle": "SW_CT1",
        "PerformedProcedureStepStartDate": "20261124",
        "PerformedProcedureStepStartTime": "100000",
        "PerformedProcedureStepStatus": "IN PROGRESS",
        "Modality": "CT",
        **changes,
    }


DONE = {
    "PerformedProcedureStepStatus": "COMPLETED",
    "PerformedSeriesSequence": [{"SeriesInstanceUID": "2.25.7", "ReferencedImageSequence": []}],
}


@pytest.fixture
def play(tmp_path):
    """Run ``script(clinic)`` in a hospital of EHR, RIS and PACS."""

    def run(script, *, quirks=(), state="state", **settings):
        async def session():
            parts = {name: Part(name, settings.get(name, {})) for name in ("ehr", "ris", "pacs")}
            host = Host(Plan(parts), tmp_path / state, 4171, quirks)
            await host.start()
            try:
                return await script(Clinic(host))
            finally:
                await host.stop()

        return asyncio.run(session())

    return run


@VERSIONS
def test_an_order_stands_on_the_worklist_and_at_the_archive(play, version):
    async def script(clinic):
        patient, order = await clinic.ordered(version, priority="stat")
        (entry,) = await clinic.worklist(AccessionNumber=order["accession"])
        await clinic.until("ehr", "order", {"placer": order["placer"]}, status="scheduled")
        await clinic.until("pacs", "expected", {"accession": order["accession"]}, status="scheduled")
        kind = "ORM^O01" if version == "2.3.1" else "OMI^O23"
        return patient, order, entry, clinic.said("pacs", kind), await clinic.ask("ris", "parked")

    patient, order, entry, messages, parked = play(script)
    assert (entry["PatientName"], entry["PatientID"]) == (patient["name"], patient["id"])
    assert entry["RequestedProcedurePriority"] == "STAT"
    assert set(entry) == set(KEYS)
    (item,) = read_items(messages[0])
    assert (item.control, item.accession, item.study) == ("NW", order["accession"], entry["StudyInstanceUID"])
    assert parked == []


@VERSIONS
def test_every_message_conforms_to_its_structure(play, version):
    async def script(clinic):
        patient, order = await clinic.ordered(version, procedure="CTABD2", reason="a & b", alerts="pacemaker")
        await clinic.act("ris.reschedule", order=order, days=1)
        await clinic.act("ehr.update_patient", patient=patient, name="Adams^Anna^^Dr^Jr", version=version)
        other = await clinic.act("ehr.register_patient", version=version)
        await clinic.act("ehr.merge_patients", survivor=other, prior=patient, version=version)
        await clinic.act("ehr.cancel_order", order=order, reason="no")
        await clinic.until("pacs", "expected", {"accession": order["accession"]}, status="cancelled")
        return clinic.host.journal.after(0)

    for exchange in play(script):
        if exchange.protocol == "hl7" and exchange.actor != "pacs":
            assert complaints(exchange.request.read()) == []
            assert exchange.outcome == "AA", exchange
            if exchange.peer != "pacs":
                assert complaints(exchange.response.read()) == []


@pytest.mark.parametrize(
    ("name", "charset"), [("MÜLLER^ZOË^ÉLODIE", "ISO_IR 100"), ("ŁUKASZ^Ądam", "ISO_IR 192")]
)
def test_names_reach_the_scanner_unchanged(play, name, charset):  # CHR-01
    async def script(clinic):
        _, order = await clinic.ordered("2.3.1", patient={"name": name})
        return await clinic.worklist(AccessionNumber=order["accession"])

    (entry,) = play(script)
    assert (entry["PatientName"], entry["SpecificCharacterSet"]) == (name, charset)


@VERSIONS
def test_the_performed_step_drives_the_order(play, version):
    async def script(clinic):
        _, order = await clinic.ordered(version)
        (entry,) = await clinic.worklist(AccessionNumber=order["accession"])
        statuses = []
        async with clinic.scanner() as scanner:
            uid, attributes = started(entry)
            for answer in (
                scanner.create(MPPS, uid, {**attributes, "PerformedProcedureStepStatus": "COMPLETED"}),
                scanner.create(MPPS, uid, attributes),
                scanner.create(MPPS, uid, attributes),
                scanner.set(MPPS, "2.25.999", DONE),
                scanner.set(MPPS, uid, {"PerformedProcedureStepStatus": "COMPLETED"}),
                scanner.set(MPPS, uid, DONE),
                scanner.set(MPPS, uid, DONE),
            ):
                statuses.append((await answer).status)
                if len(statuses) == 2:
                    await clinic.until("ehr", "order", {"placer": order["placer"]}, status="in progress")
        await clinic.until("ehr", "order", {"placer": order["placer"]}, status="completed")
        return statuses, await clinic.worklist(AccessionNumber=order["accession"])

    statuses, left = play(script)
    assert statuses == [0x0106, 0, 0x0111, 0x0112, 0x0120, 0, 0x0110]
    assert left == []


def test_attributes_that_a_performed_step_must_have(play):
    async def script(clinic):
        _, order = await clinic.ordered()
        (entry,) = await clinic.worklist(AccessionNumber=order["accession"])
        uid, attributes = started(entry)
        statuses = []
        async with clinic.scanner() as scanner:
            for keyword in ("PerformedProcedureStepID", "ScheduledStepAttributesSequence"):
                missing = {key: value for key, value in attributes.items() if key != keyword}
                statuses.append((await scanner.create(MPPS, uid, missing)).status)
            statuses.append((await scanner.create(MPPS, uid, {**attributes, "Modality": ""})).status)
        return statuses, await clinic.ask("ris", "performed", mpps=uid)

    assert play(script) == ([0x0120, 0x0120, 0x0121], {})


@VERSIONS
def test_a_cancelled_order_is_gone_everywhere(play, version):  # CAN-02
    async def script(clinic):
        patient, order = await clinic.ordered(version)
        answer = await clinic.act("ehr.cancel_order", order=order, reason="patient refused")
        await clinic.until("pacs", "expected", {"accession": order["accession"]}, status="cancelled")
        step = {**KEYS[STEP][0], "ScheduledProcedureStepStatus": ""}
        shapes = [
            {"AccessionNumber": order["accession"]},
            {"PatientID": patient["id"]},
            {"PatientName": patient["name"]},
            {STEP: [step]},
            {STEP: [{**step, "ScheduledProcedureStepStartDate": "19000101-20991231"}]},
            {STEP: [{**step, "ScheduledStationAETitle": "SW_CT1"}]},
        ]
        return answer, [await clinic.worklist(**shape) for shape in shapes]

    answer, found = play(script)
    assert (answer["control"], answer["status"], answer["why"]) == ("CR", "cancelled", "patient refused")
    assert found == [[]] * 6


@VERSIONS
def test_an_exam_under_way_is_not_cancelled(play, version):  # CAN-03
    async def script(clinic):
        _, order = await clinic.ordered(version)
        (entry,) = await clinic.worklist(AccessionNumber=order["accession"])
        async with clinic.scanner() as scanner:
            await scanner.create(MPPS, *started(entry))
        return await clinic.act("ehr.cancel_order", order=order)

    answer = play(script)
    assert (answer["control"], answer["answer"]) == ("UC", "AA")
    assert answer["status"] != "cancelled"


def test_the_department_cancels_and_the_ward_learns_why(play):  # CAN-04
    async def script(clinic):
        _, order = await clinic.ordered()
        await clinic.act("ris.cancel_order", order=order, reason="scanner down")
        return await clinic.until("ehr", "order", {"placer": order["placer"]}, status="cancelled")

    assert play(script)["why"] == "scanner down"


@VERSIONS
def test_a_resent_order_gets_no_second_accession_number(play, version):  # IDM-02
    async def script(clinic):
        patient, order = await clinic.ordered(version)
        again = await clinic.act("ehr.resend_order", order=order)
        return order, again, await clinic.worklist(PatientID=patient["id"])

    order, again, entries = play(script)
    assert (again["accession"], again["answer"], len(entries)) == (order["accession"], "AA", 1)


def test_an_exam_moves_with_all_its_numbers(play):  # SCH-02, SCH-03
    async def script(clinic):
        _, order = await clinic.ordered()
        (before,) = await clinic.worklist(AccessionNumber=order["accession"])
        moved = await clinic.act("ris.reschedule", order=order, days=3, station="SW_CT2")
        after = await clinic.worklist(AccessionNumber=order["accession"])
        return (
            before,
            moved,
            after,
            await clinic.worklist(**{STEP: [{**KEYS[STEP][0], "ScheduledStationAETitle": "SW_CT1"}]}),
        )

    before, moved, (after,), left = play(script)
    assert after[STEP][0] == {
        "ScheduledProcedureStepID": before[STEP][0]["ScheduledProcedureStepID"],
        "ScheduledStationAETitle": "SW_CT2",
        "ScheduledProcedureStepStartDate": moved["date"],
    }
    assert after["StudyInstanceUID"] == before["StudyInstanceUID"]
    assert left == []


def test_a_manual_scheduler_decides_when(play):
    async def script(clinic):
        _, order = await clinic.ordered()
        before = await clinic.worklist(AccessionNumber=order["accession"])
        await clinic.act("ris.schedule_order", order=order, start="202612010800")
        return before, await clinic.worklist(AccessionNumber=order["accession"])

    before, (after,) = play(script, ris={"schedule": "manual"})
    assert before == []
    assert after[STEP][0]["ScheduledProcedureStepStartDate"] == "20261201"


@VERSIONS
def test_a_merge_moves_what_is_scheduled(play, version):  # PAT-07
    async def script(clinic):
        prior, order = await clinic.ordered(version)
        survivor = await clinic.act("ehr.register_patient", version=version)
        await clinic.act("ehr.merge_patients", survivor=survivor, prior=prior, version=version)
        found = [await clinic.worklist(PatientID=patient["id"]) for patient in (prior, survivor)]
        return survivor, order, found, await clinic.ask("ehr", "order", placer=order["placer"])

    survivor, order, (old, new), ordered = play(script)
    assert old == []
    assert [(e["AccessionNumber"], e["PatientName"]) for e in new] == [(order["accession"], survivor["name"])]
    assert ordered["patient"] == survivor["id"]


def send_report(clinic, event, patient, control):
    from stepwedge.model.patient import Patient, PersonName

    person = Patient(patient["id"], PersonName.from_dicom(patient["name"]))
    envelope = Envelope("SW_READER", "SW_RIS", control, clinic.host.simulators["ris"].bench.clock.now())
    return report_message(event, person, envelope)


async def tell(clinic, raw):
    endpoint = clinic.host.directory["ris"].hl7
    client = mllp_asyncio.Client(endpoint.host, endpoint.port)
    try:
        return parse(await client.ask(raw, 5))
    finally:
        await client.close()


@VERSIONS
def test_reports_reach_the_ward_with_their_history(play, version):  # RPT-01, RPT-02
    async def script(clinic):
        patient, order = await clinic.ordered(version)
        texts = [
            ("P", "draft & more", ""),
            ("F", "No nodule.", ""),
            ("A", "No nodule.", "Small nodule."),
            ("P", "late", ""),
        ]
        for number, (letter, text, addendum) in enumerate(texts):
            event = ReportEvent(letter, order["accession"], text, addendum)
            answer = await tell(clinic, send_report(clinic, event, patient, f"R{number}"))
            assert answer["MSA-1"] == "AA"
        addended = "No nodule.\nADDENDUM: Small nodule."
        found = await clinic.until("ehr", "report", {"accession": order["accession"]}, text=addended)
        return found, clinic.said("ehr", "ORU^R01"), order

    found, messages, order = play(script)
    assert [version_["text"] for version_ in found["versions"]] == [
        "draft & more",
        "No nodule.",
        "Small nodule.",
    ]
    assert found["status"] == "final"
    assert {message.version for message in messages} == {version}
    assert {message["OBR-18"] for message in messages} == {order["accession"]}
    assert [message["OBR-25"] for message in messages] == ["P", "F", "F"]


def test_a_report_that_belongs_to_nobody_is_refused(play):
    async def script(clinic):
        patient, order = await clinic.ordered()
        stranger = await clinic.act("ehr.register_patient")
        answers = []
        for number, (accession, person) in enumerate(((order["accession"], stranger), ("SW000", patient))):
            event = ReportEvent("F", accession, "text")
            answers.append(await tell(clinic, send_report(clinic, event, person, f"R{number}")))
        return [(answer["MSA-1"], answer["ERR-3.1"]) for answer in answers], await clinic.ask(
            "ehr", "report", accession=order["accession"]
        )

    assert play(script) == ([("AE", "204"), ("AE", "204")], {})


@pytest.mark.parametrize(
    ("change", "code", "condition"),
    [
        ((b"OMG^O19^OMG_O19", b"OMG^O99^OMG_O99"), "AR", "201"),
        ((b"ORC|NW|", b"ORC|ZZ|"), "AE", "103"),
        ((b"CTCHEST^", b"NOSUCH^"), "AE", "103"),
        ((b"ORC|NW|", b"ORC|XO|"), "AE", "204"),
        ((b"^^^STEPWEDGE^PI", b"^^^ELSEWHERE^PI"), "AE", "101"),
    ],
)
def test_a_message_that_cannot_be_taken_is_refused_and_changes_nothing(play, change, code, condition):
    async def script(clinic):
        await clinic.ordered()
        (message,) = clinic.said("ris", "OMG^O19")
        before = len(clinic.host.simulators["ris"].state.orders)
        raw = message.raw.replace(message["ORC-2"].encode(), b"P9").replace(*change)
        raw = raw.replace(message.control.encode(), b"OTHER1")
        answer = await tell(clinic, raw)
        return (
            answer["MSA-1"],
            answer["ERR-3.1"],
            answer["MSA-2"],
            len(clinic.host.simulators["ris"].state.orders) - before,
        )

    assert play(script) == (code, condition, "OTHER1", 0)


def test_words_say_what_is_wrong_with_their_arguments(play):
    async def script(clinic):
        patient, order = await clinic.ordered()
        wrong = [
            ("ehr.place_order", {"patient": patient, "procedure": "XRAY"}, BadInput),
            ("ehr.place_order", {"patient": "SW0", "procedure": "CTCHEST"}, BadInput),
            ("ehr.register_patient", {"version": "3"}, BadInput),
            ("ehr.register_patient", {"charset": "KOI8"}, BadInput),
            ("ehr.merge_patients", {"survivor": patient, "prior": patient}, BadInput),
            ("ris.reschedule", {"order": order}, BadInput),
            ("ris.reschedule", {"order": {"accession": "SW0"}, "days": 1}, BadInput),
            ("ris.reschedule", {"order": order, "start": "tomorrow"}, BadInput),
            ("ris.schedule_order", {"order": order["accession"]}, None),
        ]
        for word, args, error in wrong:
            with pytest.raises(error) if error else contextlib.nullcontext():
                await clinic.act(word, **args)
        await clinic.act("ehr.cancel_order", order=order)
        with pytest.raises(Refused):
            await clinic.act("ris.reschedule", order=order, days=1)

    play(script)


def test_a_restart_forgets_nothing(play):
    async def first(clinic):
        return await clinic.ordered()

    async def second(clinic):
        again = await clinic.act("ehr.place_order", patient=patient, procedure="CTHEAD")
        return again, await clinic.worklist(PatientID=patient["id"])

    patient, order = play(first)
    again, entries = play(second)
    assert again["accession"] != order["accession"]
    assert {entry["AccessionNumber"] for entry in entries} == {order["accession"], again["accession"]}


def test_a_ward_that_is_not_there_is_told_later(play):
    """A status that cannot be delivered waits, and the RIS answers the scanner all the same."""

    async def script(clinic):
        await clinic.host.simulators["ehr"].doors[0].stop()
        ris = clinic.host.simulators["ris"]
        with ris.bench.change(ris.state) as change:
            change.send(Send("ehr", b"MSH|^~\\&|A|B|C|D|20261124||ORM^O01|X1|P|2.3.1\r", control="X1"))
        return [each["to"] for each in await clinic.ask("ris", "waiting")]

    assert play(script) == ["ehr"]


# Encounters and persons, as ITI-30 and ITI-31 have them


@VERSIONS
def test_an_encounter_is_followed_from_admission_to_discharge(play, version):
    async def script(clinic):
        patient = await clinic.act("ehr.add_person", version=version)
        planned = await clinic.act("ehr.preadmit", patient=patient, location="W1^1^A", version=version)
        assert await clinic.ask("ris", "encounter", visit=planned["visit"]) == planned
        visit = {"visit": planned, "version": version}
        order = await clinic.act("ehr.place_order", patient=patient, procedure="CTCHEST", **visit)
        seen = []
        for word, more in (
            ("admit", {}),
            ("transfer", {"location": "W2^7^B"}),
            ("cancel_transfer", {}),
            ("change_to_outpatient", {}),
            ("change_to_inpatient", {"location": "W3"}),
            ("discharge", {}),
            ("cancel_discharge", {}),
            ("cancel_admit", {}),
        ):
            told = await clinic.act(f"ehr.{word}", **visit, **more)
            assert await clinic.ask("ris", "encounter", visit=planned["visit"]) == told
            (entry,) = await clinic.worklist(
                AccessionNumber=order["accession"], AdmissionID="", CurrentPatientLocation=""
            )
            assert entry["AdmissionID"] == planned["visit"]
            seen.append((told["status"], told["patient_class"], entry["CurrentPatientLocation"]))
        assert seen == [
            ("active", "I", "W1^1^A"),
            ("active", "I", "W2^7^B"),
            ("active", "I", "W1^1^A"),
            ("active", "O", "W1^1^A"),
            ("active", "I", "W3"),
            ("discharged", "I", ""),
            ("active", "I", "W3"),
            ("cancelled", "I", ""),
        ]
        with pytest.raises(Refused, match="not allowed in state 'cancelled'"):
            await clinic.act("ehr.transfer", **visit, location="W4")

    play(script)


def test_what_an_encounter_cannot_do_is_refused_on_both_sides(play):
    async def script(clinic):
        patient = await clinic.act("ehr.register_patient")
        visit = await clinic.act("ehr.admit", patient=patient, **{"class": "emergency"}, location="ER")
        assert (await clinic.ask("ris", "encounter", visit=visit["visit"]))["patient_class"] == "E"
        with pytest.raises(Refused, match="never transferred"):
            await clinic.act("ehr.cancel_transfer", visit=visit)
        await clinic.act("ehr.delete_visit", visit=visit)
        with pytest.raises(Refused, match="not allowed in state 'deleted'"):
            await clinic.act("ehr.discharge", visit=visit)
        with pytest.raises(BadInput, match="an encounter of the EHR"):
            await clinic.act("ehr.discharge", visit="V0")
        with pytest.raises(BadInput, match="inpatient, outpatient, emergency"):
            await clinic.act("ehr.admit", patient=patient, **{"class": "guest"})
        with pytest.raises(BadInput, match="neither"):
            await clinic.act("ehr.admit")

    play(script)


@VERSIONS
def test_a_changed_identifier_takes_everything_along_and_never_joins_two(play, version):
    async def script(clinic):
        patient, order = await clinic.ordered(version)
        other = await clinic.act("ehr.register_patient", version=version)
        changed = await clinic.act("ehr.change_identifier", patient=patient, version=version)
        assert changed["answers"] == {"ris": "AA", "pacs": "AA"}
        (entry,) = await clinic.worklist(PatientID=changed["id"])
        assert entry["AccessionNumber"] == order["accession"]
        assert await clinic.worklist(PatientID=patient["id"]) == []
        taken = await clinic.act("ehr.change_identifier", patient=changed, id=other, version=version)
        assert taken["answers"] == {"ris": "AE", "pacs": "AE"}
        assert await clinic.worklist(PatientID=other["id"]) == []
        assert (await clinic.ask("ehr", "patient", id=changed["id"]))["merged_into"] == ""
        corrected = await clinic.act("ehr.update_person", patient=changed, name="Other^Name", version=version)
        assert (await clinic.ask("ris", "patient", id=changed["id"]))["name"] == corrected["name"]

    play(script)


# Appointments, as RAD-48 tells them to the ward


@VERSIONS
def test_an_appointment_follows_its_exam_and_stays_one(play, version):
    async def script(clinic):
        _, order = await clinic.ordered(version)
        asked = {"placer": order["placer"]}
        booked = await clinic.until("ehr", "appointment", asked, status="booked", count=1)
        moved = await clinic.act("ris.reschedule", order=order, days=2)
        await clinic.until("ehr", "appointment", asked, start=moved["start"], count=1, id=booked["id"])
        await clinic.act("ris.reschedule", order=order, station="SW_CT2")
        await clinic.until("ehr", "appointment", asked, station="SW_CT2", count=1)
        await clinic.act("ris.no_show", order=order)
        await clinic.until("ehr", "appointment", asked, status="no show", count=1)
        await clinic.act("ris.reschedule", order=order, days=1)
        await clinic.until("ehr", "appointment", asked, status="booked", count=1)
        again = await clinic.act("ris.schedule_order", order=order, start="202611301000")
        await clinic.until("ehr", "appointment", asked, start=again["start"], count=1, id=booked["id"])
        await clinic.act("ris.no_show", order=order)
        await clinic.act("ris.reschedule", order=order, station="SW_CT1")  # another scanner after a no show
        await clinic.until("ehr", "appointment", asked, status="booked", station="SW_CT1", count=1)
        await clinic.act("ris.cancel_order", order=order, reason="scanner down")
        await clinic.until("ehr", "appointment", asked, status="cancelled", count=1, why="scanner down")
        kinds = [
            trigger for trigger in ("S12", "S13", "S14", "S26", "S15") if clinic.said("ehr", f"SIU^{trigger}")
        ]
        assert kinds == ["S12", "S13", "S14", "S26", "S15"]
        with pytest.raises(Refused, match="'miss' is not allowed"):
            await clinic.act("ris.no_show", order=order)

    play(script)
