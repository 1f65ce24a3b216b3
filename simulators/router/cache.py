"""Queries against the objects in the cache (PS3.4 annex C): rows of each level, matching, answers. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from stepwedge.wire.elements import match

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .state import Held, Router

Elements = dict[str, Any]

LEVELS: Final = {
    "PATIENT": "PatientID",
    "STUDY": "StudyInstanceUID",
    "SERIES": "SeriesInstanceUID",
    "IMAGE": "SOPInstanceUID",
}
"""Query/Retrieve Levels, highest first, each with its unique key (PS3.4 C.6.1.1 and C.6.2.1)."""
KEPT: Final = frozenset(
    (
        "SpecificCharacterSet",
        *("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex"),
        *("StudyInstanceUID", "StudyID", "StudyDate", "StudyTime", "AccessionNumber", "StudyDescription"),
        *("ReferringPhysicianName", "ProcedureCodeSequence", "RequestAttributesSequence"),
        *("SeriesInstanceUID", "SeriesNumber", "Modality", "SeriesDescription", "BodyPartExamined"),
        *("StationName", "SOPInstanceUID", "SOPClassUID", "InstanceNumber", "ImageType"),
    )
)
"""The attributes kept of every object, all of them matching and return keys."""


def problem(level: str, identifier: Elements, model: str, *, retrieval: bool = False) -> str:
    """Say why a hierarchical query or retrieval is not allowed (PS3.4 C.4.1.2.1, C.4.2.2.1), or nothing."""
    levels = list(LEVELS)
    if level not in levels or (model == "STUDY" and level == "PATIENT"):
        return f"Query/Retrieve Level {level!r} does not exist in this model"
    above = levels[1 : levels.index(level)] + ([level] if retrieval else [])
    missing = next((LEVELS[one] for one in above if not identifier.get(LEVELS[one])), "")
    return f"{missing} is needed at level {level} (PS3.4 C.4.1.2.1)" if missing else ""


def answers(router: Router, level: str, identifier: Elements, ae_title: str) -> Iterator[Elements]:
    """Yield what C-FIND responses say: the keys that were asked for, of every row that matches."""
    for row in _rows(router, level, identifier):
        if match(identifier, row):
            told = {
                key: row.get(key, [] if isinstance(wanted, list) else "")
                for key, wanted in identifier.items()
            }
            told.pop("SpecificCharacterSet", None)
            charset = {key: row[key] for key in ("SpecificCharacterSet",) if row.get(key)}
            yield told | charset | {"QueryRetrieveLevel": level, "RetrieveAETitle": ae_title}


def requested(router: Router, identifier: Elements) -> list[Held]:
    """Return the objects that a C-MOVE or C-GET identifier names, in the order they came."""
    keys = {key: identifier[key] for key in LEVELS.values() if identifier.get(key)}
    return [one for one in _candidates(router, keys) if match(keys, one.header)]


def _candidates(router: Router, identifier: Elements) -> list[Held]:
    """Return the objects that may match, by the study where it is named."""
    if uids := str(identifier.get("StudyInstanceUID") or ""):
        return [one for uid in uids.split("\\") for one in router.held.by("study", uid)]
    return list(router.held.values())


def _rows(router: Router, level: str, identifier: Elements) -> Iterator[Elements]:
    groups: dict[str, list[Held]] = {}
    for one in _candidates(router, identifier):
        groups.setdefault(str(one.header.get(LEVELS[level], "")), []).append(one)
    for several in groups.values():
        yield several[0].header | _counted(level, several)


def _counted(level: str, several: list[Held]) -> Elements:
    """Return what is computed for a row; the counts are of the cache, which may hold a part of a study."""
    if level == "PATIENT":
        return {"NumberOfPatientRelatedStudies": str(len({one.study for one in several}))}
    if level == "STUDY":
        modalities = sorted({str(one.header.get("Modality", "")) for one in several})
        return {
            "ModalitiesInStudy": "\\".join(modalities),
            "SOPClassesInStudy": "\\".join(sorted({one.sop_class for one in several})),
            "NumberOfStudyRelatedSeries": str(len({one.series for one in several})),
            "NumberOfStudyRelatedInstances": str(len(several)),
            "InstanceAvailability": "ONLINE",
        }
    return {"NumberOfSeriesRelatedInstances": str(len(several))} if level == "SERIES" else {}
