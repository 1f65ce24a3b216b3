"""Read what came: a syslog message into a record, its identifiers, and whether it may be kept at all. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from stepwedge.errors import RemoteProtocolError
from stepwedge.evidence.redact import Identity, refusal
from stepwedge.sim import keys
from stepwedge.wire import audit, syslog
from stepwedge.wire.audit_fhir import instant
from stepwedge.wire.audit_xml import parse, read
from stepwedge.wire.elements import IMPLICIT_LE, decode

from .state import Record

if TYPE_CHECKING:
    from datetime import datetime

    from stepwedge.evidence.exchange import Keys
    from stepwedge.wire.audit import AuditMessage, Object

KINDS: Final = frozenset({"IHE+RFC-3881"})
"""MSGID of audit messages (ITI-20); another one is a problem of the record, not a reason to lose it."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one syslog message turned out to be.

    Attributes:
        record: without number and seal.
        found: the identifiers it speaks of.
        instances: how many SOP instances it speaks of.
        refused: why nothing of it may be kept; its ``raw`` is empty then, and its identifiers are not told.
    """

    record: Record
    found: Keys = field(default_factory=dict)
    instances: int = 0
    refused: str = ""


def take(raw: bytes, peer: str, transport: str, now: datetime, identity: Identity) -> Reading:
    """Read one syslog message."""
    blank = Record(0, instant(now), transport, peer, "", "", b"")
    try:
        message = syslog.parse(raw)
    except RemoteProtocolError as trouble:
        return Reading(replace(blank, problems=(str(trouble),)))
    numbered = "sequenceId" in message.data.get("meta", {})  # RFC 5424 section 7.3.1
    digest = hashlib.sha256(raw).hexdigest() if numbered else ""
    head = replace(blank, host=message.host, application=message.application, message=digest)
    strange = (
        () if message.kind in KINDS else (f"MSGID is {message.kind or 'nil'}, not IHE+RFC-3881 (ITI-20)",)
    )
    try:
        told = parse(message.text)
    except RemoteProtocolError as trouble:
        return _unreadable(message.text, head, (*strange, str(trouble)), identity)
    patients = told.ids("patient")
    if any(why := refusal(identity, patients=[one.partition("^")[0]]) for one in patients):
        return Reading(replace(head, problems=(why,)), refused=why)
    record = describe(told, replace(head, raw=message.text, problems=(*strange, *audit.complaints(told))))
    instances = sum(count for one in told.objects for held in one.contents for _, count, _ in held.classes)
    return Reading(record, _keys(told), instances)


def _unreadable(text: bytes, head: Record, problems: tuple[str, ...], identity: Identity) -> Reading:
    """Keep an audit message that is against the schema, but no text of which nobody can say whom it is about."""
    try:
        root = read(text)
    except RemoteProtocolError:
        return Reading(replace(head, problems=problems))
    people = [
        one.get("ParticipantObjectID", "").partition("^")[0]
        for one in root.iter("ParticipantObjectIdentification")
        if one.get("ParticipantObjectTypeCode", "1") == "1"
    ]
    if any(why := refusal(identity, patients=[one]) for one in people):
        return Reading(replace(head, problems=(why,)), refused=why)
    return Reading(replace(head, raw=text, problems=problems))


def describe(told: AuditMessage, head: Record) -> Record:
    """Put what an audit message says into its record."""
    return replace(
        head,
        event=told.event.value,
        action=told.action,
        outcome=told.outcome,
        at=instant(told.at),
        source=told.source,
        types=tuple(kind.value for kind in told.types),
        users=tuple(one.user for one in told.participants),
        addresses=tuple(one.address for one in told.participants if one.address),
        patients=tuple(told.ids("patient")),
        entities=tuple(dict.fromkeys(one.id for one in told.objects if one.id)),
        accessions=tuple(told.accessions()),
    )


def _keys(told: AuditMessage) -> Keys:
    """Return the identifiers of the objects; of a query those it asks with."""
    found: Keys = {}
    for one in told.objects:
        if one.stands_for == "query":
            found = keys.merge(found, _asked(one))
        elif one.stands_for in {"patient", "study"} and one.id:
            keys.add(found, one.stands_for, one.id.partition("^")[0])
        for held in one.contents:
            for kind, values in (
                ("mpps", held.mpps),
                ("accession", held.accessions),
                ("study", held.studies),
            ):
                for value in values:
                    keys.add(found, kind, value)
            for _, _, instances in held.classes:
                for uid in instances:
                    keys.add(found, "sop", uid)
    return found


def _asked(one: Object) -> Keys:
    """Return the identifiers a query names: a data set in its transfer syntax, or a URL."""
    details = dict(one.details)
    query = one.query or b""
    if "MSH-10" in details:  # QPD of a query message
        return {"control": [details["MSH-10"].decode("utf-8", "replace")]}
    if "QueryEncoding" in details:
        path, _, search = query.decode("utf-8", "replace").partition("?")
        return keys.of_url(path, search)
    try:
        return keys.of_values(
            decode(query, explicit=details.get("TransferSyntax", b"") != IMPLICIT_LE.encode())
        )
    except RemoteProtocolError:
        return {}
