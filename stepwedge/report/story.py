"""Tell an exchange in a plain sentence that needs no knowledge of HL7 or DICOM.

Every sentence is read off what was on the wire; where that cannot be read, the bare name of the message is said.
"""

from __future__ import annotations

import base64
import contextlib
from typing import TYPE_CHECKING, Any, Final

from stepwedge.wire import hl7

if TYPE_CHECKING:
    from pathlib import Path

    from stepwedge.report.run_model import Record

_ORDERS: Final = {"ORM", "OMG", "OMI"}
_TOLD: Final = {
    "ADT^A01": "tells {to} that the patient was admitted",
    "ADT^A04": "tells {to} that the patient is here",
    "ADT^A08": "tells {to} that the patient's details were corrected",
    "ADT^A02": "tells {to} that the patient was moved",
    "ADT^A03": "tells {to} that the patient was discharged",
    "ADT^A05": "tells {to} that the patient is to be admitted",
    "ADT^A06": "tells {to} that the patient stays as an inpatient",
    "ADT^A07": "tells {to} that the patient is an outpatient now",
    "ADT^A11": "tells {to} that the admission is taken back",
    "ADT^A12": "tells {to} that the move is taken back",
    "ADT^A13": "tells {to} that the discharge is taken back",
    "ADT^A23": "tells {to} that the visit is deleted",
    "ADT^A28": "tells {to} of a new person",
    "ADT^A31": "tells {to} that the person's details were corrected",
    "ADT^A47": "tells {to} that the patient has a new number",
    "SIU^S12": "tells {to} when the examination is",
    "SIU^S13": "tells {to} that the examination was moved",
    "SIU^S14": "tells {to} that the appointment was changed",
    "SIU^S15": "tells {to} that the appointment is cancelled",
    "SIU^S26": "tells {to} that the patient did not come",
    "ADT^A40": "tells {to} that two patient records are one person",
}
_STATUS: Final = {
    "SC": "the examination is scheduled",
    "IP": "the examination has begun",
    "CM": "the examination is done",
    "A": "some results are there",
    "CA": "the order is cancelled",
    "DC": "the examination was broken off",
}
_REPORT: Final = {
    "P": "a preliminary report",
    "F": "the final report",
    "C": "a corrected report",
    "X": "a withdrawn report",
}
_DIMSE: Final = {
    "C-ECHO": "checks that {to} answers",
    "C-STORE": "sends an image to {to}",
    "C-MOVE": "asks {to} to send the images",
    "C-GET": "fetches the images from {to}",
    "N-CREATE": "tells {to} that scanning has begun",
    "N-ACTION": "asks {to} to take responsibility for the images",
}
_TROUBLE: Final = {
    "lost": "the connection was lost before an answer came",
    "timeout": "no answer came in time",
    "refused": "the connection was refused",
    "garbled": "the answer broke the protocol",
}
CAPTIONS: Final = {
    "ehr": "ward's record",
    "ris": "radiology system",
    "pacs": "image archive",
    "modality": "scanner",
    "reader": "reading room",
    "probe": "only ask",
}
"""What each role is, for readers who do not know its name."""


def bytes_of(payload: Record | None, folder: Path) -> bytes:
    """Return the bytes of a payload of a journal exchange, ``b""`` when they cannot be read."""
    if not payload:
        return b""
    with contextlib.suppress(OSError, ValueError):
        if "text" in payload:
            return str(payload["text"]).encode()
        if "base64" in payload:
            return base64.b64decode(payload["base64"])
        path = folder / str(payload.get("file", ""))
        if path.is_file() and path.resolve().is_relative_to(folder.resolve()):
            return path.read_bytes()
    return b""


def text_of(payload: Record | None, folder: Path) -> str:
    """Return a payload as readable text."""
    data = bytes_of(payload, folder)
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def sentence(exchange: Record, to: str, role: str, folder: Path) -> str:
    """Return what the sender did, without naming it; ``to`` names the receiver, ``role`` is what the receiver is."""
    kind, facts = str(exchange["kind"]), exchange.get("facts") or {}
    if exchange["protocol"] == "hl7":
        said = _hl7(kind, to, role, bytes_of(exchange.get("request"), folder))
    elif exchange["protocol"] == "dimse":
        said = _dimse(kind, to, facts)
    elif exchange["protocol"] == "web":
        said = _web(kind, to)
    else:
        said = f"is told: {kind.replace('_', ' ')}"
    return said


def answer(exchange: Record) -> str:
    """Return how the other side answered, ``""`` when it simply accepted."""
    outcome = str(exchange.get("outcome") or "")
    if outcome in _TROUBLE:
        return _TROUBLE[outcome]
    protocol = exchange["protocol"]
    if protocol == "hl7" and outcome not in {"AA", "CA", ""}:
        return f"refused with {outcome}"
    if protocol == "dimse" and outcome not in {"0000", ""}:
        return f"answered with status {outcome}"
    if protocol == "web" and outcome.isdigit() and not outcome.startswith("2"):
        return f"answered with HTTP {outcome}"
    if protocol == "act" and outcome not in {"passed", "ok", ""}:
        return outcome
    return ""


def _hl7(kind: str, to: str, role: str, data: bytes) -> str:
    if kind in _TOLD:
        return _TOLD[kind].format(to=to)
    control = status = result = ""
    with contextlib.suppress(Exception):
        message = hl7.parse(data)
        control, status, result = message["ORC-1"], message["ORC-5"], message["OBR-25"]
    if kind.startswith("ORU"):
        return f"sends {_REPORT.get(result, 'a report')} to {to}"
    if kind[:3] not in _ORDERS:
        return f"sends {kind} to {to}"
    if control in {"SC", "SN", "SR"} and status in _STATUS:
        return f"tells {to}: {_STATUS[status]}"
    if control == "NW":
        return f"tells {to} what is scheduled" if role == "pacs" else f"orders the examination from {to}"
    if control in {"CA", "OC", "DC", "OD"}:
        return f"tells {to} that the order is cancelled"
    if control in {"XO", "XX", "RU"}:
        return f"tells {to} that the order was changed"
    return f"sends {kind}{f' ({control})' if control else ''} to {to}"


def _dimse(kind: str, to: str, facts: dict[str, Any]) -> str:
    if kind == "C-FIND":
        count = len(facts.get("answers") or [])
        model = str(facts.get("model") or "").lower()
        what = "worklist" if "worklist" in model or model.startswith("1.2.840.10008.5.1.4.31") else "studies"
        entries = (
            f"{count} {'entry' if count == 1 else 'entries'}" if what == "worklist" else f"{count} found"
        )
        return f"asks {to} for {'the worklist' if what == 'worklist' else 'studies'} ({entries})"
    if kind == "N-SET":
        state = str((facts.get("identifier") or {}).get("PerformedProcedureStepStatus") or "")
        said = {"COMPLETED": "that scanning is complete", "DISCONTINUED": "that scanning was broken off"}
        return f"tells {to} {said.get(state, 'how scanning goes on')}"
    if kind == "N-EVENT-REPORT":
        event = facts.get("identifier") or {}
        failed = len(event.get("FailedSOPSequence") or [])
        kept = len(event.get("ReferencedSOPSequence") or [])
        return f"answers {to}: {kept} images are safely kept" + (f", {failed} are not" if failed else "")
    return _DIMSE.get(kind, f"sends {kind} to {{to}}").format(to=to)


def _web(kind: str, to: str) -> str:
    method, _, path = kind.partition(" ")
    if method == "POST":
        return f"sends images to {to} over the web"
    if path.rstrip("/").endswith(("studies", "series", "instances")) or "?" in path:
        return f"asks {to} over the web what it holds"
    return f"fetches from {to} over the web"
