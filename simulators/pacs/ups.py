"""Unified procedure steps (PS3.4 annex CC): the state table as data, and what each request makes of a workitem. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from .state import Archive

Elements = dict[str, Any]

SCHEDULED, IN_PROGRESS, COMPLETED, CANCELED = STATES = ("SCHEDULED", "IN PROGRESS", "COMPLETED", "CANCELED")
PUSH_CLASS: Final = "1.2.840.10008.5.1.4.34.6.1"
GLOBAL: Final = "1.2.840.10008.5.1.4.34.5"
FILTERED: Final = "1.2.840.10008.5.1.4.34.5.1"
"""UPS Global Subscription and UPS Filtered Global Subscription SOP Instance UIDs (PS3.4 CC.3.1)."""

# PS3.4 CC.2: status codes of the UPS SOP classes
SUCCESS: Final = 0x0000
NO_LOCK: Final = 0xB301
ALREADY_CANCELED: Final = 0xB304
ALREADY_COMPLETED: Final = 0xB306
DUPLICATE: Final = 0x0111
MISSING: Final = 0x0120
INVALID: Final = 0x0106
NO_LONGER: Final = 0xC300
WRONG_TRANSACTION: Final = 0xC301
ALREADY_IN_PROGRESS: Final = 0xC302
ONLY_BY_CREATE: Final = 0xC303
NOT_FINAL: Final = 0xC304
UNKNOWN: Final = 0xC307
NOT_SCHEDULED: Final = 0xC309
NOT_YET: Final = 0xC310
TOO_LATE: Final = 0xC311
SAYS: Final = {
    NO_LOCK: "Deletion lock not granted.",
    ALREADY_CANCELED: "The UPS is already in the requested state of CANCELED.",
    ALREADY_COMPLETED: "The UPS is already in the requested state of COMPLETED.",
    DUPLICATE: "The UPS already exists.",
    MISSING: "A required attribute is missing.",
    INVALID: "An attribute has a value that is not allowed.",
    NO_LONGER: "The UPS may no longer be updated.",
    WRONG_TRANSACTION: "The correct Transaction UID was not provided.",
    ALREADY_IN_PROGRESS: "The UPS is already IN PROGRESS.",
    ONLY_BY_CREATE: "The UPS may only become SCHEDULED via N-CREATE, not N-SET or N-ACTION.",
    NOT_FINAL: "The UPS has not met final state requirements for the requested state change.",
    UNKNOWN: "Specified SOP Instance UID does not exist or is not a UPS Instance managed by this SCP.",
    NOT_SCHEDULED: 'The provided value of UPS State was not "SCHEDULED".',
    NOT_YET: "The UPS is not yet in the IN PROGRESS state.",
    TOO_LATE: "The UPS is already COMPLETED.",
}

MACHINE: Final[dict[str, dict[str, str | int]]] = {
    # PS3.4 table CC.1.1-2: event -> state -> the new state, or the status of the error. "" is a UPS that does not exist;
    # "(locked)" is with the correct Transaction UID, "(unlocked)" without it.
    "create": {
        "": SCHEDULED, SCHEDULED: DUPLICATE, IN_PROGRESS: DUPLICATE, COMPLETED: DUPLICATE, CANCELED: DUPLICATE,
    },
    "IN PROGRESS (locked)": {
        "": UNKNOWN, SCHEDULED: IN_PROGRESS, IN_PROGRESS: ALREADY_IN_PROGRESS, COMPLETED: NO_LONGER, CANCELED: NO_LONGER,
    },
    "IN PROGRESS (unlocked)": {
        "": UNKNOWN, SCHEDULED: WRONG_TRANSACTION, IN_PROGRESS: WRONG_TRANSACTION,
        COMPLETED: WRONG_TRANSACTION, CANCELED: WRONG_TRANSACTION,
    },
    "SCHEDULED": {
        "": UNKNOWN, SCHEDULED: ONLY_BY_CREATE, IN_PROGRESS: ONLY_BY_CREATE,
        COMPLETED: ONLY_BY_CREATE, CANCELED: ONLY_BY_CREATE,
    },
    "COMPLETED (locked)": {
        "": UNKNOWN, SCHEDULED: NOT_YET, IN_PROGRESS: COMPLETED, COMPLETED: ALREADY_COMPLETED, CANCELED: NO_LONGER,
    },
    "COMPLETED (unlocked)": {
        "": UNKNOWN, SCHEDULED: WRONG_TRANSACTION, IN_PROGRESS: WRONG_TRANSACTION,
        COMPLETED: WRONG_TRANSACTION, CANCELED: WRONG_TRANSACTION,
    },
    "request cancel": {
        "": UNKNOWN, SCHEDULED: CANCELED, IN_PROGRESS: IN_PROGRESS, COMPLETED: TOO_LATE, CANCELED: ALREADY_CANCELED,
    },
    "CANCELED (locked)": {
        "": UNKNOWN, SCHEDULED: NOT_YET, IN_PROGRESS: CANCELED, COMPLETED: NO_LONGER, CANCELED: ALREADY_CANCELED,
    },
    "CANCELED (unlocked)": {
        "": UNKNOWN, SCHEDULED: WRONG_TRANSACTION, IN_PROGRESS: WRONG_TRANSACTION,
        COMPLETED: WRONG_TRANSACTION, CANCELED: WRONG_TRANSACTION,
    },
    "update (locked)": {
        "": UNKNOWN, SCHEDULED: SCHEDULED, IN_PROGRESS: IN_PROGRESS, COMPLETED: NO_LONGER, CANCELED: NO_LONGER,
    },
    "update (unlocked)": {
        "": UNKNOWN, SCHEDULED: SCHEDULED, IN_PROGRESS: WRONG_TRANSACTION, COMPLETED: NO_LONGER, CANCELED: NO_LONGER,
    },
}  # fmt: skip

REQUIRED: Final = (
    # type 1 for N-CREATE, PS3.4 table CC.2.5-3
    "ProcedureStepState",
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
    {"SOPClassUID", "SOPInstanceUID", "ProcedureStepState", "PatientID", "PatientName", "TransactionUID"}
)
"""What an update may not touch: who the patient is, and what other requests decide (PS3.4 table CC.2.5-3)."""
PERFORMED: Final = (
    "PerformedProcedureStepStartDateTime",
    "PerformedProcedureStepEndDateTime",
    "PerformedWorkitemCodeSequence",
)
EVENTS_KEPT: Final = 1000


@dataclass(frozen=True, slots=True)
class Workitem:
    """One unified procedure step; the Transaction UID of who claimed it is never shown (PS3.4 CC.1.1)."""

    uid: str
    state: str
    attributes: Elements
    transaction: str = ""


@dataclass(frozen=True, slots=True)
class Subscription:
    """Who hears of a workitem, or of all of them, and what there was to hear.

    Attributes:
        to: the workitem, ``GLOBAL`` or ``FILTERED``.
        matching: the keys of a filtered subscription.
        suspended: nothing new is subscribed by the global subscription any more.
        events: ``{event, workitem, state}`` of each, the newest last.
    """

    ae: str
    to: str
    lock: bool = False
    matching: Elements = field(default_factory=dict)
    suspended: bool = False
    events: tuple[dict[str, str], ...] = ()


class Outcome(NamedTuple):
    """The DIMSE status of what was asked, with its words; 0 and Bxxx are done."""

    status: int
    text: str = ""

    @property
    def done(self) -> bool:
        """Whether the request was carried out, or need not be."""
        return self.status == SUCCESS or self.status >> 12 == 0xB  # noqa: PLR2004 - warnings, PS3.7 annex C.3


def create(archive: Archive, uid: str, attributes: Elements) -> Outcome:
    """Create a workitem (N-CREATE, PS3.18 11.4)."""
    known = archive.workitems.get(uid)
    found = MACHINE["create"][known.state if known else ""]
    if isinstance(found, int):
        return _said(found)
    if attributes.get("ProcedureStepState") not in {None, "", SCHEDULED}:
        return _said(NOT_SCHEDULED)
    for name in REQUIRED:
        if not attributes.get(name):
            return Outcome(MISSING, f"{name} is missing")
    if problem := _values(attributes):
        return Outcome(INVALID, problem)
    if attributes.get("TransactionUID"):
        return Outcome(INVALID, "Transaction UID is not given at creation")
    kept = {key: value for key, value in attributes.items() if key != "TransactionUID"}
    archive.workitems[uid] = Workitem(
        uid, SCHEDULED, kept | {"SOPClassUID": PUSH_CLASS, "SOPInstanceUID": uid}
    )
    _announce(archive, uid, "State Report")
    return Outcome(SUCCESS)


def update(archive: Archive, uid: str, changes: Elements, transaction: str) -> Outcome:
    """Change attributes (N-SET, PS3.18 11.6); nothing is changed when one of them may not be."""
    known = archive.workitems.get(uid)
    right = known is not None and known.transaction == transaction
    found = MACHINE[f"update ({'locked' if right else 'unlocked'})"][known.state if known else ""]
    if isinstance(found, int) or known is None:
        return _said(found if isinstance(found, int) else UNKNOWN)
    if strange := sorted(FIXED & set(changes)):
        return Outcome(INVALID, f"{strange[0]} cannot be updated")
    if problem := _values(changes):
        return Outcome(INVALID, problem)
    archive.workitems[uid] = replace(known, attributes=known.attributes | changes)
    if "ProcedureStepProgressInformationSequence" in changes:
        _announce(archive, uid, "Progress Report")
    return Outcome(SUCCESS)


def change_state(archive: Archive, uid: str, wanted: str, transaction: str) -> Outcome:
    """Change the state (N-ACTION Change UPS State, PS3.18 11.5)."""
    if wanted not in STATES:
        return Outcome(INVALID, f"{wanted!r} is no state of a UPS")
    known = archive.workitems.get(uid)
    if wanted == SCHEDULED:
        event = SCHEDULED
    else:
        claims = known is not None and not known.transaction and bool(transaction)
        right = known is not None and bool(transaction) and (claims or known.transaction == transaction)
        event = f"{wanted} ({'locked' if right else 'unlocked'})"
    found = MACHINE[event][known.state if known else ""]
    if isinstance(found, int) or known is None:
        return _said(found if isinstance(found, int) else UNKNOWN)
    if not _final(known, wanted):
        return _said(NOT_FINAL)
    archive.workitems[uid] = replace(
        known,
        state=found,
        attributes=known.attributes | {"ProcedureStepState": found},
        transaction=transaction,
    )
    _announce(archive, uid, "State Report")
    return Outcome(SUCCESS)


def request_cancel(archive: Archive, uid: str, reason: Elements, at: str) -> Outcome:
    """Ask for a cancellation (N-ACTION Request UPS Cancel, PS3.18 11.7): what nobody claimed is cancelled at once."""
    known = archive.workitems.get(uid)
    found = MACHINE["request cancel"][known.state if known else ""]
    if isinstance(found, int) or known is None:
        return _said(found if isinstance(found, int) else UNKNOWN)
    if found == IN_PROGRESS:
        _announce(archive, uid, "Cancel Requested")
        return Outcome(SUCCESS)
    told = {"ProcedureStepCancellationDateTime": at, **reason}
    attributes = known.attributes | {
        "ProcedureStepState": CANCELED,
        "ProcedureStepProgressInformationSequence": [told],
    }
    archive.workitems[uid] = replace(known, state=CANCELED, attributes=attributes)
    _announce(archive, uid, "State Report")
    return Outcome(SUCCESS)


def subscribe(archive: Archive, ae: str, to: str, *, lock: bool, matching: Elements) -> Outcome:
    """Let somebody hear of one workitem, of all, or of all that match (PS3.18 11.10)."""
    if to not in {GLOBAL, FILTERED} and to not in archive.workitems:
        return _said(UNKNOWN)
    known = archive.subscriptions.get(f"{to} {ae}")
    events = known.events if known else ()
    archive.subscriptions[f"{to} {ae}"] = Subscription(ae, to, lock, dict(matching), events=events)
    return Outcome(SUCCESS)


def suspend(archive: Archive, ae: str, to: str) -> Outcome:
    """End what a global subscription does for workitems to come (PS3.18 11.12)."""
    known = archive.subscriptions.get(f"{to} {ae}")
    if known is None or to not in {GLOBAL, FILTERED}:
        return _said(UNKNOWN)
    archive.subscriptions[f"{to} {ae}"] = replace(known, suspended=True)
    return Outcome(SUCCESS)


def unsubscribe(archive: Archive, ae: str, to: str) -> Outcome:
    """End a subscription (PS3.18 11.11)."""
    if f"{to} {ae}" not in archive.subscriptions:
        return _said(UNKNOWN)
    del archive.subscriptions[f"{to} {ae}"]
    return Outcome(SUCCESS)


def _said(status: int) -> Outcome:
    return Outcome(status, SAYS[status])


def _values(attributes: Elements) -> str:
    for name, allowed in VALUES.items():
        if name in attributes and attributes[name] not in allowed:
            return f"{name} is none of {', '.join(allowed)}"
    return ""


def _final(known: Workitem, wanted: str) -> bool:
    """Tell whether what a final state needs is there (PS3.4 table CC.2.5-3, final state requirements)."""
    if wanted == COMPLETED:
        items = known.attributes.get("UnifiedProcedureStepPerformedProcedureSequence") or [{}]
        return all(items[0].get(name) for name in PERFORMED)
    if wanted == CANCELED:
        items = known.attributes.get("ProcedureStepProgressInformationSequence") or [{}]
        return bool(items[0].get("ProcedureStepCancellationDateTime"))
    return True


def _announce(archive: Archive, uid: str, event: str) -> None:
    """Note an event for each subscriber, once (PS3.4 CC.2.4)."""
    from stepwedge.wire.elements import match

    item = archive.workitems[uid]
    told: set[str] = set()
    for key, one in list(archive.subscriptions.items()):
        means = one.to == uid or (
            not one.suspended
            and (one.to == GLOBAL or (one.to == FILTERED and match(one.matching, item.attributes)))
        )
        if not means or one.ae in told or not archive.habits.announces(event, item.state):
            continue
        told.add(one.ae)
        said = {"event": event, "workitem": uid, "state": item.state}
        archive.subscriptions[key] = replace(one, events=(*one.events, said)[-EVENTS_KEPT:])
