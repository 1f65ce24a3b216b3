"""Reports as FHIR R4: DiagnosticReport, and one Observation that holds its text (hl7.org/fhir/R4/diagnosticreport.html)."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final

from stepwedge.sim.resources import naming
from stepwedge.sim.resources.orders import PROCEDURES
from stepwedge.sim.resources.people import encounter_reference, patient_reference

if TYPE_CHECKING:
    from stepwedge.model.order import Order
    from stepwedge.model.report import Report
    from stepwedge.wire.fhir import Resource

SECTIONS: Final = "http://terminology.hl7.org/CodeSystem/v2-0074"
CATEGORY: Final = "http://terminology.hl7.org/CodeSystem/observation-category"
LOINC: Final = "http://loinc.org"
OBSERVATION_STATUS: Final = {"appended": "amended", "partial": "preliminary"}
"""DiagnosticReportStatus to ObservationStatus, where the word is not the same."""


def report_status(report: Report) -> str:
    """Return DiagnosticReportStatus: an addendum to a signed report makes it *appended*, a correction *corrected*."""
    current = next((one.kind for one in reversed(report.versions) if not one.late), "")
    if report.status == "cancelled":
        return "cancelled"
    if current == "addendum":
        return "appended"
    return report.status if report.status in {"preliminary", "final", "corrected"} else "registered"


def diagnostic_report(report: Report, order: Order, status: str) -> Resource:
    """Return a report as it is read now; its earlier versions are those of the resource."""
    author = next((one.author for one in reversed(report.versions) if one.author and not one.late), "")
    issued = next((naming.date_time(one.at) for one in reversed(report.versions) if not one.late), None)
    study = report.study or order.study
    text = report.text
    return {
        "resourceType": "DiagnosticReport",
        "id": naming.logical_id(report.filler),
        "identifier": _numbers(report, order),
        "basedOn": [naming.refer("ServiceRequest", order.placer, naming.placer(order.placer))],
        "status": status,
        "category": [naming.code(SECTIONS, "RAD", "Radiology")],
        "code": naming.code(PROCEDURES, order.procedure, order.text),
        "subject": patient_reference(report.patient),
        "encounter": encounter_reference(order.visit) if order.visit else None,
        "issued": issued if issued and "T" in issued else None,
        "resultsInterpreter": [{"display": _spoken(author)}] if author else None,
        "result": [naming.refer("Observation", report.filler)],
        "imagingStudy": [naming.refer("ImagingStudy", study, naming.study(study))] if study else None,
        "conclusion": text or None,
        "presentedForm": [
            {"contentType": "text/plain; charset=utf-8", "data": base64.b64encode(text.encode()).decode()}
        ]
        if text
        else None,
    }


def observation(report: Report, order: Order, status: str) -> Resource:
    """Return the text of a report as observation."""
    return {
        "resourceType": "Observation",
        "id": naming.logical_id(report.filler),
        "identifier": _numbers(report, order),
        "basedOn": [naming.refer("ServiceRequest", order.placer, naming.placer(order.placer))],
        "status": OBSERVATION_STATUS.get(status, status),
        "category": [naming.code(CATEGORY, "imaging", "Imaging")],
        "code": naming.code(LOINC, "18782-3", "Radiology Study observation (narrative)"),
        "subject": patient_reference(report.patient),
        "encounter": encounter_reference(order.visit) if order.visit else None,
        "valueString": report.text or None,
    }


def imaging_study(study: str, order: Order) -> Resource:
    """Return what a ward knows of a study: that there is one, whose it is and what it was ordered as."""
    return {
        "resourceType": "ImagingStudy",
        "id": naming.logical_id(study),
        "identifier": [
            naming.study(study),
            *([naming.accession(order.accession)] if order.accession else []),
        ],
        "status": "unknown",
        "subject": patient_reference(order.patient),
        "encounter": encounter_reference(order.visit) if order.visit else None,
        "basedOn": [naming.refer("ServiceRequest", order.placer, naming.placer(order.placer))],
        "procedureCode": [naming.code(PROCEDURES, order.procedure, order.text)],
    }


def _numbers(report: Report, order: Order) -> list[Resource]:
    found = [naming.filler(report.filler)]
    accession = order.accession or report.accession
    return [*found, naming.accession(accession)] if accession else found


def _spoken(author: str) -> str:
    from stepwedge.model.patient import PersonName

    return PersonName.from_dicom(author).spoken() if "^" in author else author
