"""Searching resources as FHIR R4 has it (hl7.org/fhir/R4/search.html): parameters of each type, and reading a query. Pure.

Token, string, date, reference, uri and number of a page; modifiers ``:exact :contains :missing :not :identifier``. A
parameter that is not known is an error when the client asks for strict handling (``Prefer: handling=strict``), and left out
of the ``self`` link otherwise, so that a client can see what was not applied.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from stepwedge.wire.fhir import refused
from stepwedge.wire.fhir_primitives import date_complaint

if TYPE_CHECKING:
    from collections.abc import Sequence

PARAMETERS: Final = """
Patient
  identifier token identifier
  family string name.family
  given string name.given
  name string name.family name.given name.prefix name.suffix name.text
  birthdate date birthDate
  gender token gender
  active token active
  link reference link.other
Encounter
  identifier token identifier
  status token status
  class token class
  patient reference subject
  subject reference subject
  date date period
ServiceRequest
  identifier token identifier
  requisition token requisition
  status token status
  intent token intent
  priority token priority
  code token code
  patient reference subject
  subject reference subject
  encounter reference encounter
  based-on reference basedOn
  authored date authoredOn
Appointment
  identifier token identifier
  status token status
  date date start
  actor reference participant.actor
  patient reference participant.actor
  based-on reference basedOn
Task
  identifier token identifier
  group-identifier token groupIdentifier
  status token status
  business-status token businessStatus
  code token code
  intent token intent
  focus reference focus
  based-on reference basedOn
  patient reference for
  subject reference for
  authored-on date authoredOn
  modified date lastModified
ImagingStudy
  identifier token identifier
  status token status
  modality token series.modality modality
  series token series.uid
  instance token series.instance.uid
  dicom-class token series.instance.sopClass
  started date started
  patient reference subject
  subject reference subject
  basedon reference basedOn
  encounter reference encounter
DiagnosticReport
  identifier token identifier
  status token status
  code token code
  category token category
  issued date issued
  date date effectiveDateTime effectivePeriod
  patient reference subject
  subject reference subject
  based-on reference basedOn
  encounter reference encounter
  result reference result
Observation
  identifier token identifier
  status token status
  code token code
  category token category
  date date effectiveDateTime effectivePeriod effectiveInstant
  value-string string valueString
  patient reference subject
  subject reference subject
  based-on reference basedOn
  encounter reference encounter
AuditEvent
  date date recorded
  type token type
  subtype token subtype
  action token action
  outcome token outcome
  agent reference agent.who
  altid token agent.altId
  agent-name string agent.name
  entity reference entity.what
  patient reference agent.who entity.what
  source reference source.observer
Subscription
  status token status
  criteria string criteria
  type token channel.type
  url uri channel.endpoint
"""
"""Search parameters by type: name, kind, and where in the resource its values stand (hl7.org/fhir/R4/searchparameter-registry.html)."""

MODIFIERS: Final = {
    "token": {"missing", "not"},
    "string": {"missing", "exact", "contains"},
    "date": {"missing"},
    "reference": {"missing", "identifier"},
    "uri": {"missing"},
}
PREFIXES: Final = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
SMALL_PAGE, LARGEST_PAGE = 50, 200
_LONGEST_VALUE: Final = 1000
_MOST_CRITERIA: Final = 32
_MOST_VALUES: Final = 100


@dataclass(frozen=True, slots=True)
class Parameter:
    """One search parameter of a type."""

    name: str
    kind: str
    paths: tuple[str, ...]


@cache
def parameters(kind: str) -> dict[str, Parameter]:
    """Return the search parameters of a resource type; every type has ``_id`` and ``_lastUpdated``."""
    found = {
        "_id": Parameter("_id", "token", ("id",)),
        "_lastUpdated": Parameter("_lastUpdated", "date", ("meta.lastUpdated",)),
    }
    here = False
    for line in PARAMETERS.splitlines():
        if not line.startswith(" "):
            here = line == kind
        elif here:
            name, type_, *paths = line.split()
            found[name] = Parameter(name, type_, tuple(paths))
    return found


@dataclass(frozen=True, slots=True)
class Criterion:
    """One parameter of a query with its values, any of which must match."""

    parameter: Parameter
    modifier: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Search:
    """A query, read.

    Attributes:
        criteria: all must match.
        count: matches on one page; 0 asks for the number alone.
        applied: the parameters that are answered to, as the ``self`` link repeats them.
        ignored: names of parameters that are not.
    """

    kind: str
    criteria: tuple[Criterion, ...] = ()
    count: int = SMALL_PAGE
    offset: int = 0
    sort: tuple[tuple[Parameter, bool], ...] = ()
    include: tuple[tuple[str, Parameter], ...] = ()
    revinclude: tuple[tuple[str, Parameter], ...] = ()
    applied: tuple[tuple[str, str], ...] = ()
    ignored: tuple[str, ...] = ()


@dataclass
class _Reading:
    search: dict[str, Any] = field(
        default_factory=lambda: {"criteria": [], "include": [], "revinclude": [], "sort": []}
    )
    applied: list[tuple[str, str]] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)


def parse(kind: str, pairs: Sequence[tuple[str, str]], *, strict: bool = False) -> Search:
    """Read the parameters of a search; what is wrong with them is a ``FhirError`` of status 400."""
    if len(pairs) > _MOST_CRITERIA:
        raise refused(400, "too-costly", f"at most {_MOST_CRITERIA} search parameters are taken")
    reading = _Reading()
    for name, value in pairs:
        if len(value) > _LONGEST_VALUE:
            raise refused(400, "too-long", f"{name[:40]}: at most {_LONGEST_VALUE} characters")
        if _read(kind, name, value, reading):
            reading.applied.append((name, value))
        elif name in {"_format", "_pretty"}:
            continue
        elif strict:
            raise refused(400, "not-supported", f"{kind} has no search parameter {name[:60]!r} here")
        else:
            reading.ignored.append(name)
    read: dict[str, Any] = {
        name: tuple(each) if isinstance(each, list) else each for name, each in reading.search.items()
    }
    read |= {"applied": tuple(reading.applied), "ignored": tuple(reading.ignored)}
    return Search(kind, **read)


def _read(kind: str, name: str, value: str, reading: _Reading) -> bool:
    """Take one parameter in, or return False when it is not known."""
    search = reading.search
    match name:
        case "_count":
            search["count"] = min(_number(name, value), LARGEST_PAGE)
        case "_offset":
            search["offset"] = _number(name, value)
        case "_summary" if value in {"count", "false"}:
            if value == "count":
                search["count"] = 0
        case "_sort":
            search["sort"] += [_sorted_by(kind, one) for one in value.split(",")]
        case "_include" | "_revinclude":
            search[name[1:]].append(_included(value, name))
        case _:
            bare, _, modifier = name.partition(":")
            known = parameters(kind).get(bare)
            if known is None:
                return False
            if modifier and modifier not in MODIFIERS[known.kind]:
                raise refused(400, "not-supported", f"{bare} takes no modifier {modifier[:40]!r}")
            search["criteria"].append(_criterion(known, modifier, value))
    return True


def _number(name: str, value: str) -> int:
    if not re.fullmatch(r"[0-9]{1,12}", value):
        raise refused(400, "value", f"{name} is a number of 0 or more, not {value[:40]!r}")
    return int(value)


def _sorted_by(kind: str, text: str) -> tuple[Parameter, bool]:
    known = parameters(kind).get(text.removeprefix("-"))
    if known is None:
        raise refused(400, "not-supported", f"cannot sort {kind} by {text[:40]!r}")
    return known, text.startswith("-")


def _included(value: str, name: str) -> tuple[str, Parameter]:
    source, _, rest = value.partition(":")
    known = parameters(source).get(rest.partition(":")[0])
    if known is None or known.kind != "reference":
        raise refused(400, "not-supported", f"{name}={value[:60]} names no reference parameter")
    return source, known


def _criterion(known: Parameter, modifier: str, value: str) -> Criterion:
    values = tuple(_split(value))
    if not all(values) or len(values) > _MOST_VALUES:
        raise refused(400, "value", f"{known.name} needs 1 to {_MOST_VALUES} values, none of them empty")
    if modifier == "missing":
        if value not in {"true", "false"}:
            raise refused(400, "value", f"{known.name}:missing is true or false")
    elif known.kind == "date":
        for one in values:
            bare = one[2:] if one[:2] in PREFIXES else one
            if re.match("[a-z]", one) and one[:2] not in PREFIXES:
                raise refused(400, "value", f"{known.name}: {one[:2]!r} is no prefix of a date")
            if wrong := date_complaint("dateTime", bare):
                raise refused(400, "value", f"{known.name}: {wrong}")
    return Criterion(known, modifier, values)


def _split(value: str) -> list[str]:
    """Split at commas that no backslash escapes; the escapes stay for later."""
    parts, part, escaped = [], "", False
    for sign in value:
        if sign == "," and not escaped:
            parts.append(part)
            part = ""
        else:
            part += sign
        escaped = sign == "\\" and not escaped
    return [*parts, part]
