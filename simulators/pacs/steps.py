"""Performed procedure steps as the archive hears of them (RAD-6, RAD-7): when is a study all there. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from stepwedge.model.lifecycles import MPPS, IllegalTransition, follow

from .rejection import Rejection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .state import Archive

Elements = dict[str, Any]

# PS3.7 annex C and PS3.4 table F.7.2-2
SUCCESS: Final = 0x0000
INVALID_VALUE: Final = 0x0106
NO_LONGER_UPDATED: Final = 0x0110
DUPLICATE: Final = 0x0111
NO_SUCH_INSTANCE: Final = 0x0112
MISSING_ATTRIBUTE: Final = 0x0120
WRONG_ENTRY: Final = "113038"
"""DCM, incorrect modality worklist entry: what 110514 of a performed step says of its images (CID 7011, CID 9300)."""
IN_PROGRESS: Final = "IN PROGRESS"
EVENTS: Final = {IN_PROGRESS: "set", "COMPLETED": "complete", "DISCONTINUED": "discontinue"}
LISTS: Final = ("ReferencedImageSequence", "ReferencedNonImageCompositeSOPInstanceSequence")


@dataclass(frozen=True, slots=True)
class Performed:
    """One performed procedure step.

    Attributes:
        sops: every instance it lists, once it has ended.
        reason: Performed Procedure Step Discontinuation Reason, ``code^meaning^scheme``.
        told: its end and its instances were notified (RAD-49).
    """

    uid: str
    status: str
    study: str = ""
    station: str = ""
    sops: tuple[str, ...] = ()
    reason: str = ""
    told: bool = False


def create(archive: Archive, uid: str, attributes: Elements) -> tuple[int, str]:
    """Answer N-CREATE with status and comment; the RIS, which sent it on, has judged its content."""
    if uid in archive.performed:
        return DUPLICATE, "this performed procedure step exists"
    status = attributes.get("PerformedProcedureStepStatus")
    if not status:
        return MISSING_ATTRIBUTE, "PerformedProcedureStepStatus"
    if status != IN_PROGRESS:
        return INVALID_VALUE, f"PerformedProcedureStepStatus {status}"
    scheduled = attributes.get("ScheduledStepAttributesSequence") or []
    study = next((str(item["StudyInstanceUID"]) for item in scheduled if item.get("StudyInstanceUID")), "")
    station = str(attributes.get("PerformedStationAETitle") or "")
    archive.performed[uid] = Performed(uid, IN_PROGRESS, study, station)
    return SUCCESS, ""


def change(archive: Archive, uid: str, attributes: Elements) -> tuple[int, str]:
    """Answer N-SET; COMPLETED and DISCONTINUED are final (PS3.4 F.7.2.2)."""
    if (performed := archive.performed.get(uid)) is None:
        return NO_SUCH_INSTANCE, "this performed procedure step was never created"
    status = str(attributes.get("PerformedProcedureStepStatus") or performed.status)
    if (event := EVENTS.get(status)) is None:
        return INVALID_VALUE, f"PerformedProcedureStepStatus {status}"
    try:
        follow(MPPS, performed.status, event)
    except IllegalTransition:
        return NO_LONGER_UPDATED, f"this performed procedure step is {performed.status}"
    archive.performed[uid] = performed = replace(
        performed,
        status=status,
        sops=tuple(_listed(attributes)) or performed.sops,
        reason=_reason(attributes) or performed.reason,
    )
    if event == "discontinue" and archive.habits.hides_mistaken(performed.reason):
        _hide(archive, performed)
    return SUCCESS, ""


def _hide(archive: Archive, performed: Performed) -> None:
    """Take what was acquired from the wrong worklist entry out of sight; the files stay for quality control (RAD-7)."""
    for sop in performed.sops:
        archive.rejections[sop] = Rejection(
            sop, WRONG_ENTRY, performed.uid, performed.study, seen=sop in archive.instances
        )


def complete(archive: Archive, performed: Performed) -> bool:
    """Tell whether a step has ended and everything it lists is here, and nobody was told yet."""
    ended = performed.status != IN_PROGRESS and bool(performed.sops) and not performed.told
    return ended and all(sop in archive.instances for sop in performed.sops)


def _listed(attributes: Elements) -> Iterator[str]:
    for series in attributes.get("PerformedSeriesSequence") or []:
        for name in LISTS:
            for item in series.get(name) or []:
                if sop := item.get("ReferencedSOPInstanceUID"):
                    yield str(sop)


def _reason(attributes: Elements) -> str:
    items = attributes.get("PerformedProcedureStepDiscontinuationReasonCodeSequence") or [{}]
    parts = [str(items[0].get(key) or "") for key in ("CodeValue", "CodeMeaning", "CodingSchemeDesignator")]
    return "^".join(parts) if parts[0] else ""
