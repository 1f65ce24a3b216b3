"""Unified procedure steps as the worklist service gives them (PS3.18 section 11, PS3.4 annex CC): reading tasks. Pure.

Every request gives an :class:`Outcome`: the HTTP status of PS3.18 section 11 with a reason for the Warning header.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from stepwedge.model.lifecycles import UPS, IllegalTransition, follow
from stepwedge.wire.matching import match

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from .state import Archive
    from .steps import Performed

Elements = dict[str, Any]

PUSH: Final = "1.2.840.10008.5.1.4.34.6.1"
"""Unified Procedure Step - Push SOP Class: what every workitem says in (0008,0016) (PS3.4 CC.3.1)."""
SCHEDULED, IN_PROGRESS, COMPLETED, CANCELED = "SCHEDULED", "IN PROGRESS", "COMPLETED", "CANCELED"
EVENTS: Final = {IN_PROGRESS: "claim", COMPLETED: "complete", CANCELED: "cancel"}
OK, CREATED, ACCEPTED = 200, 201, 202
BAD, NOT_FOUND, CONFLICT = 400, 404, 409
INVALID_VALUE, DUPLICATE, MISSING_VALUE = 0x0106, 0x0111, 0x0121
OVER, NO_KEY, CLAIMED, NOT_BACK, NOT_READY = 0xC300, 0xC301, 0xC302, 0xC303, 0xC304
UNKNOWN, NOT_SCHEDULED, NOT_CLAIMED, COMPLETE, NOBODY = 0xC307, 0xC309, 0xC310, 0xC311, 0xC312
ALREADY: Final = {"CANCELED": 0xB304, "COMPLETED": 0xB306}
"""DIMSE statuses of PS3.4 CC.2.1 to CC.2.7."""
REQUIRED: Final = (
    # type 1 for creation, PS3.4 table CC.2.5-3
    "ScheduledProcedureStepPriority",
    "ProcedureStepLabel",
    "ScheduledProcedureStepStartDateTime",
    "InputReadinessState",
)
VALUES: Final = {
    "ScheduledProcedureStepPriority": ("HIGH", "MEDIUM", "LOW"),
    "InputReadinessState": ("UNAVAILABLE", "INCOMPLETE", "READY"),
}
FIXED: Final = frozenset(
    {
        "SOPClassUID",
        "SOPInstanceUID",
        "ProcedureStepState",
        "PatientID",
        "PatientName",
        "PatientBirthDate",
        "PatientSex",
        "IssuerOfPatientID",
        "StudyInstanceUID",
    }
)
"""What an update may not touch: who it is about, and what other requests decide (PS3.4 table CC.2.5-3)."""
PERFORMED: Final = ("PerformedProcedureStepStartDateTime", "PerformedProcedureStepEndDateTime")
INTERPRETATION: Final = {
    "CodeValue": "110005",
    "CodingSchemeDesignator": "DCM",
    "CodeMeaning": "Interpretation",
}
MISSING_LOCK: Final = "The Transaction UID is missing."
WRONG_LOCK: Final = "The Transaction UID is incorrect."
INCONSISTENT: Final = "The submitted request is inconsistent with the current state of the UPS Instance."
UNREACHABLE: Final = "The performer of the UPS cannot be contacted."


@dataclass(frozen=True, slots=True)
class Workitem:
    """One unified procedure step.

    Attributes:
        patient: key of the patient record it is about, so that corrections and merges reach it.
        transaction: Transaction UID of who claimed it, the only key to it; never shown (PS3.4 CC.1.1).
    """

    uid: str
    state: str
    attributes: Elements
    patient: str = ""
    transaction: str = ""


class Outcome(NamedTuple):
    """The HTTP status of a request, what the Warning header says, and the DIMSE status of the same (PS3.4 annex CC)."""

    status: int
    text: str = ""
    code: int = 0


def create(archive: Archive, uid: str, attributes: Mapping[str, Any], patient: str) -> Outcome:
    """Create a workitem (PS3.18 section 11.4)."""
    if uid in archive.workitems:
        return Outcome(CONFLICT, "The UPS already exists.", DUPLICATE)
    if attributes.get("ProcedureStepState") not in {None, "", SCHEDULED}:
        return Outcome(BAD, 'The provided value of Procedure Step State is not "SCHEDULED".', NOT_SCHEDULED)
    if attributes.get("TransactionUID"):
        return Outcome(BAD, "Transaction UID is empty at creation.", INVALID_VALUE)
    if lacking := [name for name in REQUIRED if not attributes.get(name)]:
        return Outcome(BAD, f"{lacking[0]} is missing.", MISSING_VALUE)
    if problem := _values(attributes):
        return Outcome(BAD, problem, INVALID_VALUE)
    kept = {key: value for key, value in attributes.items() if key != "TransactionUID"}
    kept |= {"SOPClassUID": PUSH, "SOPInstanceUID": uid}
    archive.workitems[uid] = Workitem(uid, SCHEDULED, kept, patient)
    return Outcome(CREATED)


def update(archive: Archive, uid: str, changes: Mapping[str, Any], transaction: str) -> Outcome:
    """Change attributes (PS3.18 section 11.6); nothing is changed when one of them may not be."""
    if (known := archive.workitems.get(uid)) is None:
        return _unknown(uid)
    if archive.habits.task_is_over(known.state in {COMPLETED, CANCELED}):
        return Outcome(CONFLICT, INCONSISTENT, OVER)
    if known.state != SCHEDULED and (problem := _locked(archive, known, transaction)):
        return problem
    if strange := sorted(FIXED & set(changes)):
        return Outcome(BAD, f"{strange[0]} cannot be updated.", INVALID_VALUE)
    if problem_text := _values(changes):
        return Outcome(BAD, problem_text, INVALID_VALUE)
    added = {key: value for key, value in changes.items() if key != "TransactionUID"}
    archive.workitems[uid] = replace(known, attributes=known.attributes | added)
    return Outcome(OK)


def change_state(archive: Archive, uid: str, wanted: str, transaction: str) -> Outcome:
    """Claim, complete or cancel (PS3.18 section 11.7): the Transaction UID of the claim is the key to the rest."""
    if (known := archive.workitems.get(uid)) is None:
        return _unknown(uid)
    if (event := EVENTS.get(wanted)) is None:
        code = NOT_BACK if wanted == SCHEDULED else INVALID_VALUE
        return Outcome(BAD, f"Procedure Step State cannot be changed to {wanted!r}.", code)
    if not archive.habits.has_lock(bool(transaction)):
        return Outcome(BAD, MISSING_LOCK, NO_KEY)
    if event == "claim":
        if not archive.habits.free_to_claim(known.state):
            return Outcome(CONFLICT, INCONSISTENT, CLAIMED if known.state == IN_PROGRESS else OVER)
        archive.workitems[uid] = replace(known, state=IN_PROGRESS, transaction=transaction)
        return Outcome(OK)
    if known.transaction and (problem := _locked(archive, known, transaction)):
        return problem
    if known.state == wanted:
        return Outcome(OK, f"The UPS is already in the requested state of {wanted}.", ALREADY[wanted])
    try:
        state = follow(UPS, known.state, event)
    except IllegalTransition:
        return Outcome(CONFLICT, INCONSISTENT, NOT_CLAIMED if known.state == SCHEDULED else OVER)
    if known.state == SCHEDULED or not _final(known, wanted):
        return Outcome(CONFLICT, INCONSISTENT, NOT_CLAIMED if known.state == SCHEDULED else NOT_READY)
    archive.workitems[uid] = replace(known, state=state)
    return Outcome(OK)


def request_cancel(
    archive: Archive, uid: str, reason: Mapping[str, Any], at: datetime, *, reachable: bool = False
) -> Outcome:
    """Ask for a cancellation (PS3.18 section 11.8): what nobody claimed is cancelled at once.

    Whoever claimed it can only be told by an event, where somebody watches (``reachable``); nothing is changed then.
    """
    if (known := archive.workitems.get(uid)) is None:
        return _unknown(uid)
    if known.state == CANCELED:
        return Outcome(ACCEPTED, "The UPS is already in the requested state of CANCELED.", ALREADY[CANCELED])
    if known.state == COMPLETED:
        return Outcome(CONFLICT, INCONSISTENT, COMPLETE)
    if known.state == IN_PROGRESS:
        return Outcome(ACCEPTED) if reachable else Outcome(CONFLICT, UNREACHABLE, NOBODY)
    told = {**reason, "ProcedureStepCancellationDateTime": f"{at:%Y%m%d%H%M%S}"}
    attributes = known.attributes | {"ProcedureStepProgressInformationSequence": [told]}
    archive.workitems[uid] = replace(known, state=follow(UPS, SCHEDULED, "cancel"), attributes=attributes)
    return Outcome(ACCEPTED)


def shown(archive: Archive, known: Workitem) -> Elements:
    """Return what is told of a workitem: its state, the patient as known now, and never its Transaction UID."""
    told = known.attributes | {"ProcedureStepState": known.state}
    person = archive.survivor(known.patient)
    if person is not None:
        told |= {
            "PatientName": person.name,
            "PatientID": person.id,
            "IssuerOfPatientID": person.issuer,
            "PatientBirthDate": person.birth_date,
            "PatientSex": person.sex,
        }
    return {"SpecificCharacterSet": "ISO_IR 192", **told}


def found(archive: Archive, keys: Elements) -> list[Elements]:
    """Return the workitems that match, in the order of their creation (PS3.18 section 11.9)."""
    rows = (shown(archive, one) for one in archive.workitems.values())
    return [row for row in rows if match(keys, row)]


def reading_task(archive: Archive, step: Performed, ae_title: str, now: datetime) -> tuple[Elements, str]:
    """Return the reading task for a step that is over and all here, and the key of its patient."""
    instances = [archive.instances[sop] for sop in step.sops]
    first = instances[0]
    order = archive.expected.get(str(first.header.get("AccessionNumber", "")))
    series: dict[str, list[Elements]] = {}
    for one in instances:
        item = {"ReferencedSOPClassUID": one.sop_class, "ReferencedSOPInstanceUID": one.sop}
        series.setdefault(one.series, []).append(item)
    label = order.text if order and order.text else str(first.header.get("StudyDescription") or "study")
    return {
        "ScheduledProcedureStepPriority": "MEDIUM",
        "ScheduledProcedureStepStartDateTime": f"{now:%Y%m%d%H%M%S}",
        "ScheduledWorkitemCodeSequence": [INTERPRETATION],
        "ProcedureStepLabel": f"Read {label}"[:64],
        "WorklistLabel": "READING",
        "InputReadinessState": "READY",
        "StudyInstanceUID": first.study,
        "InputInformationSequence": [
            {
                "TypeOfInstances": "DICOM",
                "StudyInstanceUID": first.study,
                "SeriesInstanceUID": uid,
                "ReferencedSOPSequence": items,
                "DICOMRetrievalSequence": [{"RetrieveAETitle": ae_title}],
            }
            for uid, items in series.items()
        ],
        "ReferencedRequestSequence": [
            {
                "StudyInstanceUID": first.study,
                "AccessionNumber": str(first.header.get("AccessionNumber", "")),
                "PlacerOrderNumberImagingServiceRequest": order.placer if order else "",
                "FillerOrderNumberImagingServiceRequest": order.filler if order else "",
            }
        ],
    }, archive.studies[first.study].patient


def _unknown(uid: str) -> Outcome:
    return Outcome(NOT_FOUND, f"{uid} is no workitem of this archive.", UNKNOWN)


def _locked(archive: Archive, known: Workitem, transaction: str) -> Outcome | None:
    """Return why a claimed workitem is not this requester's to change."""
    if not archive.habits.has_lock(bool(transaction)):
        return Outcome(BAD, MISSING_LOCK, NO_KEY)
    if not archive.habits.has_lock(transaction == known.transaction):
        return Outcome(BAD, WRONG_LOCK, NO_KEY)
    return None


def _values(attributes: Mapping[str, Any]) -> str:
    for name, allowed in VALUES.items():
        if name in attributes and attributes[name] not in allowed:
            return f"{name} is none of {', '.join(allowed)}."
    return ""


def _final(known: Workitem, wanted: str) -> bool:
    """Tell whether what a final state needs is there (PS3.4 table CC.2.5-3, final state)."""
    if wanted == COMPLETED:
        items = known.attributes.get("UnifiedProcedureStepPerformedProcedureSequence") or [{}]
        return all(items[0].get(name) for name in PERFORMED)
    items = known.attributes.get("ProcedureStepProgressInformationSequence") or [{}]
    return bool(items[0].get("ProcedureStepCancellationDateTime"))
