"""Every decision of the EHR that could also be taken wrongly, as a pure function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepwedge.sim.fhir.offer import FhirHabits

if TYPE_CHECKING:
    from stepwedge.model.appointment import Appointment
    from stepwedge.model.report import Report


class EhrHabits(FhirHabits):
    """What a conforming results receiver does."""

    def filed(self, report: Report) -> Report:
        """File a report with every version it ever had."""
        return report

    def alarms(self, *, critical: bool) -> bool:
        """Put a critical result into the inbox until somebody takes note of it."""
        return critical

    def retires(self, document: str) -> bool:
        """Mark a document as obsolete once another has replaced it (MDM^T10, HL7 table 0273)."""
        return bool(document)

    def appointment_key(self, told: Appointment) -> str:
        """File an appointment under its filler appointment ID (SCH-2)."""
        return told.id

    def shown_text(self, text: str) -> str:
        """Show a name in a resource to the letter."""
        return text

    def requester(self, provider: str, patient: str) -> str:
        """Name who ordered as requester of a ServiceRequest; the patient is its subject."""
        del patient
        return provider

    def report_status(self, status: str) -> str:
        """Show a report with the status it has (DiagnosticReportStatus)."""
        return status
