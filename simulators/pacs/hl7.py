"""The archive's HL7 side: patients (RAD-1, RAD-12) and announced procedures (RAD-4, RAD-13). Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from stepwedge.model.lifecycles import ORDER, IllegalTransition, follow
from stepwedge.sim.hl7 import Reply
from stepwedge.sim.messages import (
    REPLY_KIND,
    confirmation_segments,
    read_items,
    read_merge,
    read_patient,
    said,
)
from stepwedge.wire.hl7 import HL7Error

from .state import Expected, patient_key

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from stepwedge.model.patient import Patient
    from stepwedge.sim.hl7 import Handler
    from stepwedge.sim.messages import Item
    from stepwedge.wire.hl7 import Message

    from .state import Archive

REGISTERS: Final = (
    "A01",
    "A02",
    "A03",
    "A04",
    "A05",
    "A06",
    "A07",
    "A08",
    "A11",
    "A12",
    "A13",
    "A23",
    "A28",
    "A31",
)
"""ADT events that say who a patient is; the archive keeps no encounters, (0038,0010) comes with the images."""
EVENTS: Final = {
    # ORC-1 of RAD-4 and RAD-13 (HL7 table 0119) to the event of ``lifecycles.ORDER``; XO and SC follow ORC-5.
    "NW": "schedule",
    "CA": "cancel",
    "OC": "cancel",
    "DC": "discontinue",
}
STATUS_EVENTS: Final = {
    "SC": "schedule",
    "IP": "start",
    "CM": "complete",
    "CA": "cancel",
    "DC": "discontinue",
}


def register(archive: Archive, message: Message, _now: datetime) -> Reply:
    """Take ADT^A04 and A08: what the message does not mention stays, the null value removes (ITI TF-2 appendix C)."""
    _know(archive, message, read_patient(message))
    return Reply()


def merge(archive: Archive, message: Message, _now: datetime) -> Reply:
    """Take ADT^A40; an unknown survivor makes it a change of identifier, an unknown prior is no error (ITI-30)."""
    survivor, prior = read_merge(message)
    _know(archive, message, survivor)
    if problem := archive.merge(patient_key(survivor.id, survivor.issuer), patient_key(prior)):
        raise HL7Error(204, "MRG-1", problem)
    return Reply()


def change_identifier(archive: Archive, message: Message, _now: datetime) -> Reply:
    """Take ADT^A47: another identifier of a patient; one that another record has is an error (ITI-30 3.30.6.5.4)."""
    patient, prior = read_merge(message)
    new, old = patient_key(patient.id, patient.issuer), patient_key(prior)
    if not archive.habits.changes_identifiers(prior):
        raise HL7Error(207, "MRG-1", "the identifier could not be changed")
    if old not in archive.people or archive.people[old].merged_into == new:
        return Reply()
    if new in archive.people:
        says = f"patient {patient.id} is here already; a merge should have been sent instead"
        if archive.habits.admits_failure(says):
            raise HL7Error(205, "PID-3", says)
        return Reply()
    _know(archive, message, patient)
    if problem := archive.merge(new, old):
        raise HL7Error(204, "MRG-1", problem)
    return Reply()


def _know(archive: Archive, message: Message, patient: Patient) -> None:
    archive.update(
        patient.id,
        patient.issuer,
        {
            "name": None if said(message, "PID-5.1") is None else archive.habits.names(patient.name.dicom()),
            "birth_date": None if said(message, "PID-7.1") is None else patient.birth_date,
            "sex": None if said(message, "PID-8.1") is None else patient.sex,
        },
    )


def announce(archive: Archive, message: Message, _now: datetime) -> Reply:
    """Take ORM^O01 with ZDS and OMI^O23 with IPC: keep what is expected for each accession number."""
    patient = read_patient(message)
    if patient_key(patient.id, patient.issuer) not in archive.people:
        _know(archive, message, patient)
    for item in read_items(message):
        if not item.accession:
            raise HL7Error(101, "OBR-18", "a procedure needs an accession number")
        _expect(archive, item, patient_key(patient.id, patient.issuer))
    return Reply(type=REPLY_KIND.get(message.type), segments=confirmation_segments(message))


def _expect(archive: Archive, item: Item, patient: str) -> None:
    """Put one item in; values it does not mention stay, and a state that cannot follow is left as it is."""
    accession = item.accession or ""
    old = archive.expected.get(accession) or Expected(accession, patient, status="ordered")
    known = {
        name: value
        for name in ("study", "placer", "filler", "start", "station", "text")
        if (value := getattr(item, name)) is not None
    }
    event = EVENTS.get(item.control) or STATUS_EVENTS.get(item.status or "", "")
    try:
        status = follow(ORDER, old.status, event) if event else old.status
    except IllegalTransition:
        status = old.status
    archive.expected[accession] = replace(old, patient=patient, control=item.control, status=status, **known)


HANDLERS: Final[Mapping[str, Handler]] = {
    **{f"ADT^{event}": register for event in REGISTERS},
    "ADT^A40": merge,
    "ADT^A47": change_identifier,
    "ORM^O01": announce,
    "OMI^O23": announce,
}
