"""Which resources meet a search, in which order, as FHIR R4 has it (hl7.org/fhir/R4/search.html). Pure."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any, Final

from stepwedge.wire.fhir import at, reference
from stepwedge.wire.fhir_primitives import moment
from stepwedge.wire.fhir_search import PREFIXES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from stepwedge.wire.fhir import Resource
    from stepwedge.wire.fhir_search import Criterion, Parameter, Search


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


def _plain(value: str) -> str:
    return re.sub(r"\\([\\,|$])", r"\1", value)
