"""Patients in HL7: the PID segment, ADT^A04, A08 and A40 (RAD-1, RAD-12, ITI-30)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stepwedge.model.identifiers import ISSUER
from stepwedge.model.patient import Patient, PersonName
from stepwedge.sim.messages.envelope import said
from stepwedge.wire.hl7 import HL7Error, timestamp

if TYPE_CHECKING:
    from collections.abc import Callable

    from stepwedge.sim.messages.envelope import Envelope
    from stepwedge.wire.hl7 import Group, Message
    from stepwedge.wire.hl7_build import Written

SEX_FROM_HL7: Final = {"F": "F", "M": "M", "O": "O", "A": "O", "N": "O", "U": ""}
"""HL7 table 0001 to DICOM (0010,0040), which knows only F, M and O; unknown is empty."""

_OUTPATIENT: Final[Written] = ("PV1", {1: "1", 2: "O"})


def pid(patient: Patient, version: str) -> Written:
    """Return PID; a name of type *legal* says so from 2.5 on (XPN-7)."""
    name = [*patient.name.hl7()]
    if version >= "2.5":
        name = [*name, *[""] * (6 - len(name)), "L"]
    return (
        "PID",
        {
            1: "1",
            3: [patient.id, "", "", patient.issuer, "PI"],
            5: name,
            7: patient.birth_date,
            8: patient.sex or "U",
        },
    )


def visit() -> Written:
    """Return PV1 of an outpatient."""
    return _OUTPATIENT


def patient_message(event: str, patient: Patient, envelope: Envelope, *, prior: str = "") -> bytes:
    """Write ADT of an ``event`` (A04 register, A08 update, A40 merge ``prior`` into ``patient``)."""
    evn: Written = ("EVN", {1: event, 2: timestamp(envelope.now)})
    segments = [evn, pid(patient, envelope.version)]
    if event == "A40":
        segments.append(("MRG", {1: [prior, "", "", patient.issuer, "PI"]}))
    else:
        segments.append(visit())
    return envelope.seal(f"ADT^{event}", segments)


def read_patient(
    message: Group,
    name: Callable[[list[str]], PersonName] = PersonName.from_hl7,
    number: Callable[[str], str] = str,
) -> Patient:
    """Read PID; of several identifiers the one assigned by our issuer counts, wherever it stands (CX-4).

    ``name`` makes a name of the first five components of XPN, ``number`` a patient ID of what is written.
    """
    return Patient(
        id=number(_identifier(message, "PID-3", ISSUER)),
        name=name([message[f"PID-5[1].{part}.1"] for part in range(1, 6)]),
        birth_date=(said(message, "PID-7.1") or "")[:8],
        sex=SEX_FROM_HL7.get(said(message, "PID-8.1") or "", ""),
    )


def read_merge(message: Message) -> tuple[Patient, str]:
    """Return the surviving patient and the prior patient ID of an ADT^A40."""
    return read_patient(message), _identifier(message, "MRG-1", ISSUER)


def _identifier(message: Group, place: str, issuer: str) -> str:
    """Return the identifier of ``issuer``, else the first without an assigning authority."""
    segment, _, number = place.partition("-")
    found = message.each(segment)
    count = len(found[0].all(number)) if found else 0
    unnamed = ""
    for repetition in range(1, count + 1):
        value = said(message, f"{place}[{repetition}].1") or ""
        authority = message[f"{place}[{repetition}].4.1"]
        if value and authority == issuer:
            return value
        if value and not authority:
            unnamed = unnamed or value
    if unnamed:
        return unnamed
    raise HL7Error(101, place, f"no identifier assigned by {issuer}")
