"""DICOM audit messages as XML (PS3.15 A.5.1): written whole, read with every length and depth bounded."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree as ET
from xml.parsers import expat

from stepwedge.errors import RemoteProtocolError
from stepwedge.wire import audit_schema
from stepwedge.wire.audit import AuditMessage, Code, Contents, Object, Participant

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

LARGEST: Final = 1 << 20
"""Octets of one document that are read."""
DEEPEST: Final = 16
"""Elements inside one another; the schema needs six."""
MOST_ELEMENTS: Final = 20_000
_ILLEGAL: Final = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters XML 1.0 has no way to write."""
_DECLARATION: Final = b'<?xml version="1.0" encoding="UTF-8"?>'


def compose(message: AuditMessage) -> bytes:
    """Write a message as UTF-8 XML; characters that XML cannot carry become question marks."""
    root = ET.Element("AuditMessage")
    told = _add(
        root,
        "EventIdentification",
        EventActionCode=message.action,
        EventDateTime=message.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        EventOutcomeIndicator=str(message.outcome),
    )
    _code(told, "EventID", message.event)
    for kind in message.types:
        _code(told, "EventTypeCode", kind)
    if message.description:
        _add(told, "EventOutcomeDescription").text = _clean(message.description)
    for participant in message.participants:
        _participant(root, participant)
    source = _add(
        root, "AuditSourceIdentification", AuditEnterpriseSiteID=message.site, AuditSourceID=message.source
    )
    for kind in message.source_kinds:
        plain = {"csd-code": kind.value}
        ET.SubElement(source, "AuditSourceTypeCode", plain if not kind.text else _coded(kind))
    for one in message.objects:
        _object(root, one)
    return _DECLARATION + ET.tostring(root, encoding="unicode").encode()


def _participant(root: Element, one: Participant) -> None:
    told = _add(
        root,
        "ActiveParticipant",
        UserID=one.user,
        AlternativeUserID=one.alternative,
        UserName=one.name,
        UserIsRequestor="true" if one.requestor else "false",
        NetworkAccessPointID=one.address,
        NetworkAccessPointTypeCode=one.address_kind if one.address else "",
    )
    told.attrib.setdefault("UserID", "")
    for role in one.roles:
        _code(told, "RoleIDCode", role)
    if one.media is not None:
        _code(_add(told, "MediaIdentifier"), "MediaType", one.media)


def _object(root: Element, one: Object) -> None:
    told = _add(
        root,
        "ParticipantObjectIdentification",
        ParticipantObjectID=one.id,
        ParticipantObjectTypeCode=one.kind,
        ParticipantObjectTypeCodeRole=one.role,
        ParticipantObjectDataLifeCycle=one.life_cycle,
        ParticipantObjectSensitivity=one.sensitivity,
    )
    told.attrib.setdefault("ParticipantObjectID", "")
    _code(told, "ParticipantObjectIDTypeCode", one.id_kind)
    if one.query is None:
        _add(told, "ParticipantObjectName").text = _clean(one.name)
    else:
        _add(told, "ParticipantObjectQuery").text = base64.b64encode(one.query).decode("ascii")
    for kind, value in one.details:
        ET.SubElement(
            told,
            "ParticipantObjectDetail",
            {"type": _clean(kind), "value": base64.b64encode(value).decode("ascii")},
        )
    for held in one.contents:
        _contents(_add(told, "ParticipantObjectDescription"), held)


def _contents(told: Element, held: Contents) -> None:
    for uid in held.mpps:
        _add(told, "MPPS", UID=uid)
    for number in held.accessions:
        _add(told, "Accession", Number=number)
    for uid, count, instances in held.classes:
        sop_class = _add(told, "SOPClass", UID=uid, NumberOfInstances=str(count))
        for instance in instances:
            _add(sop_class, "Instance", UID=instance)
    if held.studies:
        studies = _add(told, "ParticipantObjectContainsStudy")
        for uid in held.studies:
            _add(studies, "StudyIDs", UID=uid)
    for name, flag in (("Encrypted", held.encrypted), ("Anonymized", held.anonymized)):
        if flag is not None:
            _add(told, name).text = "true" if flag else "false"


def _add(parent: Element, name: str, **attributes: str) -> Element:
    """Add an element with those attributes that have a value."""
    return ET.SubElement(parent, name, {key: _clean(value) for key, value in attributes.items() if value})


def _coded(code: Code) -> dict[str, str]:
    return {"csd-code": code.value, "codeSystemName": code.system, "originalText": code.text}


def _code(parent: Element, name: str, code: Code) -> None:
    ET.SubElement(parent, name, {key: _clean(value) for key, value in _coded(code).items()})


def _clean(text: str) -> str:
    return _ILLEGAL.sub("?", text)


# Reading


def read(raw: bytes) -> Element:
    """Read a document: bounded in size, depth and number of elements, without document type or entities.

    Raises:
        RemoteProtocolError: it is not well formed, or has what no audit message needs.
    """
    if len(raw) > LARGEST:
        raise RemoteProtocolError(f"an audit message of {len(raw)} octets; at most {LARGEST} are read")
    builder = ET.TreeBuilder()
    depth = count = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth, count
        depth, count = depth + 1, count + 1
        if depth > DEEPEST or count > MOST_ELEMENTS:
            raise RemoteProtocolError(
                f"an audit message of more than {DEEPEST} levels or {MOST_ELEMENTS} elements"
            )
        builder.start(name, attributes)

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(name)

    def refuse(*_: Any) -> None:
        raise RemoteProtocolError("an audit message with a document type or entities is not read")

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    try:
        parser.Parse(raw.removeprefix(b"\xef\xbb\xbf"), True)  # noqa: FBT003 - expat's own signature: final
        return builder.close()
    except (expat.ExpatError, LookupError, ValueError) as trouble:
        raise RemoteProtocolError(f"not well-formed XML: {trouble}") from None


def parse(raw: bytes) -> AuditMessage:
    """Read a message that is valid by the schema of A.5.1; what is not is a RemoteProtocolError with every place."""
    root = read(raw)
    if wrong := audit_schema.complaints(root):
        raise RemoteProtocolError("not valid by PS3.15 A.5.1: " + "; ".join(wrong))
    told, source = root[0], next(one for one in root if one.tag == "AuditSourceIdentification")
    return AuditMessage(
        _read_code(told[0]),
        told.get("EventActionCode", ""),
        _moment(told.attrib["EventDateTime"]),
        int(told.attrib["EventOutcomeIndicator"]),
        tuple(_read_participant(one) for one in root.iter("ActiveParticipant")),
        source.attrib["AuditSourceID"],
        tuple(_read_object(one) for one in root.iter("ParticipantObjectIdentification")),
        tuple(_read_code(one) for one in told.iter("EventTypeCode")),
        told.findtext("EventOutcomeDescription") or "",
        source.get("AuditEnterpriseSiteID", ""),
        tuple(_read_code(one) for one in source),
    )


def _moment(text: str) -> datetime:
    """Read an xsd:dateTime; one without a zone is taken for UTC, as A.5.2 wants times to be."""
    fraction = re.sub(r"(\.\d{6})\d+", r"\1", text)
    try:
        moment = datetime.fromisoformat(fraction)
    except ValueError:
        raise RemoteProtocolError(f"EventDateTime {text!r} is no moment") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _read_code(one: Element) -> Code:
    return Code(one.attrib["csd-code"], one.get("codeSystemName", ""), one.get("originalText", ""))


def _read_participant(one: Element) -> Participant:
    media = one.find("MediaIdentifier/MediaType")
    return Participant(
        one.attrib["UserID"],
        one.attrib["UserIsRequestor"].strip() in {"true", "1"},
        tuple(_read_code(role) for role in one.findall("RoleIDCode")),
        one.get("AlternativeUserID", ""),
        one.get("UserName", ""),
        one.get("NetworkAccessPointID", ""),
        one.get("NetworkAccessPointTypeCode", "2"),
        None if media is None else _read_code(media),
    )


def _read_object(one: Element) -> Object:
    query = one.find("ParticipantObjectQuery")
    return Object(
        one.attrib["ParticipantObjectID"],
        _read_code(one[0]),
        one.get("ParticipantObjectTypeCode", ""),
        one.get("ParticipantObjectTypeCodeRole", ""),
        one.get("ParticipantObjectDataLifeCycle", ""),
        one.get("ParticipantObjectSensitivity", ""),
        one.findtext("ParticipantObjectName") or "",
        None if query is None else base64.b64decode(query.text or ""),
        tuple(
            (detail.attrib["type"], base64.b64decode(detail.attrib["value"]))
            for detail in one.findall("ParticipantObjectDetail")
        ),
        tuple(_read_contents(held) for held in one.findall("ParticipantObjectDescription")),
    )


def _read_contents(held: Element) -> Contents:
    def flag(name: str) -> bool | None:
        text = held.findtext(name)
        return None if text is None else text.strip() in {"true", "1"}

    return Contents(
        tuple(one.attrib["UID"] for one in held.findall("MPPS")),
        tuple(one.attrib["Number"] for one in held.findall("Accession")),
        tuple(
            (one.get("UID", ""), int(one.attrib["NumberOfInstances"]), tuple(i.attrib["UID"] for i in one))
            for one in held.findall("SOPClass")
        ),
        tuple(one.attrib["UID"] for one in held.iter("StudyIDs")),
        flag("Encrypted"),
        flag("Anonymized"),
    )
