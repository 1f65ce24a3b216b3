"""A DICOM audit message as a FHIR R4 AuditEvent (the mapping "DICOM Tag" of the resource's own page)."""

from __future__ import annotations

import base64
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from datetime import datetime

    from stepwedge.wire.audit import AuditMessage, Code, Object, Participant

DCM: Final = "http://dicom.nema.org/resources/ontology/DCM"
_TERMINOLOGY: Final = "http://terminology.hl7.org/CodeSystem/"
ENTITY_TYPE: Final = f"{_TERMINOLOGY}audit-entity-type"
OBJECT_ROLE: Final = f"{_TERMINOLOGY}object-role"
LIFE_CYCLE: Final = f"{_TERMINOLOGY}dicom-audit-lifecycle"
SOURCE_TYPE: Final = f"{_TERMINOLOGY}security-source-type"


def audit_event(message: AuditMessage, name: str) -> dict[str, Any]:
    """Return the resource with the logical id ``name``; what the message does not tell is left out."""
    return _told(
        {
            "resourceType": "AuditEvent",
            "id": name,
            "type": _coding(message.event),
            "subtype": [_coding(kind) for kind in message.types],
            "action": message.action,
            "recorded": instant(message.at),
            "outcome": str(message.outcome),
            "outcomeDesc": message.description,
            "agent": [_agent(one) for one in message.participants],
            "source": _told(
                {
                    "site": message.site,
                    "observer": {"identifier": {"value": message.source}, "display": message.source},
                    "type": [_coding(kind, SOURCE_TYPE) for kind in message.source_kinds],
                }
            ),
            "entity": [_entity(one) for one in message.objects],
        }
    )


def instant(moment: datetime) -> str:
    """Write a FHIR instant in UTC."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _agent(one: Participant) -> dict[str, Any]:
    return _told(
        {
            "role": [{"coding": [_coding(role)]} for role in one.roles],
            "who": {"identifier": {"value": one.user}, "display": one.name or one.user} if one.user else {},
            "altId": one.alternative,
            "name": one.name,
            "requestor": one.requestor,
            "media": _coding(one.media) if one.media else {},
            "network": {"address": one.address, "type": one.address_kind} if one.address else {},
        }
    )


def _entity(one: Object) -> dict[str, Any]:
    details: list[dict[str, Any]] = [
        {"type": kind, "valueBase64Binary": base64.b64encode(value).decode("ascii")}
        for kind, value in one.details
    ]
    for held in one.contents:
        told = [
            *(("MPPS", uid) for uid in held.mpps),
            *(("Accession", number) for number in held.accessions),
            *(("SOPClass", uid) for uid, _, _ in held.classes),
            *(("Instance", uid) for _, _, instances in held.classes for uid in instances),
            *(("StudyIDs", uid) for uid in held.studies),
        ]
        details += [{"type": kind, "valueString": value} for kind, value in told if value]
    return _told(
        {
            "what": {"identifier": {"type": {"coding": [_coding(one.id_kind)]}, "value": one.id}}
            if one.id
            else {},
            "type": {"system": ENTITY_TYPE, "code": one.kind} if one.kind else {},
            "role": {"system": OBJECT_ROLE, "code": one.role} if one.role else {},
            "lifecycle": {"system": LIFE_CYCLE, "code": one.life_cycle} if one.life_cycle else {},
            "name": one.name,
            "query": base64.b64encode(one.query).decode("ascii") if one.query else "",
            "detail": details,
        }
    )


def _coding(code: Code, system: str = "") -> dict[str, Any]:
    return _told(
        {"system": system or (DCM if code.system == "DCM" else ""), "code": code.value, "display": code.text}
    )


def _told(value: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is empty: FHIR has no empty strings, lists or objects."""
    return {key: one for key, one in value.items() if one not in ("", [], {}, None)}
