"""The schema of DICOM audit messages (PS3.15 A.5.1.1) as a table, and what A.5.3 asks of each message beyond it."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from xml.etree.ElementTree import Element

MOST_COMPLAINTS: Final = 50

_DATE_TIME: Final = re.compile(
    r"\d{4,}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?(Z|[+-]\d\d:\d\d)?",
    re.ASCII,
)


def _text(_: str) -> str:
    return ""


def _date_time(value: str) -> str:
    return "" if _DATE_TIME.fullmatch(value) else "an xsd:dateTime"


def _boolean(value: str) -> str:
    return "" if value.strip() in {"true", "false", "0", "1"} else "true or false"


def _integer(value: str) -> str:
    return "" if re.fullmatch(r"\s*[+-]?\d{1,18}\s*", value, re.ASCII) else "a whole number"


def _base64(value: str) -> str:
    try:
        base64.b64decode("".join(value.split()), validate=True)
    except (binascii.Error, ValueError):
        return "base64"
    return ""


def _one_of(*values: str) -> Callable[[str], str]:
    return lambda value: "" if value in values else f"one of {', '.join(values)}"


def _up_to(last: int) -> Callable[[str], str]:
    return _one_of(*(str(number) for number in range(1, last + 1)))


@dataclass(frozen=True, slots=True)
class Shape:
    """What one element may hold.

    Attributes:
        children: content model, as a DTD writes it.
        attributes: name to the test of its value; a name that ends in ``?`` may be left out.
        content: test of its text; None when it has none.
    """

    children: str = ""
    attributes: Mapping[str, Callable[[str], str]] = field(default_factory=dict)
    content: Callable[[str], str] | None = None


_CODE: Final = Shape(
    "", {"csd-code": _text, "codeSystemName": _text, "displayName?": _text, "originalText": _text}
)
_UID: Final = Shape("", {"UID": _text})
_LEAF: Final = Shape(content=_text)
SHAPES: Final[dict[str, Shape]] = {
    "AuditMessage": Shape(
        "EventIdentification, ActiveParticipant+, AuditSourceIdentification, ParticipantObjectIdentification*"
    ),
    "EventIdentification": Shape(
        "EventID, EventTypeCode*, EventOutcomeDescription?",
        {
            "EventActionCode?": _one_of("C", "R", "U", "D", "E"),
            "EventDateTime": _date_time,
            "EventOutcomeIndicator": _one_of("0", "4", "8", "12"),
        },
    ),
    "EventID": _CODE,
    "EventTypeCode": _CODE,
    "EventOutcomeDescription": _LEAF,
    "ActiveParticipant": Shape(
        "RoleIDCode*, MediaIdentifier?",
        {
            "UserID": _text,
            "AlternativeUserID?": _text,
            "UserName?": _text,
            "UserIsRequestor": _boolean,
            "NetworkAccessPointID?": _text,
            "NetworkAccessPointTypeCode?": _up_to(5),
        },
    ),
    "RoleIDCode": _CODE,
    "MediaIdentifier": Shape("MediaType"),
    "MediaType": _CODE,
    "AuditSourceIdentification": Shape(
        "AuditSourceTypeCode*", {"AuditEnterpriseSiteID?": _text, "AuditSourceID": _text}
    ),
    "AuditSourceTypeCode": Shape(
        "", {"csd-code": _text, "codeSystemName?": _text, "displayName?": _text, "originalText?": _text}
    ),
    "ParticipantObjectIdentification": Shape(
        "ParticipantObjectIDTypeCode, (ParticipantObjectName | ParticipantObjectQuery), ParticipantObjectDetail*,"
        " ParticipantObjectDescription*",
        {
            "ParticipantObjectID": _text,
            "ParticipantObjectTypeCode?": _up_to(4),
            "ParticipantObjectTypeCodeRole?": _up_to(26),
            "ParticipantObjectDataLifeCycle?": _up_to(15),
            "ParticipantObjectSensitivity?": _text,
        },
    ),
    "ParticipantObjectIDTypeCode": _CODE,
    "ParticipantObjectName": _LEAF,
    "ParticipantObjectQuery": Shape(content=_base64),
    "ParticipantObjectDetail": Shape("", {"type": _text, "value": _base64}),
    "ParticipantObjectDescription": Shape(
        "MPPS*, Accession*, SOPClass*, ParticipantObjectContainsStudy?, Encrypted?, Anonymized?"
    ),
    "MPPS": _UID,
    "Accession": Shape("", {"Number": _text}),
    "SOPClass": Shape("Instance*", {"UID?": _text, "NumberOfInstances": _integer}),
    "Instance": _UID,
    "ParticipantObjectContainsStudy": Shape("StudyIDs*"),
    "StudyIDs": _UID,
    "Encrypted": Shape(content=_boolean),
    "Anonymized": Shape(content=_boolean),
}


def _compiled(model: str) -> re.Pattern[str]:
    """Turn a content model into a pattern over the names of the children, each followed by a space."""
    return re.compile(re.sub(r"\w+", lambda name: f"(?:{name[0]} )", model.replace(" ", "")).replace(",", ""))


_MODELS: Final = {name: _compiled(shape.children) for name, shape in SHAPES.items()}


def complaints(root: Element) -> list[str]:
    """Say what of a document is against the schema, each with its place; empty when it is valid."""
    if root.tag != "AuditMessage":
        return [f"{root.tag}: the document must be an AuditMessage"]
    found: list[str] = []
    for one in _judge(root, root.tag):
        found.append(one)
        if len(found) == MOST_COMPLAINTS:
            break
    return found


def _judge(element: Element, path: str) -> Iterator[str]:
    shape = SHAPES[element.tag]
    yield from _attributes(element, shape, path)
    text = "".join([element.text or "", *((child.tail or "") for child in element)])
    if shape.content is None and text.strip():
        yield f"{path}: text where none may stand"
    elif shape.content is not None and (wanted := shape.content(element.text or "")):
        yield f"{path}: {wanted} expected"
    names = [child.tag for child in element]
    if not _MODELS[element.tag].fullmatch("".join(f"{name} " for name in names)):
        yield f"{path}: holds {', '.join(names) or 'nothing'}; must hold {shape.children or 'nothing'}"
    seen: dict[str, int] = {}
    for child in element:
        seen[child.tag] = number = seen.get(child.tag, 0) + 1
        if child.tag in SHAPES:
            yield from _judge(child, f"{path}/{child.tag}[{number}]")


def _attributes(element: Element, shape: Shape, path: str) -> Iterator[str]:
    known = {name.rstrip("?"): (name, test) for name, test in shape.attributes.items()}
    for name in element.attrib:
        # an xsi:noNamespaceSchemaLocation says where a schema lies; senders write it, and it is in no schema
        if name not in known and not name.startswith("xsi:") and name != "xmlns:xsi":
            yield f"{path}/@{name}: there is no such attribute"
    for name, (written, test) in known.items():
        if name not in element.attrib:
            if not written.endswith("?"):
                yield f"{path}/@{name}: missing"
        elif wanted := test(element.attrib[name]):
            yield f"{path}/@{name}: {wanted} expected"


@dataclass(frozen=True, slots=True)
class Event:
    """What PS3.15 A.5.3 asks of the messages about one kind of event.

    Attributes:
        name: code meaning of the EventID (PS3.16 CID 400).
        section: where it is described.
        actions: what EventActionCode may be.
        types: EventTypeCodes of which one must be there; empty when none is asked for.
        roles: RoleIDCodes that must each have a participant.
        objects: kinds of participant objects that must be there when the event succeeded.
    """

    name: str
    section: str
    actions: str
    types: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    objects: tuple[str, ...] = ()


APPLICATION, LAUNCHER, DESTINATION, SOURCE = "110150", "110151", "110152", "110153"
_ENDS: Final = (SOURCE, DESTINATION)
_IMAGES: Final = ("study", "patient")
EVENTS: Final[dict[str, Event]] = {
    "110100": Event("Application Activity", "A.5.3.1", "E", ("110120", "110121"), (APPLICATION,)),
    "110101": Event("Audit Log Used", "A.5.3.2", "R", objects=("log",)),
    "110102": Event("Begin Transferring DICOM Instances", "A.5.3.3", "E", roles=_ENDS, objects=_IMAGES),
    "110103": Event("DICOM Instances Accessed", "A.5.3.6", "CRUD", objects=_IMAGES),
    "110104": Event("DICOM Instances Transferred", "A.5.3.7", "CRU", roles=_ENDS, objects=_IMAGES),
    "110105": Event("DICOM Study Deleted", "A.5.3.8", "D", objects=_IMAGES),
    "110106": Event("Export", "A.5.3.4", "R", objects=_IMAGES),
    "110107": Event("Import", "A.5.3.5", "C", objects=_IMAGES),
    "110108": Event("Network Entry", "A.5.3.9", "E", ("110124", "110125")),
    "110109": Event("Order Record", "A.5.3.13", "CRUD", objects=("patient",)),
    "110110": Event("Patient Record", "A.5.3.14", "CRUD", objects=("patient",)),
    "110111": Event("Procedure Record", "A.5.3.15", "CRUD", objects=("patient",)),
    "110112": Event("Query", "A.5.3.10", "E", roles=_ENDS, objects=("query",)),
    "110113": Event("Security Alert", "A.5.3.11", "E", tuple(str(code) for code in range(110126, 110143))),
    "110114": Event("User Authentication", "A.5.3.12", "E", ("110122", "110123")),
}
"""PS3.15 A.5.3 by EventID, codes of PS3.16 CID 400 and 401 (DCM)."""
