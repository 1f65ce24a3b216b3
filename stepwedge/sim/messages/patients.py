"""Patients and encounters in HL7: PID, PV1 and the ADT events (RAD-1, RAD-12, ITI-30, ITI-31)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stepwedge.model.context import NOTHING
from stepwedge.model.encounter import Encounter
from stepwedge.model.identifiers import ISSUER
from stepwedge.model.patient import Patient, PersonName
from stepwedge.sim.messages.context import allergies, observations, of_visit
from stepwedge.sim.messages.envelope import day_and_time, said
from stepwedge.wire.hl7 import HL7Error, timestamp
from stepwedge.wire.hl7_build import Rep

if TYPE_CHECKING:
    from collections.abc import Callable

    from stepwedge.model.context import ClinicalContext
    from stepwedge.sim.messages.envelope import Envelope
    from stepwedge.wire.hl7 import Group, Message
    from stepwedge.wire.hl7_build import Value, Written

_LONGEST: Final = 64
"""Characters of a patient ID (LO)."""
_DAY: Final = len("YYYYMMDD")
SEX_FROM_HL7: Final = {"F": "F", "M": "M", "O": "O", "A": "O", "N": "O", "U": ""}
"""HL7 table 0001 to DICOM (0010,0040), which knows only F, M and O; unknown is empty."""

PATIENT_EVENTS: Final = (
    *("A01", "A02", "A03", "A04", "A05", "A06", "A07", "A08", "A11", "A12", "A13", "A23", "A28", "A31"),
)
"""ADT events that say who a patient is and, where PV1-19 names one, how an encounter stands (RAD-1, RAD-12, ITI-30, ITI-31)."""
PERSON_EVENTS: Final = frozenset({"A28", "A31"})
"""Events about a person, in or out of the hospital (ITI-30): patient class N, not applicable (HL7 table 0004)."""
IDENTITY_EVENTS: Final = frozenset({"A40", "A47"})
"""Events that bring a prior identifier in MRG (ITI-30)."""
_LOCATION: Final = 3
"""Components of PL that we use: point of care, room, bed."""


def pid(patient: Patient, version: str) -> Written:
    """Return PID; a name of type *legal* says so from 2.5 on (XPN-7), one in several scripts repeats (XPN-8)."""
    kind = "L" if version >= "2.5" else ""
    return (
        "PID",
        {
            1: "1",
            3: [patient.id, "", "", patient.issuer, "PI"],
            5: _names(patient.name, kind),
            7: patient.birth_date,
            8: patient.sex or "U",
        },
    )


def _names(name: PersonName, kind: str) -> Value:
    """Return PID-5: one repetition for each representation, the alphabetic first; one alone needs no code."""
    told = name.represented()
    written = [
        [*parts, *[""] * (6 - len(parts)), kind, *([code] if len(told) > 1 else [])]
        for code, parts in told.items()
    ]
    return Rep(written)


def visit(encounter: Encounter | None = None, context: ClinicalContext = NOTHING) -> Written:
    """Return PV1 of an encounter; of an outpatient when none is named."""
    if encounter is None:
        return ("PV1", {1: "1", 2: "O", **of_visit(context)})
    return (
        "PV1",
        {
            1: "1",
            2: encounter.patient_class,
            3: encounter.location.split("^"),
            6: encounter.former.split("^"),
            **of_visit(context),
            19: [encounter.visit, "", "", ISSUER, "VN"],
            44: encounter.began,
            45: encounter.ended,
        },
    )


def patient_message(
    event: str,
    patient: Patient,
    envelope: Envelope,
    *,
    prior: str = "",
    encounter: Encounter | None = None,
    context: ClinicalContext = NOTHING,
) -> bytes:
    """Write ADT of an ``event``; A40 merges ``prior`` into ``patient``, A47 gives the patient another identifier."""
    evn: Written = ("EVN", {1: event, 2: timestamp(envelope.now)})
    segments = [evn, pid(patient, envelope.version)]
    if event in IDENTITY_EVENTS:
        segments.append(("MRG", {1: [prior, "", "", patient.issuer, "PI"]}))
    elif event in PERSON_EVENTS:
        segments.append(("PV1", {1: "1", 2: "N"}))
    else:
        segments += [
            visit(encounter, context),
            *observations(context, envelope.version),
            *allergies(context),
        ]
    return envelope.seal(f"ADT^{event}", segments)


def identifiers(message: Group, place: str) -> list[tuple[str, str]]:
    """Return every valued identifier at ``PID-3`` or ``MRG-1`` with its assigning authority, in the order in which they stand."""
    segment, _, number = place.partition("-")
    found = message.each(segment)
    count = len(found[0].all(number)) if found else 0
    places = [f"{place}[{repetition}]" for repetition in range(1, count + 1)]
    return [(value, message[f"{one}.4.1"]) for one in places if (value := said(message, f"{one}.1"))]


def own(given: list[tuple[str, str]], issuer: str = ISSUER) -> str:
    """Return the identifier that ``issuer`` assigned, else the first without an assigning authority (CX-4)."""
    assigned = [value for value, authority in given if authority == issuer]
    return next(iter([*assigned, *(value for value, authority in given if not authority)]), "")


def whole_day(written: str) -> str:
    """Return the day of a TS (PID-7) as DICOM has it, nothing where HL7 says less than a day: none is made up (PS3.5, DA)."""
    day = written[:_DAY]
    return day if len(day) == _DAY and day.isdigit() else ""


def read_patient(
    message: Group,
    name: Callable[[list[str]], PersonName] = PersonName.from_hl7,
    number: Callable[[str], str] = str,
    choose: Callable[[list[tuple[str, str]]], str] = own,
    born: Callable[[str], str] = whole_day,
    *,
    foreign: bool = False,
) -> Patient:
    """Read PID; of several identifiers the one assigned by our issuer counts, wherever it stands (CX-4).

    ``name`` makes a name of the first five components of XPN, ``number`` a patient ID of what is written, ``choose`` takes
    one of several identifiers, ``born`` a date of birth of PID-7. With ``foreign`` a patient whom only another house numbers is
    taken under its authority. A number that no device could show whole is refused, and never cut (PS3.5 table 6.2-1, LO).
    """
    given = identifiers(message, "PID-3")
    chosen, issuer = choose(given), ISSUER
    if not chosen and foreign and given:
        chosen, issuer = given[0]
    if not chosen:
        raise HL7Error(101, "PID-3", f"no identifier assigned by {ISSUER}")
    if len(chosen) > _LONGEST:
        raise HL7Error(102, "PID-3", f"patient ID {chosen[:40]}… is longer than {_LONGEST} characters (LO)")
    return Patient(
        issuer=issuer,
        id=number(chosen),
        name=read_name(message, name),
        birth_date=born(said(message, "PID-7.1") or ""),
        sex=SEX_FROM_HL7.get(said(message, "PID-8.1") or "", ""),
    )


def read_name(message: Group, name: Callable[[list[str]], PersonName] = PersonName.from_hl7) -> PersonName:
    """Read PID-5 with all its repetitions."""
    segments = message.each("PID")
    places = [f"PID-5[{at}]" for at in range(1, len(segments[0].all("5")) + 1 if segments else 1)]
    return PersonName.represented_as(
        (message[f"{place}.8.1"], name([message[f"{place}.{part}.1"] for part in range(1, 6)]))
        for place in places
    )


def read_encounter(message: Group, patient: str) -> Encounter | None:
    """Read PV1 of an encounter of ``patient``, whose status the receiver keeps; None when no visit number is said."""
    if not (number := said(message, "PV1-19.1")):
        return None
    return Encounter(
        number,
        patient,
        patient_class=message["PV1-2"],
        location=_place(message, "PV1-3"),
        former=_place(message, "PV1-6"),
        began=day_and_time(message["PV1-44.1"]),
        ended=day_and_time(message["PV1-45.1"]),
    )


def _place(message: Group, field: str) -> str:
    return "^".join(message[f"{field}.{part}.1"] for part in range(1, _LOCATION + 1)).rstrip("^")


def read_merge(message: Message) -> tuple[Patient, str]:
    """Return the surviving patient and the prior patient ID of an ADT^A40; the new and the prior one of an A47."""
    return read_patient(message), _identifier(message, "MRG-1", ISSUER)


def _identifier(message: Group, place: str, issuer: str) -> str:
    if not (value := own(identifiers(message, place), issuer)):
        raise HL7Error(101, place, f"no identifier assigned by {issuer}")
    return value
