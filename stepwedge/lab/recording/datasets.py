"""DICOM data sets with every identity replaced: a new data set of the attributes that may stay, and nothing else of the old one.

PS3.15 annex E names what identifies; this list is the other way round and much shorter: what a draft is made from. Private attributes,
pixels, dates, descriptions, institutions, devices and persons are not on it. Of attributes that table E.1-1 names, only those are here
that an invention stands for (its actions D and U), and the sex (0010,0040), as a closed list.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from stepwedge.lab.recording import vocabulary as known
from stepwedge.wire.dictionary import by_keyword

if TYPE_CHECKING:
    from stepwedge.lab.recording.surrogates import Surrogates

DEEPEST: Final = 8
MOST: Final = 5000
"""Items of one sequence that are read."""
_COUNT: Final = re.compile(r"[0-9]{1,5}")
"""A count says little about anybody; more digits could be a number of somebody."""
Treatment = Callable[[str, str, "Surrogates"], Any]


def _stays(values: frozenset[str]) -> Treatment:
    def treat(value: str, patient: str, to: Surrogates) -> str:
        del patient, to
        return "\\".join(one for one in value.split("\\") if one.strip() in values)

    return treat


def _count(value: str, patient: str, to: Surrogates) -> str | None:
    del patient, to
    return value.strip() if _COUNT.fullmatch(value.strip()) else None


def _number(value: str, patient: str, to: Surrogates) -> str:
    del patient
    return to.identifier(value)


def _issuer(value: str, patient: str, to: Surrogates) -> str:
    del patient
    return to.issuer(value)


def _name(value: str, patient: str, to: Surrogates) -> str:
    del patient
    found = to.name(" ".join(value.partition("=")[0].split("^")[:3]))
    return found.dicom() if found else ""


def _born(value: str, patient: str, to: Surrogates) -> str:
    return to.birth_date(value, patient)


def _uid(value: str, patient: str, to: Surrogates) -> str:
    del patient
    return "\\".join(to.uid(one) for one in value.split("\\"))


def _procedure(value: str, patient: str, to: Surrogates) -> str:
    del patient, to
    return value if value in known.procedures() or value in known.REASONS else ""


ATTRIBUTES: Final[dict[str, Treatment]] = {
    "PatientName": _name,
    "PatientID": _number,
    "IssuerOfPatientID": _issuer,
    "PatientBirthDate": _born,
    "PatientSex": _stays(known.SEX),
    "AccessionNumber": _number,
    "PlacerOrderNumberImagingServiceRequest": _number,
    "FillerOrderNumberImagingServiceRequest": _number,
    "RequestedProcedureID": _number,
    "ScheduledProcedureStepID": _number,
    "PerformedProcedureStepID": _number,
    "StudyID": _number,
    "AdmissionID": _number,
    "DeviceSerialNumber": _number,
    "StudyInstanceUID": _uid,
    "SeriesInstanceUID": _uid,
    "SOPInstanceUID": _uid,
    "SOPClassUID": _uid,
    "ReferencedSOPInstanceUID": _uid,
    "ReferencedSOPClassUID": _uid,
    "TransactionUID": _uid,
    "FrameOfReferenceUID": _uid,
    "Modality": _stays(known.MODALITIES),
    "ModalitiesInStudy": _stays(known.MODALITIES),
    "RequestedProcedurePriority": _stays(known.PRIORITY),
    "PerformedProcedureStepStatus": _stays(known.PERFORMED),
    "QueryRetrieveLevel": _stays(known.LEVELS),
    "InstanceAvailability": _stays(known.AVAILABILITY),
    "BurnedInAnnotation": _stays(known.YES_NO),
    "PhotometricInterpretation": _stays(known.PHOTOMETRIC),
    "CodeValue": _procedure,
    "FailureReason": _count,
    "InstanceNumber": _count,
    "SeriesNumber": _count,
    "NumberOfFrames": _count,
    "Rows": _count,
    "Columns": _count,
    "SamplesPerPixel": _count,
    "BitsAllocated": _count,
    "NumberOfStudyRelatedSeries": _count,
    "NumberOfStudyRelatedInstances": _count,
    "NumberOfSeriesRelatedInstances": _count,
}
"""What stays or becomes what; of everything else only the sequences are opened."""
CUT: Final = frozenset(
    {
        "OriginalAttributesSequence",
        "ModifiedAttributesSequence",
        "IconImageSequence",
        "DigitalSignaturesSequence",
    }
)
"""Sequences that are not opened either: what an object said before, small pictures, signatures (PS3.15 table E.1-1, X)."""


def replaced(elements: dict[str, Any], to: Surrogates) -> dict[str, Any]:
    """Return a data set in which nobody is who they were; an attribute that was asked for without a value stays asked for."""
    return _treated(elements, _patient(elements), to, 0)


def _patient(elements: dict[str, Any]) -> str:
    found = elements.get("PatientID")
    return found if isinstance(found, str) else ""


def _treated(elements: dict[str, Any], patient: str, to: Surrogates, deep: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    patient = _patient(elements) or patient
    for keyword, value in elements.items():
        if isinstance(value, list) and deep < DEEPEST and _opens(keyword):
            items = [_treated(one, patient, to, deep + 1) for one in value[:MOST] if isinstance(one, dict)]
            found[keyword] = [one for one in items if one]
        elif treat := ATTRIBUTES.get(keyword):
            text = (
                ""
                if value is None
                else value
                if isinstance(value, str)
                else str(value)
                if isinstance(value, int)
                else None
            )
            if text is not None and (treated := treat(text, patient, to)) is not None:
                found[keyword] = treated
    return found


def _opens(keyword: str) -> bool:
    """Tell whether a keyword is a sequence of the standard, and one that may be opened; private ones have no keyword."""
    found = by_keyword().get(keyword)
    return found is not None and found[1] == "SQ" and keyword not in CUT


_DRAWN_ON: Final = frozenset(("US", "IVUS", "ES", "XC", "GM", "OP", "SC", "OT", "DOC", "RF", "XA", "ECG"))
"""Modalities whose pictures often show whose they are (PS3.15 E.3.1, Clean Pixel Data)."""


def drawn_on(header: dict[str, Any]) -> bool:
    """Tell whether a picture may show, in its pixels, whose it is: it says so itself, or says nothing and is of a kind that often does."""
    said = header.get("BurnedInAnnotation")
    return said == "YES" or (said != "NO" and header.get("Modality") in _DRAWN_ON)
