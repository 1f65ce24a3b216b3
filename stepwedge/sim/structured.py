"""Content items of structured reports (PS3.3 C.17.3): written as data set elements, and read back by concept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

Elements = dict[str, Any]
Code = tuple[str, str, str]
"""Code Value, Coding Scheme Designator, Code Meaning."""

DEEPEST: Final = 32
"""Levels of nesting that are read; a report that goes deeper is no report of ours or of any template."""


def dcm(value: str, meaning: str) -> Code:
    """Return a code of PS3.16 annex D."""
    return value, "DCM", meaning


def sct(value: str, meaning: str) -> Code:
    """Return a SNOMED CT code."""
    return value, "SCT", meaning


def coded(code: Code) -> Elements:
    """Return a code sequence item (PS3.3 table 8.8-1)."""
    value, scheme, meaning = code
    return {"CodeValue": value, "CodingSchemeDesignator": scheme, "CodeMeaning": meaning}


def item(kind: str, concept: Code, relation: str = "CONTAINS", children: Any = (), **value: Any) -> Elements:
    """Return one content item of value type ``kind``; ``relation`` is to its parent, "" for the root."""
    return {
        **({"RelationshipType": relation} if relation else {}),
        "ValueType": kind,
        "ConceptNameCodeSequence": [coded(concept)],
        **value,
        **({"ContentSequence": list(children)} if children else {}),
    }


def container(concept: Code, *children: Elements, relation: str = "CONTAINS", template: str = "") -> Elements:
    """Return a container; ``template`` is its identifier in PS3.16, where it has one."""
    told = {"ContentTemplateSequence": [{"MappingResource": "DCMR", "TemplateIdentifier": template}]}
    more = told if template else {}
    return item("CONTAINER", concept, relation, children, ContinuityOfContent="SEPARATE", **more)


def code(concept: Code, value: Code, relation: str = "CONTAINS", *children: Elements) -> Elements:
    """Return a coded value."""
    return item("CODE", concept, relation, children, ConceptCodeSequence=[coded(value)])


def number(
    concept: Code, value: str, unit: Code, relation: str = "CONTAINS", *children: Elements
) -> Elements:
    """Return a measurement: a decimal string and its UCUM unit."""
    measured = {"MeasurementUnitsCodeSequence": [coded(unit)], "NumericValue": value}
    return item("NUM", concept, relation, children, MeasuredValueSequence=[measured])


def text(concept: Code, value: str, relation: str = "CONTAINS") -> Elements:
    """Return a text."""
    return item("TEXT", concept, relation, TextValue=value)


def uid(concept: Code, value: str, relation: str = "CONTAINS") -> Elements:
    """Return a UID."""
    return item("UIDREF", concept, relation, UID=value)


def moment(concept: Code, value: str, relation: str = "CONTAINS") -> Elements:
    """Return a date and time, ``YYYYMMDDHHMMSS``."""
    return item("DATETIME", concept, relation, DateTime=value)


def image(concept: Code, sop_class: str, sop: str, relation: str = "CONTAINS") -> Elements:
    """Return a reference to an image."""
    reference = {"ReferencedSOPClassUID": sop_class, "ReferencedSOPInstanceUID": sop}
    return item("IMAGE", concept, relation, ReferencedSOPSequence=[reference])


def ucum(unit: str, meaning: str = "") -> Code:
    """Return a unit of measurement (PS3.16 CID 82)."""
    return unit, "UCUM", meaning or unit


def found(node: Elements, value: str, depth: int = 0) -> Iterator[Elements]:
    """Yield every content item below ``node`` whose concept has this Code Value, in document order."""
    if depth > DEEPEST:
        return
    for child in node.get("ContentSequence") or []:
        names = child.get("ConceptNameCodeSequence") or [{}]
        if names[0].get("CodeValue") == value:
            yield child
        yield from found(child, value, depth + 1)


def measured(content: Elements) -> tuple[str, str]:
    """Return value and unit of a numeric content item; both empty when it was not measured."""
    values = content.get("MeasuredValueSequence") or [{}]
    units = values[0].get("MeasurementUnitsCodeSequence") or [{}]
    return str(values[0].get("NumericValue") or ""), str(units[0].get("CodeValue") or "")
