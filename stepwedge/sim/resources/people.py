"""Patients and encounters as FHIR R4 (hl7.org/fhir/R4/patient.html, encounter.html)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stepwedge.model.patient import Patient, PersonName
from stepwedge.sim.resources import naming
from stepwedge.wire import fhir
from stepwedge.wire.fhir import refused

if TYPE_CHECKING:
    from stepwedge.model.encounter import Encounter
    from stepwedge.wire.fhir import Resource

GENDER: Final = {"F": "female", "M": "male", "O": "other", "U": "unknown"}
"""DICOM (0010,0040) and HL7 table 0001 to AdministrativeGender."""
SEX: Final = {"female": "F", "male": "M", "other": "O", "unknown": ""}
ENCOUNTER_STATUS: Final = {
    # A state of ``lifecycles.ENCOUNTER`` to EncounterStatus.
    "planned": "planned",
    "active": "in-progress",
    "discharged": "finished",
    "cancelled": "cancelled",
    "deleted": "entered-in-error",
}
CLASS: Final = {"I": ("IMP", "inpatient encounter"), "O": ("AMB", "ambulatory"), "E": ("EMER", "emergency")}
"""PV1-2 (HL7 table 0004) to v3 ActCode."""
ACT_CODE: Final = "http://terminology.hl7.org/CodeSystem/v3-ActCode"


def patient_resource(patient: Patient) -> Resource:
    """Return a patient; a record merged away is inactive and replaced by the survivor."""
    gone = patient.merged_into
    link = (
        [{"other": naming.refer("Patient", gone, naming.mrn(gone)), "type": "replaced-by"}] if gone else None
    )
    return {
        "resourceType": "Patient",
        "id": naming.logical_id(patient.id),
        "identifier": [naming.mrn(patient.id)],
        "active": not gone,
        "name": [human_name(patient.name)] if patient.name.dicom() else None,
        "gender": GENDER.get(patient.sex, "unknown"),
        "birthDate": naming.date_time(patient.birth_date[:8]),
        "link": link,
    }


def human_name(name: PersonName) -> Resource:
    """Return a name; given and middle are the given names, in this order."""
    told: Resource = {"use": "official", "text": name.spoken()}
    for key, values in (
        ("given", [name.given, name.middle]),
        ("prefix", [name.prefix]),
        ("suffix", [name.suffix]),
    ):
        if there := [value for value in values if value]:
            told[key] = there
    return told | ({"family": name.family} if name.family else {})


def read_patient(resource: Resource) -> Patient:
    """Read a patient; the medical record number is the identifier of type MR, or the only one."""
    number = naming.typed(resource, "MR")
    values = [str(one.get("value", "")) for one in fhir.at(resource, "identifier")]
    if not number and len(values) == 1:
        number = values[0]
    if not number:
        raise refused(422, "required", "a medical record number (type MR) is needed", "Patient.identifier")
    name: Resource = next(iter(fhir.at(resource, "name")), {})
    given = [str(one) for one in name.get("given", ())]
    person = PersonName(
        family=str(name.get("family", "")),
        given=given[0] if given else "",
        middle=" ".join(given[1:]),
        prefix=" ".join(name.get("prefix", ())),
        suffix=" ".join(name.get("suffix", ())),
    )
    birth_date = naming.stamp(str(resource.get("birthDate", "")))
    return Patient(number, person, birth_date, SEX.get(str(resource.get("gender", "")), ""))


def patient_reference(patient: str, name: str = "") -> Resource:
    """Return a reference to a patient, with the number by which every system knows them."""
    return naming.refer("Patient", patient, naming.mrn(patient), name)


def encounter_resource(encounter: Encounter) -> Resource:
    """Return a stay or visit."""
    code, display = CLASS.get(encounter.patient_class, ("AMB", "ambulatory"))
    began, ended = naming.date_time(encounter.began), naming.date_time(encounter.ended)
    period = {key: value for key, value in (("start", began), ("end", ended)) if value}
    place = encounter.location.replace("^", " ").strip()
    return {
        "resourceType": "Encounter",
        "id": naming.logical_id(encounter.visit),
        "identifier": [naming.visit(encounter.visit)],
        "status": ENCOUNTER_STATUS.get(encounter.status, "unknown"),
        "class": {"system": ACT_CODE, "code": code, "display": display},
        "subject": patient_reference(encounter.patient),
        "period": period or None,
        "location": [{"location": {"display": place}}] if place else None,
    }


def encounter_reference(visit: str) -> Resource:
    """Return a reference to an encounter."""
    return naming.refer("Encounter", visit, naming.visit(visit))
