"""Queries against the archive (PS3.4 annex C, PS3.18 section 10.6): rows of each level, matching, answers. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import LocalProtocolError
from stepwedge.wire.elements import encode, match

from . import narrowing
from .availability import least
from .negotiate import BASELINE, Agreement

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .state import Archive, Instance, Person

Elements = dict[str, Any]

LEVELS: Final = {
    "PATIENT": "PatientID",
    "STUDY": "StudyInstanceUID",
    "SERIES": "SeriesInstanceUID",
    "IMAGE": "SOPInstanceUID",
}
"""Query/Retrieve Levels, highest first, each with its unique key (PS3.4 C.6.1.1 and C.6.2.1)."""

STUDY_KEYS: Final = [
    "StudyInstanceUID",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "StudyDescription",
    "ReferringPhysicianName",
    "ProcedureCodeSequence",
]
SERIES_KEYS: Final = [
    "SeriesInstanceUID",
    "SeriesNumber",
    "SeriesDate",
    "SeriesTime",
    "Modality",
    "SeriesDescription",
    "BodyPartExamined",
    "ProtocolName",
    "StationName",
    "Manufacturer",
    "PatientPosition",
    "FrameOfReferenceUID",
    "RequestAttributesSequence",
    "PerformedProcedureStepID",
    "PerformedProcedureStepStartDate",
    "PerformedProcedureStepStartTime",
    "ReferencedPerformedProcedureStepSequence",
]
IMAGE_KEYS: Final = [
    "SOPInstanceUID",
    "SOPClassUID",
    "InstanceNumber",
    "AcquisitionNumber",
    "AcquisitionDate",
    "AcquisitionTime",
    "ContentDate",
    "ContentTime",
    "ImageType",
    "Rows",
    "Columns",
    "BitsAllocated",
    "NumberOfFrames",
    "ImagePositionPatient",
    "SliceLocation",
]
PATIENT_KEYS: Final = ("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex")
KEPT: Final = frozenset((*PATIENT_KEYS, *STUDY_KEYS, *SERIES_KEYS, *IMAGE_KEYS, "SpecificCharacterSet"))
"""The attributes the index keeps of every instance."""

UTF8: Final = "ISO_IR 192"


def problem(
    level: str, identifier: Elements, model: str, *, retrieval: bool = False, relational: bool = False
) -> str:
    """Say why a query or retrieval is not allowed (PS3.4 C.4.1.2.1, C.4.2.2.1), or nothing.

    A ``relational`` one need not name the entities above its level (PS3.4 C.4.1.2.2.1, C.4.2.2.2).
    """
    levels = list(LEVELS)
    if level not in levels or (model == "STUDY" and level == "PATIENT"):
        return f"Query/Retrieve Level {level!r} does not exist in this model"
    if retrieval and not identifier.get(LEVELS[level]):
        return f"{LEVELS[level]} must say what to retrieve (PS3.4 C.4.2.2.1)"
    if relational:
        return ""
    above = levels[1 if model == "STUDY" else 0 : levels.index(level)]
    for key in (LEVELS[one] for one in above if one != "PATIENT"):
        if not identifier.get(key):
            return f"{key} must have one value at level {level} (PS3.4 C.4.1.2.1)"
    return ""


def select(
    archive: Archive, level: str, identifier: Elements, agreed: Agreement = BASELINE
) -> list[Elements]:
    """Return the rows of one level that match, complete."""
    rows = {"PATIENT": _patients, "STUDY": _studies, "SERIES": _series, "IMAGE": _images}[level]
    habits, identifier = archive.habits, archive.habits.keys(identifier)
    return [
        row
        for row in rows(archive, agreed.literal(identifier))
        if agreed.matches(identifier, row) and habits.answers(identifier, row)
    ]


def answer(row: Elements, identifier: Elements, level: str, ae_title: str) -> Elements:
    """Return what a C-FIND response says about a row: the keys that were asked for, and where to retrieve it from."""
    told = {key: row.get(key, [] if isinstance(wanted, list) else "") for key, wanted in identifier.items()}
    told |= {"QueryRetrieveLevel": level, "RetrieveAETitle": ae_title}
    return with_charset(told, row)


def with_charset(told: Elements, row: Elements) -> Elements:
    """Declare a character set that fits: that of the objects where possible, UTF-8 otherwise."""
    told.pop("SpecificCharacterSet", None)
    term = fitting_charset(told, str(row.get("SpecificCharacterSet", "")))
    return {**told, "SpecificCharacterSet": term} if term else told


def fitting_charset(elements: Elements, preferred: str) -> str:
    """Return the preferred defined term if the elements can be written in it, else UTF-8; none for plain ASCII."""
    if _is_ascii(elements):
        return ""
    for term in ("", preferred):
        try:
            encode({**elements, "SpecificCharacterSet": term}, explicit=True)
        except LocalProtocolError:
            continue
        return term
    return UTF8


def _is_ascii(value: Any) -> bool:
    if isinstance(value, str):
        return value.isascii()
    if isinstance(value, dict):
        return all(map(_is_ascii, value.values()))
    return not isinstance(value, list) or all(map(_is_ascii, value))


def requested(archive: Archive, identifier: Elements) -> list[Instance]:
    """Return the instances that a C-MOVE or C-GET identifier names (PS3.4 C.4.2.1.4.1), in order of their numbers."""
    keys = {key: identifier[key] for key in LEVELS.values() if identifier.get(key)}
    return sorted((one for one, row in _instances(archive, keys) if match(keys, row)), key=_position)


def _position(one: Instance) -> tuple[str, str, int, str]:
    number = str(one.header.get("InstanceNumber", "")).strip()
    return one.study, one.series, int(number) if number.lstrip("-").isdigit() else 0, one.sop


# --- rows, highest level first


def _people(archive: Archive, identifier: Elements) -> Iterable[Person]:
    """Return the patient records that may match and are offered to queries."""
    return [person for person in narrowing.people(archive, identifier) if archive.habits.lists(person)]


def _patients(archive: Archive, identifier: Elements) -> Iterator[Elements]:
    for person in _people(archive, identifier):
        own = _study_uids(archive, [person.key])
        brought = _study_uids(archive, archive.aliases(person.key)[1:])
        if own or brought or person.merged_into:
            count = archive.habits.study_count(len(own), len(brought))
            yield _patient_row(person) | {"NumberOfPatientRelatedStudies": str(count)}


def _patient_row(person: Person) -> Elements:
    return {
        "PatientName": person.name,
        "PatientID": person.id,
        "IssuerOfPatientID": person.issuer if person.id else "",
        "PatientBirthDate": person.birth_date,
        "PatientSex": person.sex,
    }


def _study_uids(archive: Archive, keys: Iterable[str]) -> list[str]:
    return [
        study.uid for key in keys for study in archive.studies.by("patient", key) if archive.shown(study.uid)
    ]


def _studies(archive: Archive, identifier: Elements) -> Iterator[Elements]:
    for uid in narrowing.studies(archive, identifier):
        if instances := archive.shown(uid):
            yield _study_row(archive, instances)


def _study_row(archive: Archive, instances: list[Instance]) -> Elements:
    first = instances[0]
    modality = {one.series: str(one.header.get("Modality", "")) for one in instances}
    return (
        {key: first.header[key] for key in (*STUDY_KEYS, "SpecificCharacterSet") if key in first.header}
        | _patient_row(archive.person_of(first))
        | {
            "ModalitiesInStudy": "\\".join(archive.habits.modalities(list(modality.values()))),
            "SOPClassesInStudy": "\\".join(sorted({one.sop_class for one in instances})),
            "NumberOfStudyRelatedSeries": str(len(modality)),
            "NumberOfStudyRelatedInstances": str(len(instances)),
            "InstanceAvailability": least(archive, instances),
        }
    )


def _series(archive: Archive, identifier: Elements) -> Iterator[Elements]:
    for uid in narrowing.studies(archive, identifier):
        instances = archive.shown(uid)
        if not instances:
            continue
        study = _study_row(archive, instances)
        for series in _by_series(instances).values():
            yield study | _series_row(series)


def _by_series(instances: list[Instance]) -> dict[str, list[Instance]]:
    found: dict[str, list[Instance]] = {}
    for one in instances:
        found.setdefault(one.series, []).append(one)
    return found


def _series_row(instances: list[Instance]) -> Elements:
    header = instances[0].header
    return {key: header[key] for key in SERIES_KEYS if key in header} | {
        "NumberOfSeriesRelatedInstances": str(len(instances))
    }


def _images(archive: Archive, identifier: Elements) -> Iterator[Elements]:
    for _, row in _instances(archive, identifier):
        yield row


def _instances(archive: Archive, identifier: Elements) -> Iterator[tuple[Instance, Elements]]:
    for uid in narrowing.studies(archive, identifier):
        if not (instances := archive.shown(uid)):
            continue
        study = _study_row(archive, instances)
        rows = {series: study | _series_row(several) for series, several in _by_series(instances).items()}
        for one in instances:
            yield one, rows[one.series] | one.header | _patient_row(archive.person_of(one))
