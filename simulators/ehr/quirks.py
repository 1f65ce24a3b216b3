"""Wrong behaviours the EHR can be told to have."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from stepwedge.sim.quirks import collect, quirk

from .habits import EhrHabits

if TYPE_CHECKING:
    from collections.abc import Callable

    from stepwedge.model.appointment import Appointment
    from stepwedge.model.report import Report


@quirk(
    "report.final_overwritten",
    defect="DEF-135",
    severity="S1",
    overrides=EhrHabits.filed,
    notices="what was signed first can no longer be read (the chart has one version after an addendum)",
)
def final_overwritten(_: Callable[[Report], Report], report: Report) -> Report:
    """Keep the newest version only."""
    return replace(report, versions=report.versions[-1:])


@quirk(
    "report.retract_ignored",
    defect="DEF-224",
    severity="S1",
    overrides=EhrHabits.filed,
    notices="a report of another patient, long withdrawn, is still read on this chart (OBR-25 X ignored)",
)
def retract_ignored(original: Callable[[Report], Report], report: Report) -> Report:
    """Go on showing what was withdrawn."""
    kept = original(report)
    return replace(kept, status="final", versions=kept.versions[:-1]) if kept.status == "cancelled" else kept


@quirk(
    "siu.second_appointment",
    defect="DEF-235",
    severity="S2",
    overrides=EhrHabits.appointment_key,
    notices="the ward's calendar shows a moved exam at the old time and at the new one (two appointments for one order)",
)
def second_appointment(original: Callable[[Appointment], str], told: Appointment) -> str:
    """Take every time for an appointment of its own."""
    return f"{original(told)} {told.start}" if told.why == "move" else original(told)


@quirk(
    "report.alarm_lost",
    defect="DEF-148",
    severity="S1",
    overrides=EhrHabits.alarms,
    notices="a critical result lies unread among the others (OBX-8 came, the inbox is empty)",
)
def alarm_lost(original: Callable[..., bool], *, critical: bool) -> bool:
    """File critical results like any other."""
    return original(critical=critical) and not critical


@quirk(
    "mdm.both_current",
    defect="not listed",
    severity="S2",
    overrides=EhrHabits.retires,
    notices="two reports of one exam contradict each other in the chart (both documents available after T10)",
)
def both_current(original: Callable[[str], bool], document: str) -> bool:
    """File a replacement beside what it replaces."""
    return not document and original(document)


@quirk(
    "fhir.drop_umlaut",
    defect="DEF-046",
    severity="S2",
    overrides=EhrHabits.shown_text,
    notices="MÜLLER is MLLER for whoever reads by FHIR (Patient.name differs from PID-5)",
)
def drop_umlaut(_: Callable[[str], str], text: str) -> str:
    """Leave out of a resource what ASCII cannot say."""
    return text.encode("ascii", "ignore").decode()


@quirk(
    "report.provider_is_patient",
    defect="DEF-136",
    severity="S2",
    overrides=EhrHabits.requester,
    notices="the patient seems to have ordered the exam (ServiceRequest.requester is the patient's name)",
)
def provider_is_patient(_: Callable[[str, str], str], provider: str, patient: str) -> str:
    """Name the patient as requester."""
    del provider
    return patient


@quirk(
    "fhir.status_map",
    defect="DEF-264",
    severity="S3",
    overrides=EhrHabits.report_status,
    notices="who reads by FHIR does not see that a report was corrected (DiagnosticReport.status final)",
)
def fhir_status_map(original: Callable[[str], str], status: str) -> str:
    """Call every signed report final."""
    return "final" if status in {"corrected", "appended"} else original(status)


QUIRKS = collect(globals())
