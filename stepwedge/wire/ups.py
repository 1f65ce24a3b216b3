"""Requests of the worklist service over DICOMweb (UPS-RS, PS3.18 section 11), for any HTTP client. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from stepwedge.wire import dicomjson

if TYPE_CHECKING:
    from collections.abc import Mapping

Elements = dict[str, Any]

JSON: Final = "application/dicom+json"
SCHEDULED, IN_PROGRESS, COMPLETED, CANCELED = STATES = ("SCHEDULED", "IN PROGRESS", "COMPLETED", "CANCELED")
"""Procedure Step State (0074,1000), PS3.4 CC.1.1."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request, relative to the root of the service."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def headers(self) -> dict[str, str]:
        """What is accepted, and what is sent."""
        return {"Accept": JSON, **({"Content-Type": JSON} if self.body else {})}


def create(uid: str, attributes: Elements) -> Request:
    """Create a workitem (section 11.4); answered 201, 400, or 409 when the UID is taken."""
    return Request("POST", "/workitems", {"workitem": uid} if uid else {}, dicomjson.dumps([attributes]))


def retrieve(uid: str) -> Request:
    """Retrieve a workitem (section 11.5); answered 200 or 404."""
    return Request("GET", f"/workitems/{uid}")


def update(uid: str, changes: Elements, transaction: str = "") -> Request:
    """Change attributes (section 11.6); one that is IN PROGRESS wants its Transaction UID."""
    query = {"transaction-uid": transaction} if transaction else {}
    return Request("POST", f"/workitems/{uid}", query, dicomjson.dumps([changes]))


def change_state(uid: str, state: str, transaction: str = "") -> Request:
    """Claim, complete or cancel (section 11.7); answered 200, 400, 404, or 409 where the state does not allow it."""
    told = {"ProcedureStepState": state, **({"TransactionUID": transaction} if transaction else {})}
    return Request("PUT", f"/workitems/{uid}/state", {}, dicomjson.dumps([told]))


def request_cancel(uid: str, reason: str) -> Request:
    """Ask for a cancellation (section 11.8); answered 202 when it was taken."""
    told: Elements = {"ReasonForCancellation": reason}
    return Request("POST", f"/workitems/{uid}/cancelrequest", {}, dicomjson.dumps([told]))


def search(keys: Mapping[str, str]) -> Request:
    """Search by matching keys (section 11.9); answered 200, or 204 when nothing matches."""
    return Request("GET", "/workitems", dict(keys))
