"""Both dialects of every message: conforming structure, and the same facts read back."""

from datetime import UTC, datetime

import hl7 as python_hl7
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwedge.model.appointment import Appointment
from stepwedge.model.encounter import Encounter
from stepwedge.model.order import Order
from stepwedge.model.patient import Patient, PersonName
from stepwedge.model.procedure import RequestedProcedure, ScheduledStep
from stepwedge.sim.charsets import Charsets
from stepwedge.sim.messages import (
    APPOINTMENT_EVENTS,
    REPLY_KIND,
    Envelope,
    ReportEvent,
    appointment_message,
    confirmation_segments,
    order_message,
    patient_message,
    procedure_message,
    read_answer,
    read_appointment,
    read_encounter,
    read_items,
    read_merge,
    read_patient,
    read_report,
    reply_segments,
    report_message,
)
from stepwedge.wire.hl7 import HL7Error, acknowledgement, parse
from stepwedge.wire.structure import complaints

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
PATIENT = Patient("SW12345678", PersonName("MÜLLER", "ZOË", "ÉLODIE", "Dr", "Jr"), "19700102", "F")
ORDER = Order(
    placer="P1",
    patient=PATIENT.id,
    procedure="CTCHEST",
    text="CT chest",
    filler="F1",
    accession="SW123",
    priority="stat",
    reason="cough & fever | 3 days",
    alerts="pacemaker",
    provider="Orderer^Otto^^Dr",
    study="2.25.1",
)
REQUESTED = RequestedProcedure("RP1", "P1", "2.25.1", "CTCHEST", "CT chest")
STEPS = tuple(
    ScheduledStep(f"SPS{n}", "RP1", "SW123", f"CODE{n}", f"step {n}", "CT", "SW_CT1", f"2026112410{n}000")
    for n in (1, 2)
)
VERSIONS = pytest.mark.parametrize("version", ["2.3.1", "2.5.1"])


def envelope(version, charset=None):
    return Envelope("SW_EHR", "SW_RIS", "SW1", NOW, version, charset)


@VERSIONS
@pytest.mark.parametrize("event", ["A04", "A08", "A40"])
def test_patient_messages_conform_and_read_back(version, event):
    raw = patient_message(event, PATIENT, envelope(version), prior="SW9" if event == "A40" else "")
    message = parse(raw)
    assert complaints(raw) == []
    assert message.charset == "8859/1"
    assert read_patient(message) == PATIENT
    if event == "A40":
        assert read_merge(message) == (PATIENT, "SW9")


@VERSIONS
@pytest.mark.parametrize(
    ("control", "status"), [("NW", ""), ("CA", ""), ("XO", ""), ("SC", "IP"), ("OC", "CA")]
)
def test_order_messages_conform_and_read_back(version, control, status):
    raw = order_message(control, ORDER, PATIENT, envelope(version), status=status)
    (item,) = read_items(parse(raw))
    assert complaints(raw) == []
    assert (item.control, item.status) == (control, status or None)
    assert (item.placer, item.filler, item.accession, item.procedure) == ("P1", "F1", "SW123", "CTCHEST")
    assert (item.priority, item.reason, item.alerts) == ("S", ORDER.reason, "pacemaker")
    assert item.provider == ORDER.provider


def test_both_dialects_of_a_procedure_say_the_same():  # RTN-12
    said = []
    for version in ("2.3.1", "2.5.1"):
        raw = procedure_message("NW", "SC", ORDER, REQUESTED, STEPS, PATIENT, envelope(version))
        assert complaints(raw) == []
        said.append(read_items(parse(raw)))
    assert said[0] == said[1]
    first, second = said[0]
    assert (first.step, second.step) == ("SPS1", "SPS2")
    assert (first.study, first.requested, first.station, first.modality) == ("2.25.1", "RP1", "SW_CT1", "CT")
    assert (first.step_code, first.start, first.priority) == ("CODE1", "20261124101000", "S")


@VERSIONS
@pytest.mark.parametrize("letter", ["P", "F", "C", "X", "A"])
def test_reports_conform_and_read_back(version, letter):
    event = ReportEvent(
        letter=letter,
        accession="SW123",
        text="first line\n\\T\\ & second",
        addendum="more" if letter == "A" else "",
        placer="P1",
        filler="F1",
        study="2.25.1",
        procedure="CTCHEST",
        procedure_text="CT chest",
        author="Reader^Rita",
        at="20261124093000",
    )
    raw = report_message(event, PATIENT, envelope(version))
    assert complaints(raw) == []
    assert read_report(parse(raw)) == event
    assert parse(raw)["OBR-25"] == ("F" if letter == "A" else letter)


@VERSIONS
def test_replies_conform_and_carry_the_accession_number(version):
    request = parse(order_message("NW", ORDER, PATIENT, envelope(version)))
    kind = REPLY_KIND[request.type]
    raw = acknowledgement(
        request, "AA", control="A1", now=NOW, kind=kind, segments=reply_segments("OK", ORDER)
    )
    answer = read_answer(raw)
    assert complaints(raw) == []
    assert (answer.code, answer.items[0].control, answer.items[0].accession) == ("AA", "OK", "SW123")


@VERSIONS
def test_confirmations_of_procedures_conform(version):
    request = parse(procedure_message("XO", "SC", ORDER, REQUESTED, STEPS, PATIENT, envelope(version)))
    kind = REPLY_KIND[request.type]
    raw = acknowledgement(
        request, "AA", control="A1", now=NOW, kind=kind, segments=confirmation_segments(request)
    )
    assert complaints(raw) == []
    assert [item.control for item in read_answer(raw).items] == ["OK", "OK"]


def test_absent_and_null_are_not_the_same():  # ITI TF-2 appendix C, SCH-10
    raw = order_message("XO", ORDER, PATIENT, envelope("2.5.1"))
    (absent,) = read_items(parse(raw.replace(b"pacemaker", b"")))
    (removed,) = read_items(parse(raw.replace(b"pacemaker", b'""')))
    assert (absent.alerts, removed.alerts) == (None, "")


def test_the_identifier_of_our_issuer_is_taken_wherever_it_stands():
    raw = patient_message("A04", PATIENT, envelope("2.5.1"))
    other = raw.replace(b"SW12345678^^^STEPWEDGE^PI", b"777^^^CITY^PI~SW12345678^^^STEPWEDGE^PI")
    assert read_patient(parse(other)).id == "SW12345678"


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [(b"SW12345678^^^STEPWEDGE^PI", b"", "PID-3"), (b"SW12345678^^^STEPWEDGE", b"777^^^CITY", "PID-3")],
)
def test_a_patient_without_our_identifier_is_refused(old, new, place):
    message = parse(patient_message("A04", PATIENT, envelope("2.5.1")).replace(old, new))
    with pytest.raises(HL7Error) as refused:
        read_patient(message)
    assert (refused.value.code, refused.value.location) == (101, place)


@given(st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=20))
def test_the_smallest_character_set_that_fits_is_named(text):
    codec = {"": "ascii", "8859/1": "iso8859-1", "UNICODE UTF-8": "utf-8"}[Charsets().for_hl7([text])]
    assert text.encode(codec).decode(codec) == text


@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=30),
        min_size=1,
        max_size=4,
    )
)
def test_any_report_text_survives(lines):
    text = "\n".join(line.strip() or "-" for line in lines)
    event = ReportEvent("F", "SW123", text, placer="P1", filler="F1", at="20261124093000")
    assert read_report(parse(report_message(event, PATIENT, envelope("2.5.1")))).text == text


ENCOUNTER_EVENTS = [f"A{number:02}" for number in (1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 23)]


@VERSIONS
@pytest.mark.parametrize("event", ENCOUNTER_EVENTS)
def test_encounters_conform_and_read_back(version, event):
    stay = Encounter("V1", PATIENT.id, "I", "WARD^12^A", "ER", began="20261124090000")
    raw = patient_message(event, PATIENT, envelope(version), encounter=stay)
    message = parse(raw)
    assert complaints(raw) == []
    assert (message.type, message["EVN-1"]) == (f"ADT^{event}", event)
    assert read_encounter(message, PATIENT.id) == stay
    assert python_hl7.parse(raw.decode("latin-1"))["PV1.F19.R1.C1"] == "V1"


@VERSIONS
@pytest.mark.parametrize("event", ["A28", "A31", "A47"])
def test_person_events_conform_and_read_back(version, event):
    raw = patient_message(event, PATIENT, envelope(version), prior="SW9" if event == "A47" else "")
    message = parse(raw)
    assert complaints(raw) == []
    assert read_patient(message) == PATIENT
    assert read_encounter(message, PATIENT.id) is None
    assert event != "A47" or read_merge(message) == (PATIENT, "SW9")
    assert str(python_hl7.parse(raw.decode("latin-1")).segment("PID")[3][0][0]) == PATIENT.id


@VERSIONS
@pytest.mark.parametrize("trigger", sorted(APPOINTMENT_EVENTS))
def test_appointments_conform_and_read_back(version, trigger):
    status = {"S15": "cancelled", "S26": "no show"}.get(trigger, "booked")
    booked = Appointment(
        *("AP1", "P1", "F1" if version > "2.4" else "", PATIENT.id, "20261124101000", 20),
        *("SW_CT1", "CTCHEST", "CT chest", status, "scanner down"),
    )
    raw = appointment_message(trigger, booked, PATIENT, envelope(version))
    assert complaints(raw) == []
    assert read_appointment(parse(raw), PATIENT.id) == booked
    assert str(python_hl7.parse(raw.decode("latin-1")).segment("SCH")[25]) == parse(raw)["SCH-25"]


@pytest.mark.parametrize(("old", "place"), [(b"AP1^STEPWEDGE", "SCH-2"), (b"Booked", "SCH-25")])
def test_an_appointment_without_key_or_state_is_refused(old, place):
    booked = Appointment("AP1", "P1", "F1", PATIENT.id, "20261124101000")
    raw = appointment_message("S12", booked, PATIENT, envelope("2.5.1")).replace(old, b"")
    with pytest.raises(HL7Error) as refused:
        read_appointment(parse(raw), PATIENT.id)
    assert refused.value.location == place
