"""Modality performed procedure steps (PS3.4 annex F.7): what N-CREATE and N-SET are answered, and what they cause."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from stepwedge.model.lifecycles import MPPS, IllegalTransition, follow
from stepwedge.model.procedure import PerformedStep

from .progress import perform

if TYPE_CHECKING:
    from datetime import datetime

    from stepwedge.wire.elements import Elements

    from .notices import Notice
    from .state import Ris

# PS3.7 annex C and PS3.4 table F.7.2-2
SUCCESS: Final = 0x0000
INVALID_VALUE: Final = 0x0106
NO_LONGER_UPDATED: Final = 0x0110
DUPLICATE: Final = 0x0111
NO_SUCH_INSTANCE: Final = 0x0112
MISSING_ATTRIBUTE: Final = 0x0120
MISSING_VALUE: Final = 0x0121

IN_PROGRESS: Final = "IN PROGRESS"
REQUIRED: Final = (
    # Type 1 for N-CREATE, PS3.4 table F.7.2-1
    "PerformedProcedureStepID",
    "PerformedStationAETitle",
    "PerformedProcedureStepStartDate",
    "PerformedProcedureStepStartTime",
    "PerformedProcedureStepStatus",
    "Modality",
)
_EVENTS: Final = {IN_PROGRESS: "set", "COMPLETED": "complete", "DISCONTINUED": "discontinue"}


class Decision(NamedTuple):
    """DIMSE status with its Error Comment, and whom to tell what."""

    status: int
    comment: str = ""
    notices: tuple[Notice, ...] = ()


def create(ris: Ris, uid: str, attributes: Elements, now: datetime) -> Decision:
    """Answer N-CREATE (RAD-6)."""
    if uid in ris.performed:
        return Decision(DUPLICATE, "this performed procedure step exists")
    scheduled = attributes.get("ScheduledStepAttributesSequence")
    if scheduled is None:
        return Decision(MISSING_ATTRIBUTE, "ScheduledStepAttributesSequence")
    for keyword in REQUIRED:
        if keyword not in attributes:
            return Decision(MISSING_ATTRIBUTE, keyword)
        if not attributes[keyword]:
            return Decision(MISSING_VALUE, keyword)
    if not scheduled:
        return Decision(MISSING_VALUE, "ScheduledStepAttributesSequence")
    status = attributes["PerformedProcedureStepStatus"]
    if status != IN_PROGRESS:
        return Decision(INVALID_VALUE, f"PerformedProcedureStepStatus {status}")
    performed = PerformedStep(
        uid=uid,
        status=status,
        station=attributes["PerformedStationAETitle"],
        patient=attributes.get("PatientID") or "",
        study=_first(scheduled, "StudyInstanceUID"),
        accession=_first(scheduled, "AccessionNumber"),
        steps=_steps(ris, scheduled),
    )
    return Decision(SUCCESS, "", tuple(perform(ris, performed, "start", now)))


def change(ris: Ris, uid: str, attributes: Elements, now: datetime) -> Decision:
    """Answer N-SET (RAD-7); COMPLETED and DISCONTINUED are final."""
    performed = ris.performed.get(uid)
    if performed is None:
        return Decision(NO_SUCH_INSTANCE, "this performed procedure step was never created")
    status = attributes.get("PerformedProcedureStepStatus") or performed.status
    event = _EVENTS.get(status)
    if event is None:
        return Decision(INVALID_VALUE, f"PerformedProcedureStepStatus {status}")
    try:
        if ris.habits.final(performed.status):
            follow(MPPS, performed.status, event)
    except IllegalTransition:
        return Decision(NO_LONGER_UPDATED, f"this performed procedure step is {performed.status}")
    if event == "complete" and not attributes.get("PerformedSeriesSequence"):
        # Type 1 for the final state, PS3.4 table F.7.2-1
        return Decision(MISSING_ATTRIBUTE, "PerformedSeriesSequence")
    performed = replace(
        performed,
        status=status,
        reason=_reason(attributes) or performed.reason,
        instances=_instances(attributes) or performed.instances,
    )
    if event == "set":
        ris.performed[uid] = performed
        return Decision(SUCCESS)
    return Decision(SUCCESS, "", tuple(perform(ris, performed, event, now)))


def _steps(ris: Ris, scheduled: list[Elements]) -> tuple[str, ...]:
    """Return the scheduled steps named, by their ID, or by accession number where exactly one step has it."""
    found: list[str] = []
    for item in scheduled:
        step, accession = item.get("ScheduledProcedureStepID") or "", item.get("AccessionNumber") or ""
        if not step and accession:
            steps = ris.steps.by("accession", accession)
            step = steps[0].id if len(steps) == 1 else ""
        if step:
            found.append(step)
    return tuple(dict.fromkeys(found))


def _first(items: list[Elements], keyword: str) -> str:
    return next((str(item[keyword]) for item in items if item.get(keyword)), "")


def _reason(attributes: Elements) -> str:
    items = attributes.get("PerformedProcedureStepDiscontinuationReasonCodeSequence") or [{}]
    code: dict[str, Any] = items[0]
    parts = [code.get(k) or "" for k in ("CodeValue", "CodeMeaning", "CodingSchemeDesignator")]
    return "^".join(parts) if parts[0] else ""


def _instances(attributes: Elements) -> int:
    keywords = ("ReferencedImageSequence", "ReferencedNonImageCompositeSOPInstanceSequence")
    series = attributes.get("PerformedSeriesSequence") or []
    return sum(len(each.get(keyword) or []) for each in series for keyword in keywords)
