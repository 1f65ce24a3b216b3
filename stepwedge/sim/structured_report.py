"""A report as a DICOM object: Basic Text SR (PS3.3 A.35.1), with its evidence, its author and the document it follows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from stepwedge.sim.structured import coded, container, dcm, item
from stepwedge.sim.structured import text as paragraph

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

BASIC_TEXT_SR: Final = "1.2.840.10008.5.1.4.1.1.88.11"
_TITLE: Final = ("11528-7", "LN", "Radiology Report")
_FINDINGS: Final = dcm("121070", "Findings")
_FINDING: Final = dcm("121071", "Finding")
_OBSERVER: Final = dcm("121008", "Person Observer Name")

Elements = dict[str, Any]


def basic_text_sr(
    study: Mapping[str, Any],
    *,
    text: str,
    series: str,
    sop: str,
    number: int,
    author: str,
    now: datetime,
    final: bool,
    evidence: Iterable[Mapping[str, str]],
    order: Mapping[str, Any],
    predecessor: Mapping[str, str] | None = None,
) -> Elements:
    """Return the data set of one version of a report.

    Args:
        study: the archive's answer about the study that is reported (C-FIND, STUDY level).
        number: version of the report, from 1.
        now: when it is signed.
        final: whether it is verified.
        text: one paragraph a line; each becomes a TEXT item.
        series: Series Instance UID of the report.
        sop: its SOP Instance UID.
        author: DICOM PN of the one who signs; verified only when ``final`` (PS3.3 C.17.2).
        evidence: ``{series, sop, sop_class}`` of every image of the study.
        order: placer, filler, procedure code and text, as far as known.
        predecessor: ``{series, sop}`` of the version before (0040,A360).
    """
    date, time = f"{now:%Y%m%d}", f"{now:%H%M%S}"
    uid = str(study["StudyInstanceUID"])
    words = (text, author, *(str(value) for value in study.values() if isinstance(value, str)))
    return {
        **({} if all(word.isascii() for word in words) else {"SpecificCharacterSet": "ISO_IR 192"}),
        "SOPClassUID": BASIC_TEXT_SR,
        "SOPInstanceUID": sop,
        "InstanceCreationDate": date,
        "InstanceCreationTime": time,
        **{
            key: study.get(key, "")
            for key in (
                "PatientName",
                "PatientID",
                "PatientBirthDate",
                "PatientSex",
                "StudyDate",
                "StudyTime",
            )
        },
        **({"IssuerOfPatientID": study["IssuerOfPatientID"]} if study.get("IssuerOfPatientID") else {}),
        **{key: study.get(key, "") for key in ("StudyID", "AccessionNumber", "StudyDescription")},
        "ReferringPhysicianName": "",
        "StudyInstanceUID": uid,
        "Modality": "SR",
        "SeriesInstanceUID": series,
        "SeriesNumber": "900",
        "SeriesDescription": "Report",
        "ReferencedPerformedProcedureStepSequence": [],
        "Manufacturer": "Stepwedge",
        "ManufacturerModelName": "Simulated reading workstation",
        "InstanceNumber": str(number),
        "ContentDate": date,
        "ContentTime": time,
        "CompletionFlag": "COMPLETE",
        "VerificationFlag": "VERIFIED" if final else "UNVERIFIED",
        **({"VerifyingObserverSequence": [_verified(author, date + time)]} if final else {}),
        **({"PredecessorDocumentsSequence": [_former(uid, predecessor)]} if predecessor else {}),
        "ReferencedRequestSequence": [_request(uid, study, order)],
        "PerformedProcedureCodeSequence": [],
        "CurrentRequestedProcedureEvidenceSequence": [_evidence(uid, evidence)],
        **container(
            _TITLE,
            item("PNAME", _OBSERVER, "HAS OBS CONTEXT", PersonName=author),
            container(_FINDINGS, *(paragraph(_FINDING, line) for line in text.split("\n") if line)),
            relation="",
        ),
    }


def _verified(author: str, at: str) -> Elements:
    return {
        "VerifyingOrganization": "STEPWEDGE",
        "VerificationDateTime": at,
        "VerifyingObserverName": author,
        "VerifyingObserverIdentificationCodeSequence": [],
    }


def _former(study: str, document: Mapping[str, str]) -> Elements:
    item = {"ReferencedSOPClassUID": BASIC_TEXT_SR, "ReferencedSOPInstanceUID": document["sop"]}
    return {
        "StudyInstanceUID": study,
        "ReferencedSeriesSequence": [
            {"SeriesInstanceUID": document["series"], "ReferencedSOPSequence": [item]}
        ],
    }


def _request(uid: str, study: Mapping[str, Any], order: Mapping[str, Any]) -> Elements:
    """Return the request that the report answers; of what is not known the value is left empty (type 2)."""
    procedure = str(order.get("procedure") or "")
    text = str(order.get("text") or study.get("StudyDescription") or procedure)
    return {
        "StudyInstanceUID": uid,
        "ReferencedStudySequence": [],
        "AccessionNumber": study.get("AccessionNumber", ""),
        "PlacerOrderNumberImagingServiceRequest": str(order.get("placer") or ""),
        "FillerOrderNumberImagingServiceRequest": str(order.get("filler") or ""),
        "RequestedProcedureID": "",
        "RequestedProcedureDescription": text,
        "RequestedProcedureCodeSequence": [coded((procedure, "99SW", text))] if procedure else [],
    }


def _evidence(study: str, images: Iterable[Mapping[str, str]]) -> Elements:
    by_series: dict[str, list[Elements]] = {}
    for image in images:
        by_series.setdefault(image["series"], []).append(
            {"ReferencedSOPClassUID": image["sop_class"], "ReferencedSOPInstanceUID": image["sop"]}
        )
    return {
        "StudyInstanceUID": study,
        "ReferencedSeriesSequence": [
            {"SeriesInstanceUID": series, "ReferencedSOPSequence": items}
            for series, items in by_series.items()
        ],
    }
