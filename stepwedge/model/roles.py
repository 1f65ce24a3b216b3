"""Roles of people in a radiology department, and what each may do with clinical data, as SMART scopes without a context."""

from __future__ import annotations

from typing import Final

RADIOLOGIST, TECHNOLOGIST, REFERRER, ADMINISTRATOR = (
    "radiologist",
    "technologist",
    "referrer",
    "administrator",
)
RIGHTS: Final[dict[str, str]] = {
    RADIOLOGIST: "*.rs DiagnosticReport.cruds",
    TECHNOLOGIST: "*.rs ImagingStudy.crus ServiceRequest.rus",
    REFERRER: "Patient.rs ServiceRequest.crus ImagingStudy.rs DiagnosticReport.rs",
    ADMINISTRATOR: "AuditEvent.rs",  # looks after systems, not after patients
}
"""Role to rights; ``tokens.roles`` of a lab file may say otherwise."""
