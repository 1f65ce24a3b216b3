"""Key object selection documents (PS3.3 A.35.4, PS3.16 TID 2010): key images, and the rejection notes of RAD-66."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

Elements = dict[str, Any]

KEY_OBJECT_SELECTION: Final = "1.2.840.10008.5.1.4.1.1.88.59"
REJECTIONS: Final = {
    # the titles of RAD-66, IHE RAD TF-3 4.66.4.1
    "113001": "Rejected for Quality Reasons",
    "113037": "Rejected for Patient Safety Reasons",
    "113038": "Incorrect Modality Worklist Entry",
    "113039": "Data Retention Policy Expired",
}
TITLES: Final = {
    # further titles of CID 7010 (DCM)
    "113000": "Of Interest",
    "113002": "For Referring Provider",
    "113003": "For Surgery",
    "113004": "For Teaching",
    "113009": "For Peer Review",
    **REJECTIONS,
}
PATIENT_AND_STUDY: Final = (
    # what a new object of a study repeats (PS3.3 C.7.1.1 and C.7.2.1), type 2 where it is empty
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
    "StudyID",
    "AccessionNumber",
)
KEPT: Final = ("SpecificCharacterSet", "IssuerOfPatientID", "StudyDescription")
"""Repeated where the study has them."""


def title_of(code: str) -> str:
    """Return the meaning of a document title; raises BadInput for a code that is none."""
    if code not in TITLES:
        raise BadInput("title", f"a code of CID 7010: {', '.join(TITLES)}", repr(code))
    return TITLES[code]


def of_study(study: Mapping[str, Any]) -> Elements:
    """Return patient and study of a new object, as another object or a query's answer has them."""
    return {key: str(study.get(key) or "") for key in PATIENT_AND_STUDY} | {
        key: study[key] for key in KEPT if study.get(key)
    }


def equipment(name: str) -> Elements:
    """Return General Equipment (PS3.3 C.7.5.1) of a system of ours."""
    return {
        "Manufacturer": "Stepwedge",
        "StationName": name.upper()[:16],
        "ManufacturerModelName": "Simulated workstation",
        "DeviceSerialNumber": "1",
        "SoftwareVersions": "1",
    }


def evidence(study: str, images: Sequence[Mapping[str, Any]]) -> list[Elements]:
    """Return Hierarchical SOP Instance Reference (PS3.3 table C.17-3a) to images of one study."""
    series: dict[str, list[Elements]] = {}
    for image in images:
        series.setdefault(str(image["SeriesInstanceUID"]), []).append(reference(image))
    return [
        {
            "ReferencedSeriesSequence": [
                {"ReferencedSOPSequence": items, "SeriesInstanceUID": uid} for uid, items in series.items()
            ],
            "StudyInstanceUID": study,
        }
    ]


def reference(image: Mapping[str, Any]) -> Elements:
    """Return one item of a sequence that refers to SOP instances."""
    return {
        "ReferencedSOPClassUID": str(image["SOPClassUID"]),
        "ReferencedSOPInstanceUID": str(image["SOPInstanceUID"]),
    }


def selection(
    title: str,
    study: Mapping[str, Any],
    images: Sequence[Mapping[str, Any]],
    uids: tuple[str, str],
    at: datetime,
    *,
    maker: str,
    number: int = 1,
    text: str = "",
) -> Elements:
    """Return a key object selection document as Elements.

    Args:
        title: code value of the document title, a key of ``TITLES``.
        study: an object of the study, or a query's answer: the document belongs to its patient and study.
        images: at least one, each with its SOP Class, SOP Instance and Series Instance UID.
        uids: Series and SOP Instance UID of the document.
        at: when it is made.
        maker: name of the system that makes it.
        number: Series Number.
        text: what a person says about the selection (TID 2010, Key Object Description).
    """
    meaning = title_of(title)
    if not images:
        raise BadInput("images", "at least one image to select", "none")
    series, sop = uids
    date, time = f"{at:%Y%m%d}", f"{at:%H%M%S}"
    content = [
        {
            "RelationshipType": "CONTAINS",
            "ValueType": _value_type(image),
            "ReferencedSOPSequence": [reference(image)],
        }
        for image in images
    ]
    if text:
        described = {
            "RelationshipType": "CONTAINS",
            "ValueType": "TEXT",
            "ConceptNameCodeSequence": _code("113012", "Key Object Description"),
            "TextValue": text,
        }
        content.insert(0, described)
    return {
        **of_study(study),
        **equipment(maker),
        "SOPClassUID": KEY_OBJECT_SELECTION,
        "SOPInstanceUID": sop,
        "Modality": "KO",
        "SeriesInstanceUID": series,
        "SeriesNumber": str(number),
        "SeriesDate": date,
        "SeriesTime": time,
        "ReferencedPerformedProcedureStepSequence": [],
        "InstanceNumber": "1",
        "ContentDate": date,
        "ContentTime": time,
        "CurrentRequestedProcedureEvidenceSequence": evidence(str(study["StudyInstanceUID"]), images),
        "ValueType": "CONTAINER",
        "ConceptNameCodeSequence": _code(title, meaning),
        "ContinuityOfContent": "SEPARATE",
        "ContentTemplateSequence": [{"MappingResource": "DCMR", "TemplateIdentifier": "2010"}],
        "ContentSequence": content,
    }


def _value_type(image: Mapping[str, Any]) -> str:
    """Return the value type by which TID 2010 refers to an object: documents and presentation states are COMPOSITE."""
    sop_class = str(image["SOPClassUID"])
    documents = ("1.2.840.10008.5.1.4.1.1.88.", "1.2.840.10008.5.1.4.1.1.104.", "1.2.840.10008.5.1.4.1.1.11.")
    return "COMPOSITE" if sop_class.startswith(documents) else "IMAGE"


def _code(value: str, meaning: str) -> list[Elements]:
    return [{"CodeValue": value, "CodingSchemeDesignator": "DCM", "CodeMeaning": meaning}]
