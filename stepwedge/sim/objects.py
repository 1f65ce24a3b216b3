"""Patients and orders as scenarios see them: flat JSON objects, the results and arguments of words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stepwedge.errors import BadInput
from stepwedge.sim.rows import pack

if TYPE_CHECKING:
    from stepwedge.model.order import Order
    from stepwedge.model.patient import Patient
    from stepwedge.model.report import Report


def patient_object(patient: Patient) -> dict[str, Any]:
    """Return a patient; the name is a DICOM PN value."""
    return {
        "id": patient.id,
        "issuer": patient.issuer,
        "name": patient.name.dicom(),
        "birth_date": patient.birth_date,
        "sex": patient.sex,
        "merged_into": patient.merged_into,
    }


def order_object(order: Order) -> dict[str, Any]:
    """Return an order; its patient is a patient ID."""
    found: dict[str, Any] = pack(order)
    return found


def report_object(report: Report) -> dict[str, Any]:
    """Return a report as it is read now, with every version it ever had."""
    current = report.current
    shown: dict[str, Any] = pack(report)
    return {
        **shown,
        "text": report.text,
        "critical": any(version.critical for version in report.versions),
        "waits": report.waits,
        "sr": next((version.sr for version in reversed(report.versions) if version.sr), ""),
        "pdf": current.pdf if current else "",
        "link": current.link if current else "",
    }


def order_numbers(value: Any) -> dict[str, str]:
    """Return the numbers that name an order: from an order object, a mapping of numbers, or an accession number alone."""
    if isinstance(value, str):
        return {"accession": value}
    if not isinstance(value, dict):
        raise BadInput("order", "an order, or its accession number", repr(value))
    inner = value.get("order")
    given = inner if isinstance(inner, dict) else value
    return {name: str(given[name]) for name in ("placer", "filler", "accession") if given.get(name)}


def patient_number(value: Any) -> str:
    """Return the patient ID of a patient object, or the ID itself."""
    if isinstance(value, dict) and isinstance(value.get("id"), str):
        return str(value["id"])
    if isinstance(value, str) and value:
        return value
    raise BadInput("patient", "a patient, or a patient ID", repr(value))
