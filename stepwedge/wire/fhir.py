"""FHIR R4 (4.0.1) resources as plain dicts: reading and writing JSON, references, OperationOutcome.

Pure. JSON is read with limits before anything is believed: bytes, depth, length of numbers; a key twice, ``NaN`` and null
are refused. Decimals stay :class:`decimal.Decimal`, so that ``1.00`` is written as ``1.00`` again (hl7.org/fhir/R4/datatypes.html,
section *decimal*: precision is significant).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from json.encoder import encode_basestring
from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import RemoteProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Resource = dict[str, Any]

VERSION: Final = "4.0.1"
MEDIA_TYPE: Final = "application/fhir+json"
LARGEST: Final = 8 << 20
"""Bytes of one resource or bundle."""
DEEPEST: Final = 40
"""Objects and lists in each other; no resource we know needs half of it."""
LONGEST_NUMBER: Final = 64
ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")
"""The ``id`` type (hl7.org/fhir/R4/datatypes.html#id)."""
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")
"""What a FHIR string may not hold: control characters but tab, CR and LF, and halves of surrogate pairs."""


@dataclass(frozen=True, slots=True)
class Issue:
    """One problem, as OperationOutcome.issue tells it.

    Attributes:
        code: of the value set IssueType (``required``, ``value``, ``structure``, ``not-found``, ...).
        text: what is wrong, for a person.
        expression: FHIRPath of the element (``Patient.birthDate``); empty when it concerns no element.
    """

    code: str
    text: str
    expression: str = ""
    severity: str = "error"


class FhirError(RemoteProtocolError):
    """A request that cannot be done, with the HTTP status and the issues that say why."""

    def __init__(self, status: int, *issues: Issue) -> None:
        """Keep what the answer will hold; its text is that of the issues."""
        super().__init__("; ".join(f"{one.expression or one.code}: {one.text}" for one in issues))
        self.status, self.issues = status, issues


def refused(status: int, code: str, text: str, expression: str = "") -> FhirError:
    """Return the error with one issue."""
    return FhirError(status, Issue(code, text, expression))


def read(raw: bytes, limit: int = LARGEST) -> Resource:
    """Read one resource; whatever is wrong with the JSON is a :class:`FhirError` of status 400, 413 or 415."""
    if len(raw) > limit:
        raise refused(413, "too-costly", f"at most {limit} bytes are taken")
    if raw.lstrip()[:1] == b"<":
        raise refused(415, "not-supported", "XML is not taken here, only application/fhir+json")
    try:
        value = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_pairs,
            parse_float=_decimal,
            parse_int=_integer,
            parse_constant=_constant,
        )
    except (UnicodeDecodeError, ValueError, InvalidOperation) as error:
        raise refused(400, "structure", f"no JSON that can be taken: {error}") from error
    except RecursionError as error:
        raise refused(400, "structure", f"nested more than {DEEPEST} deep") from error
    if not isinstance(value, dict):
        raise refused(400, "structure", "a resource is a JSON object")
    _bounded(value, 1)
    return value


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice[:40]!r} stands twice in one object")
    return found


def _decimal(text: str) -> Decimal:
    if len(text) > LONGEST_NUMBER:
        raise ValueError(f"a number of {len(text)} characters")
    return Decimal(text)


def _integer(text: str) -> int:
    if len(text) > LONGEST_NUMBER:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


def _constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON number")


def _bounded(value: Any, depth: int) -> None:
    if depth > DEEPEST:
        raise refused(400, "structure", f"nested more than {DEEPEST} deep")
    if isinstance(value, dict):
        for key, item in value.items():
            if _CONTROL.search(key):
                raise refused(400, "structure", "a key holds a control character")
            _bounded(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _bounded(item, depth + 1)
    elif isinstance(value, str) and _CONTROL.search(value):
        raise refused(400, "value", "a text holds a control character or half a surrogate pair")


def tellable(value: Any) -> Any:
    """Return a value with U+FFFD for every character that a FHIR string may not hold; HL7 and DICOM texts may hold them."""
    match value:
        case str():
            return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", value)
        case dict():
            return {key: tellable(item) for key, item in value.items()}
        case list():
            return [tellable(item) for item in value]
    return value


def write(resource: Resource) -> bytes:
    """Write a resource, decimals exactly as they were read."""
    return _written(resource).encode()


def _written(value: Any) -> str:
    kind = type(value)
    if kind is str:
        return encode_basestring(value)
    if kind is dict:
        members = [
            f"{encode_basestring(key)}:{encode_basestring(item) if type(item) is str else _written(item)}"
            for key, item in value.items()
        ]
        return f"{{{','.join(members)}}}"
    if kind is list or kind is tuple:
        return f"[{','.join([_written(item) for item in value])}]"
    if value is None or kind is bool:
        return json.dumps(value)
    if isinstance(value, str):
        return encode_basestring(value)
    if isinstance(value, int | Decimal):
        return str(value)
    raise TypeError(f"a resource cannot hold a {type(value).__name__}")


def outcome(issues: Iterable[Issue]) -> Resource:
    """Return the OperationOutcome of some issues."""
    told = []
    for issue in issues:
        one: Resource = {"severity": issue.severity, "code": issue.code, "diagnostics": issue.text}
        if issue.expression:
            one["expression"] = [issue.expression]
        told.append(one)
    return {"resourceType": "OperationOutcome", "issue": told}


def diagnostics(resource: Resource) -> str:
    """Return what an OperationOutcome says, on one line; empty for another resource."""
    said = []
    for issue in resource.get("issue", ()) if resource.get("resourceType") == "OperationOutcome" else ():
        details = issue.get("details") or {}
        where = ", ".join(issue.get("expression", ()))
        text = issue.get("diagnostics") or details.get("text") or issue.get("code", "")
        said.append(f"{where}: {text}" if where else str(text))
    return "; ".join(said)


@dataclass(frozen=True, slots=True)
class Ref:
    """A literal reference taken apart (hl7.org/fhir/R4/references.html#literal)."""

    kind: str
    id: str
    base: str = ""
    version: str = ""


_LITERAL: Final = re.compile(
    r"(?:(?P<base>https?://[^\s?#]+)/)?(?P<kind>[A-Z][A-Za-z]{1,40})/(?P<id>[A-Za-z0-9\-.]{1,64})"
    r"(?:/_history/(?P<version>[A-Za-z0-9\-.]{1,64}))?"
)
URN: Final = re.compile(
    r"urn:(?:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|oid:[0-2](?:\.(?:0|[1-9]\d*))+)"
)


def reference(text: str) -> Ref | None:
    """Take a literal reference to a RESTful resource apart; None for anything else (fragment, URN, another URL)."""
    found = _LITERAL.fullmatch(text)
    return Ref(found["kind"], found["id"], found["base"] or "", found["version"] or "") if found else None


def walk(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every object in a resource, itself first."""
    if isinstance(value, dict):
        yield value
        for item in value.values():
            yield from walk(item)
    elif isinstance(value, list):
        for item in value:
            yield from walk(item)


def at(value: Any, path: str) -> list[Any]:
    """Return every value at a dotted path, through lists (``name.family``); none is an empty list."""
    found = [value]
    for step in path.split("."):
        inner: list[Any] = []
        for one in found:
            item = one.get(step) if isinstance(one, dict) else None
            inner += item if isinstance(item, list) else [] if item is None else [item]
        found = inner
    return found
