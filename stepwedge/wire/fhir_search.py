"""Searching resources as FHIR R4 has it (hl7.org/fhir/R4/search.html): parameters of each type, parsing, matching. Pure.

Token, string, date, reference, uri and number of a page; modifiers ``:exact :contains :missing :not :identifier``. A
parameter that is not known is an error when the client asks for strict handling (``Prefer: handling=strict``), and left out
of the ``self`` link otherwise, so that a client can see what was not applied.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from stepwedge.wire.fhir import at, reference, refused
from stepwedge.wire.fhir_primitives import date_complaint, moment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from stepwedge.wire.fhir import Resource

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


def _plain(value: str) -> str:
    return re.sub(r"\\([\\,|$])", r"\1", value)


def matches(search: Search, resource: Resource) -> bool:
    """Tell whether a resource meets every criterion."""
    return all(meets(criterion, resource) for criterion in search.criteria)


def meets(criterion: Criterion, resource: Resource) -> bool:
    """Tell whether a resource meets one criterion."""
    values = [value for path in criterion.parameter.paths for value in at(resource, path)]
    if criterion.modifier == "missing":
        return (not values) == (criterion.values[0] == "true")
    test = _TESTS[criterion.parameter.kind]
    met = any(test(value, wanted, criterion.modifier) for value in values for wanted in criterion.values)
    return not met if criterion.modifier == "not" else met


def _token(value: Any, wanted: str, _modifier: str) -> bool:
    system, bar, code = _bar(wanted)
    return any((not bar or system == there) and (not code or code == coded) for there, coded in _codes(value))


def _bar(wanted: str) -> tuple[str, bool, str]:
    """Split ``system|code``: (system, whether one was said, code)."""
    parts = re.split(r"(?<!\\)\|", wanted, maxsplit=1)
    if len(parts) == 1:
        return "", False, _plain(wanted)
    return _plain(parts[0]), True, _plain(parts[1])


def _codes(value: Any) -> Iterable[tuple[str, str]]:
    """Return (system, code) of a value that tokens are compared with."""
    if isinstance(value, bool):
        return [("", "true" if value else "false")]
    if isinstance(value, str):
        return [("", value)]
    if not isinstance(value, dict):
        return []
    if "coding" in value or ("text" in value and "system" not in value):
        return [(one.get("system", ""), one.get("code", "")) for one in value.get("coding", ())]
    return [(str(value.get("system", "")), str(value.get("code", value.get("value", ""))))]


def folded(text: str) -> str:
    """Return a text without case and accents, as string parameters compare."""
    spread = unicodedata.normalize("NFD", text)
    return "".join(sign for sign in spread if not unicodedata.combining(sign)).casefold()


def _string(value: Any, wanted: str, modifier: str) -> bool:
    if not isinstance(value, str):
        return False
    plain = _plain(wanted)
    if modifier == "exact":
        return value == plain
    if modifier == "contains":
        return folded(plain) in folded(value)
    return folded(value).startswith(folded(plain))


def _uri(value: Any, wanted: str, _modifier: str) -> bool:
    return bool(value == _plain(wanted))


def _reference(value: Any, wanted: str, modifier: str) -> bool:
    if not isinstance(value, dict):
        return False
    if modifier == "identifier":
        return _token(value.get("identifier") or {}, wanted, "")
    text = str(value.get("reference", ""))
    found, asked = reference(text), reference(_plain(wanted))
    if found is None:
        return bool(text) and text == _plain(wanted)
    if asked is None:
        return found.id == _plain(wanted)
    return (found.kind, found.id) == (asked.kind, asked.id)


def _date(value: Any, wanted: str, _modifier: str) -> bool:
    prefix, text = (wanted[:2], wanted[2:]) if wanted[:2] in PREFIXES else ("eq", wanted)
    there, asked = _span(value), moment(text)
    if there is None or asked is None:
        return False
    return bool(_COMPARE[prefix](*there, *asked))


def _span(value: Any) -> tuple[datetime, datetime] | None:
    if isinstance(value, str):
        return moment(value)
    if not isinstance(value, dict):
        return None
    start, end = moment(str(value.get("start", "1000"))), moment(str(value.get("end", "9000")))
    return (start[0], end[1]) if start and end else None


# By prefix (hl7.org/fhir/R4/search.html): the resource says a time from a to b, the question one from c to d.
_COMPARE: Final[dict[str, Any]] = {
    "eq": lambda a, b, c, d: c <= a and b <= d,
    "ne": lambda a, b, c, d: not (c <= a and b <= d),
    "gt": lambda _a, b, _c, d: b > d,
    "lt": lambda a, _b, c, _d: a < c,
    "ge": lambda a, b, c, d: b > d or (c <= a and b <= d),
    "le": lambda a, b, c, d: a < c or (c <= a and b <= d),
    "sa": lambda a, _b, _c, d: a > d,
    "eb": lambda _a, b, c, _d: b < c,
    "ap": lambda a, b, c, d: a <= d and c <= b,
}
_TESTS: Final[Mapping[str, Callable[[Any, str, str], bool]]] = {
    "token": _token,
    "string": _string,
    "reference": _reference,
    "date": _date,
    "uri": _uri,
}


def ordered(search: Search, resources: list[Resource]) -> list[Resource]:
    """Sort as ``_sort`` says, resources without the value last; a stable order otherwise."""
    for parameter, down in reversed(search.sort):
        keyed = [(_sort_key(parameter, resource), resource) for resource in resources]
        there = sorted((one for one in keyed if one[0] is not None), key=lambda one: one[0], reverse=down)
        resources = [one[1] for one in there] + [one[1] for one in keyed if one[0] is None]
    return resources


def _sort_key(parameter: Parameter, resource: Resource) -> Any:
    values = [value for path in parameter.paths for value in at(resource, path)]
    if not values:
        return None
    if parameter.kind == "date":
        spans = [span[0] for value in values if (span := _span(value))]
        return min(spans).timestamp() if spans else None
    if parameter.kind == "token":
        return min((code for value in values for _, code in _codes(value)), default=None)
    return min(
        (folded(value if isinstance(value, str) else str(value.get("reference", ""))) for value in values),
        default=None,
    )


def identifiers(search: Search) -> list[str]:
    """Return the values of the first criterion that an index of identifiers can answer, else none."""
    for criterion in search.criteria:
        if criterion.parameter.name == "identifier" and not criterion.modifier:
            values = [_bar(value)[2] for value in criterion.values]
            return values if all(values) else []
    return []
