"""Appointments in HL7: SIU^S12 to S15 and S26 (RAD-48, HL7 chapter 10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stepwedge.model.appointment import STATUS_TO_HL7, Appointment
from stepwedge.model.procedure import CODING_SCHEME
from stepwedge.sim.messages.envelope import FACILITY, day_and_time
from stepwedge.sim.messages.patients import pid, visit
from stepwedge.wire.hl7 import HL7Error

if TYPE_CHECKING:
    from stepwedge.model.encounter import Encounter
    from stepwedge.model.patient import Patient
    from stepwedge.sim.messages.envelope import Envelope
    from stepwedge.wire.hl7 import Message
    from stepwedge.wire.hl7_build import Fields, Value, Written

APPOINTMENT_EVENTS: Final = {
    # Trigger (HL7 2.5.1 section 10.3) to the event of ``lifecycles.APPOINTMENT``.
    "S12": "book",
    "S13": "move",
    "S14": "modify",
    "S15": "cancel",
    "S26": "miss",
}
_ORDER_FIELDS_SINCE: Final = "2.4"
"""SCH-26 and SCH-27; before, SCH-1 is all that says for which order an appointment is."""
_FROM_HL7: Final = {code: status for status, code in STATUS_TO_HL7.items()}
_CLERK: Final = ["", "Scheduler", "Sven"]


def appointment_message(
    trigger: str,
    appointment: Appointment,
    patient: Patient,
    envelope: Envelope,
    encounter: Encounter | None = None,
) -> bytes:
    """Write SIU of a ``trigger``; the placer order number is the placer appointment ID (SCH-1) too."""
    minutes = str(appointment.minutes)
    sch: Fields = {
        1: [appointment.placer],
        2: [appointment.id, FACILITY],
        6: [appointment.why or APPOINTMENT_EVENTS[trigger]],
        7: [appointment.procedure, appointment.text, CODING_SCHEME],
        11: ["", "", f"M{minutes}", appointment.start],
        16: [_CLERK],
        20: [_CLERK],
        25: [STATUS_TO_HL7[appointment.status]],
    }
    if envelope.version >= _ORDER_FIELDS_SINCE:
        sch = {**sch, 26: [appointment.placer], 27: [appointment.filler]}
    code: Value = [appointment.procedure, appointment.text, CODING_SCHEME]
    duration: Fields = {7: minutes, 8: ["min"]}
    action = {"S12": "A", "S15": "D"}.get(trigger, "U")  # HL7 table 0206
    segments: list[Written] = [
        ("SCH", sch),
        pid(patient, envelope.version),
        visit(encounter),
        ("RGS", {1: "1", 2: action}),
        ("AIS", {1: "1", 2: action, 3: code, 4: appointment.start, **duration}),
        (
            "AIL",
            {1: "1", 2: action, 3: [appointment.station], 4: ["SCANNER"], 6: appointment.start, 9: minutes},
        ),
    ]
    return envelope.seal(f"SIU^{trigger}", segments)


def read_appointment(message: Message, patient: str) -> Appointment:
    """Read the one appointment of an SIU for ``patient``, the ID under which the receiver knows the patient."""
    if not (key := message["SCH-2.1"]):
        raise HL7Error(101, "SCH-2", "an appointment needs a filler appointment ID")
    if (code := message["SCH-25.1"]) not in _FROM_HL7:
        raise HL7Error(103, "SCH-25", f"filler status {code!r} is none of {', '.join(_FROM_HL7)}")
    minutes = message["AIS-7"]
    return Appointment(
        id=key,
        placer=message["SCH-26.1"] or message["SCH-1.1"],
        filler=message["SCH-27.1"],
        patient=patient,
        start=day_and_time(message["SCH-11.4"] or message["AIS-4"]),
        minutes=int(minutes) if minutes.isdigit() else 0,
        station=message["AIL-3.1"],
        procedure=message["AIS-3.1"],
        text=message["AIS-3.2"],
        status=_FROM_HL7[code],
        why=message["SCH-6.1"],
    )
