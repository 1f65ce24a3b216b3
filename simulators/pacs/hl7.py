"""The archive's HL7 side: patients (RAD-1, RAD-12) and announced procedures (RAD-4, RAD-13). Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from stepwedge.model.lifecycles import ORDER, IllegalTransition, follow
from stepwedge.sim import hearing
from stepwedge.sim.hl7 import Reply
from stepwedge.sim.messages import (
    PATIENT_EVENTS,
    REPLY_KIND,
    confirmation_segments,
    day_and_time,
    read_items,
    read_merge,
    read_patient,
    said,
)
from stepwedge.wire.hl7 import HL7Error

from . import routing
from .state import Expected, patient_key

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from stepwedge.model.patient import Patient
    from stepwedge.sim.hl7 import Handler
    from stepwedge.sim.messages import Item
    from stepwedge.sim.store import Send
    from stepwedge.wire.hl7 import Message

    from .state import Archive

EVENTS: Final = {
    # ORC-1 of RAD-4 and RAD-13 (HL7 table 0119) to the event of ``lifecycles.ORDER``; XO and SC follow ORC-5.
    "NW": "schedule",
    "CA": "cancel",
    "OC": "cancel",
    "DC": "discontinue",
}
ARRIVALS: Final = frozenset({"ADT^A01", "ADT^A04"})
"""A patient is admitted, or has come as an outpatient (HL7 v2 chapter 3)."""
STATUS_EVENTS: Final = {
    "SC": "schedule",
    "IP": "start",
    "CM": "complete",
    "CA": "cancel",
    "DC": "discontinue",
}


def register(archive: Archive, message: Message, now: datetime) -> Reply:
    """Take ADT^A04 and A08: what the message does not mention stays, the null value removes (ITI TF-2 appendix C)."""
    patient = read_patient(message, foreign=True)
    patient = replace(patient, issuer=archive.habits.issuer(patient.issuer))
    key, happened = patient_key(patient.id, patient.issuer), day_and_time(message["EVN-2.1"])
    if hearing.stale(archive.heard, key, happened, archive.habits.outdated):
        return Reply(text="older than what is known of the patient; not applied")
    _know(archive, message, patient, now)
    if message.type not in ARRIVALS:
        return Reply()
    return Reply(sends=routing.fetch_ahead(archive, key, routing.ARRIVED))


def merge(archive: Archive, message: Message, now: datetime) -> Reply:
    """Take ADT^A40; an unknown survivor makes it a change of identifier, an unknown prior is no error (ITI-30)."""
    survivor, prior = read_merge(message)
    survivor = archive.habits.stays(survivor)
    if not archive.habits.merges_into_unknown(patient_key(survivor.id, survivor.issuer) in archive.people):
        raise HL7Error(204, "PID-3", f"patient {survivor.id} is not known")
    _know(archive, message, survivor, now)
    if problem := archive.merge(patient_key(survivor.id, survivor.issuer), patient_key(prior), moment(now)):
        raise HL7Error(204, "MRG-1", problem)
    return Reply()


def change_identifier(archive: Archive, message: Message, now: datetime) -> Reply:
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
    _know(archive, message, patient, now)
    if problem := archive.merge(new, old, moment(now)):
        raise HL7Error(204, "MRG-1", problem)
    return Reply()


def moment(now: datetime) -> str:
    """Return a time as DICOM DT (PS3.5 table 6.2-1)."""
    return now.strftime("%Y%m%d%H%M%S.%f%z")


def _know(archive: Archive, message: Message, patient: Patient, now: datetime) -> None:
    archive.update(
        patient.id,
        patient.issuer,
        {
            "name": None if said(message, "PID-5.1") is None else archive.habits.names(patient.name.dicom()),
            "birth_date": None if said(message, "PID-7.1") is None else patient.birth_date,
            "sex": None if said(message, "PID-8.1") is None else patient.sex,
        },
        moment(now),
    )


def announce(archive: Archive, message: Message, now: datetime) -> Reply:
    """Take ORM^O01 with ZDS and OMI^O23 with IPC: keep what is expected for each accession number."""
    patient = read_patient(message)
    if patient_key(patient.id, patient.issuer) not in archive.people:
        _know(archive, message, patient, now)
    for item in read_items(message):
        if not item.accession:
            raise HL7Error(101, "OBR-18", "a procedure needs an accession number")
        _expect(archive, item, patient_key(patient.id, patient.issuer))
    sends = [send for item in read_items(message) if item.control == "NW" for send in _priors(archive, item)]
    return Reply(type=REPLY_KIND.get(message.type), segments=confirmation_segments(message), sends=sends)


def _priors(archive: Archive, item: Item) -> list[Send]:
    """Return what is fetched ahead for a procedure that was announced."""
    expected = archive.expected[item.accession or ""]
    return routing.fetch_ahead(archive, expected.patient, routing.ORDERED, expected.study)


def _expect(archive: Archive, item: Item, patient: str) -> None:
    """Put one item in; values it does not mention stay, and a state that cannot follow is left as it is."""
    accession = item.accession or ""
    if item.study and archive.habits.refuses_study(_owner(archive, item.study, patient)):
        raise HL7Error(205, "IPC-3", f"study {item.study} is another patient's")
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
    if item.study and item.control in {"NW", "XO"}:
        archive.adopt(item.study, accession, patient)
    archive.expected[accession] = replace(old, patient=patient, control=item.control, status=status, **known)


def _owner(archive: Archive, study: str, patient: str) -> str:
    """Return the patient other than ``patient`` who has this study, announced or stored; empty when nobody has."""
    owners = [one.patient for one in archive.expected.by("study", study)]
    if (stored := archive.studies.get(study)) is not None and stored.accession:
        owners.append(stored.patient)
    ours = archive.survivor(patient)
    return next((one for one in owners if archive.survivor(one) != ours), "")


HANDLERS: Final[Mapping[str, Handler]] = {
    **{f"ADT^{event}": register for event in PATIENT_EVENTS},
    "ADT^A40": merge,
    "ADT^A47": change_identifier,
    "ORM^O01": announce,
    "OMI^O23": announce,
}
