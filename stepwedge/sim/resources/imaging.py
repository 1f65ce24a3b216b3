"""Studies of an archive as FHIR R4 ImagingStudy (hl7.org/fhir/R4/imagingstudy.html), from attributes of their images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from stepwedge.model.patient import Patient, PersonName
from stepwedge.sim.resources import naming
from stepwedge.sim.resources.people import patient_resource

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stepwedge.wire.fhir import Resource

URI: Final = "urn:ietf:rfc:3986"
"""System of a SOP class coding, whose code is ``urn:oid:`` and the UID (ImagingStudy.series.instance.sopClass)."""
_STAMP: Final = len("YYYYMMDDHHMMSS")


def started(header: Mapping[str, Any], date: str, time: str) -> str | None:
    """Return a DICOM date and time as dateTime; a date alone, or one whose time cannot be read, as date."""
    day, clock = str(header.get(date, "")), str(header.get(time, "")).partition(".")[0].ljust(6, "0")
    return naming.date_time(f"{day}{clock}"[:_STAMP]) or naming.date_time(day)


def whole(text: Any) -> int | None:
    """Return a DICOM IS as the number it is; None when it is no whole number of 0 or more."""
    written = str(text).strip()
    return int(written) if written.isascii() and written.isdigit() else None


def imaging_study(
    study: str,
    instances: Sequence[Mapping[str, Any]],
    *,
    subject: Resource,
    accession: str,
    placer: str,
    modalities: Sequence[str],
) -> Resource:
    """Return a study with its series and instances.

    Args:
        study: Study Instance UID.
        instances: a header of each instance, with SOPInstanceUID, SOPClassUID and SeriesInstanceUID, counted as it is.
        subject: reference to the patient under whom the archive has the study now.
        accession: accession number; empty when it has none.
        placer: placer order number of the order it was made for; empty when the archive was told of none.
        modalities: Modalities in Study.
    """
    first = instances[0]
    series: dict[str, list[Mapping[str, Any]]] = {}
    for one in instances:
        series.setdefault(str(one["SeriesInstanceUID"]), []).append(one)
    told = {
        "resourceType": "ImagingStudy",
        "id": naming.logical_id(study),
        "identifier": [naming.study(study), *([naming.accession(accession)] if accession else [])],
        "status": "available",
        "modality": [{"system": naming.DCM, "code": code} for code in modalities if code],
        "subject": subject,
        "started": started(first, "StudyDate", "StudyTime"),
        "basedOn": [{"type": "ServiceRequest", "identifier": naming.placer(placer)}] if placer else None,
        "numberOfSeries": len(series),
        "numberOfInstances": len(instances),
        "description": str(first.get("StudyDescription", "")) or None,
        "series": [_series(uid, several) for uid, several in series.items()],
    }
    return _there(told)


def _series(uid: str, instances: Sequence[Mapping[str, Any]]) -> Resource:
    first = instances[0]
    told: Resource = {
        "uid": uid,
        "number": whole(first.get("SeriesNumber")),
        "modality": {"system": naming.DCM, "code": str(first.get("Modality", "")) or "OT"},
        "description": str(first.get("SeriesDescription", "")) or None,
        "numberOfInstances": len(instances),
        "started": started(first, "SeriesDate", "SeriesTime"),
        "instance": [_instance(one) for one in instances],
    }
    return _there(told)


def _instance(header: Mapping[str, Any]) -> Resource:
    return _there(
        {
            "uid": str(header["SOPInstanceUID"]),
            "sopClass": {"system": URI, "code": f"urn:oid:{header['SOPClassUID']}"},
            "number": whole(header.get("InstanceNumber")),
        }
    )


def _there(resource: Resource) -> Resource:
    return {key: value for key, value in resource.items() if value not in (None, [])}


def archived_patient(
    id_: str, number: str, name: str, birth_date: str, sex: str, merged_into: str
) -> Resource:
    """Return a patient as the archive files it; ``name`` is a DICOM PN value."""
    patient = Patient(number, PersonName.from_dicom(name), birth_date, sex, merged_into=merged_into)
    return _there({**patient_resource(patient), "id": id_})
