"""Storage commitment as whoever is asked for it reads the request and writes the result (PS3.4 annex J)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from stepwedge.wire.dimse_asyncio import Failure

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

Elements = dict[str, Any]

NO_SUCH_ACTION: Final = 0x0123
INVALID_ARGUMENT: Final = 0x0115
REQUEST_COMMITMENT: Final = 1
"""Action type of N-ACTION; event types of its result are 1 (all committed) and 2 (failures exist), PS3.4 J.3.2, J.3.3."""


def requested(
    action_type: int, information: Elements, used: Container[str]
) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Return Transaction UID and (SOP class, SOP instance) of each object an N-ACTION asks for; ``used`` are earlier ones.

    Raises:
        Failure: it asks for nothing, for something else, or again.
    """
    if action_type != REQUEST_COMMITMENT:
        raise Failure(NO_SUCH_ACTION, f"action type {action_type} (PS3.4 J.3.2.1.1)")
    transaction = str(information.get("TransactionUID", ""))
    references = tuple(
        (str(item.get("ReferencedSOPClassUID", "")), str(item.get("ReferencedSOPInstanceUID", "")))
        for item in information.get("ReferencedSOPSequence") or []
    )
    if not transaction or not references:
        raise Failure(INVALID_ARGUMENT, "Transaction UID or references are missing (PS3.4 table J.3-1)")
    if transaction in used:
        raise Failure(INVALID_ARGUMENT, "this Transaction UID was used before (PS3.4 J.3.2.1.2)")
    return transaction, references


def result(
    transaction: str,
    retrieve_ae: str,
    committed: Iterable[tuple[str, str]],
    failed: Iterable[tuple[str, str, int]],
) -> tuple[int, Elements]:
    """Return event type and information of the N-EVENT-REPORT (PS3.4 table J.3-2); failures are (class, instance, reason)."""
    information: Elements = {"TransactionUID": transaction, "RetrieveAETitle": retrieve_ae}
    done = [_reference(sop_class, sop) for sop_class, sop in committed]
    missing = [_reference(sop_class, sop) | {"FailureReason": reason} for sop_class, sop, reason in failed]
    if done:
        information["ReferencedSOPSequence"] = done
    if missing:
        information["FailedSOPSequence"] = missing
    return (2 if missing else 1), information


def _reference(sop_class: str, sop: str) -> Elements:
    return {"ReferencedSOPClassUID": sop_class, "ReferencedSOPInstanceUID": sop}
