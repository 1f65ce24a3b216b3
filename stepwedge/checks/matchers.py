r"""Compare a value with what a scenario says about it.

A *spec* is what stands in the YAML, its references already replaced by their values:

- a literal. Text must be equal to the letter; where one side is a number, both compare by value (``3`` equals
  ``"3"`` and ``"3.0"``), never as text; ``true`` and ``false`` equal nothing but themselves. A list of literals is
  compared item by item, in order and in number; a multi-valued DICOM text (``DERIVED\SECONDARY``) counts as a list.
- a mapping with exactly one matcher word: ``one_of not matches kind between absent approx same_as``.
- any other mapping: each key is looked up in the value and compared. Keys that are not named do not matter. Against
  a sequence (a list of mappings) at least one item must satisfy all of it.

A matcher speaks about something that is there: against nothing, only ``absent: true`` holds, not even ``not``.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from datetime import date, time
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

from stepwedge.checks.difference import Difference, join

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@runtime_checkable
class Lookup(Protocol):
    """Anything whose parts have names: a data set, a message view, a result."""

    def get(self, key: str, /) -> Any:
        """Return the part, or ``None`` when it is not there."""
        ...


def compare(path: str, spec: Any, value: Any) -> list[Difference]:
    """Return every difference between ``value`` and ``spec``; none means that it matches."""
    if isinstance(spec, Mapping):
        if (word := matcher_word(spec)) is not None:
            return _MATCHERS[word](path, spec[word], value)
        return _mapping(path, spec, value)
    if isinstance(spec, list):
        return _sequence(path, spec, value)
    return [] if equal(spec, value) else [Difference(path, describe(spec), show(value))]


def matcher_word(spec: Mapping[str, Any]) -> str | None:
    """Return the matcher word when ``spec`` is a matcher, else ``None``."""
    if len(spec) == 1:
        (only,) = spec
        return only if only in _MATCHERS else None
    return None


def missing(value: Any) -> bool:
    """Tell whether there is nothing: no value, or an empty one (DICOM type 2, an empty HL7 field)."""
    return value is None or (isinstance(value, str | list | tuple | Mapping) and not value)


def equal(spec: Any, value: Any) -> bool:
    """Tell whether a literal equals a value; a list of exactly one item counts as that item."""
    if isinstance(value, list | tuple) and not isinstance(spec, list | tuple) and len(value) == 1:
        value = value[0]
    if spec is None:
        return missing(value)
    if isinstance(spec, bool) or isinstance(value, bool):
        return spec is value
    if isinstance(spec, int | float) or isinstance(value, int | float):
        left, right = number(spec), number(value)
        return left is not None and left == right
    if isinstance(spec, str) and isinstance(value, str):
        return spec == value
    return bool(spec == value)


def number(value: Any) -> Decimal | None:
    """Read a number, or a text that is one (PS3.5 DS and IS, HL7 NM), else ``None``."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    try:
        read = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return read if read.is_finite() else None


def show(value: Any) -> str:
    """Render a found value for reading, on one short line."""
    if missing(value):
        return "nothing" if value is None else "an empty value"
    if isinstance(value, Mapping):
        text = " · ".join(f"{key} = {show(item)}" for key, item in value.items())
    elif isinstance(value, list | tuple):
        text = ", ".join(show(item) for item in value)
    elif isinstance(value, bytes):
        text = f"{len(value)} bytes"
    else:
        text = str(value)
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"


def describe(spec: Any) -> str:
    """Render a spec as the words that a failure text uses after *expected*."""
    if not isinstance(spec, Mapping):
        return show(spec) if spec is not None else "nothing"
    word = matcher_word(spec)
    if word is None:
        return " · ".join(f"{key} = {describe(item)}" for key, item in spec.items())
    says = spec[word]
    match word:
        case "one_of":
            return f"one of {', '.join(describe(item) for item in says)}"
        case "not":
            return f"not {describe(says)}"
        case "matches":
            return f"text like {says}"
        case "kind":
            return f"a {says}"
        case "between":
            return f"{show(says[0])} to {show(says[1])}"
        case "absent":
            return "nothing" if says else "any value"
        case "approx":
            return f"about {show(_approx(says)[0])}"
        case _:
            return describe(says)


def problems(spec: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield (path, what is wrong) for every place of a spec that can never be compared; for ``stepwedge check``."""
    if isinstance(spec, Mapping):
        if (word := matcher_word(spec)) is not None:
            if not _is_reference(spec[word]):
                yield from ((path, text) for text in _MALFORMED[word](spec[word]))
            inner = {"one_of": spec[word], "not": [spec[word]]}.get(word)
            for item in inner if isinstance(inner, list) else []:
                yield from problems(item, path)
            return
        for key, item in spec.items():
            if key in _MATCHERS:
                yield path, f"the matcher {key!r} cannot stand beside other keys"
            elif str(key).islower() and isinstance(item, list | bool) and (near := _near(str(key))):
                yield join(path, str(key)), f"unknown matcher {key!r}; did you mean {near!r}?"
            yield from problems(item, join(path, str(key)))
    elif isinstance(spec, list):
        for index, item in enumerate(spec, start=1):
            yield from problems(item, f"{path}[{index}]")


_WIDTH = 200


def _is_reference(says: Any) -> bool:
    """Tell whether the file names a value bound elsewhere (``$order.accession``), unknown until it runs."""
    return isinstance(says, str) and says.startswith("$")


def _near(key: str) -> str:
    return next(iter(difflib.get_close_matches(key, list(_MATCHERS), n=1, cutoff=0.75)), "")


def _mapping(path: str, spec: Mapping[str, Any], value: Any) -> list[Difference]:
    """Compare each named key; against a sequence, return the differences of its nearest item."""
    if isinstance(value, list | tuple):
        tries = [_mapping(path, spec, item) for item in value]
        if not tries:
            return [Difference(path, f"an item with {describe(spec)}", "an empty sequence")]
        return min(tries, key=len)
    if value is None or not isinstance(value, Lookup):
        if all(isinstance(item, Mapping) and item == {"absent": True} for item in spec.values()):
            return []
        return [Difference(path, describe(spec), show(value))]
    return [
        found for key, item in spec.items() for found in compare(join(path, str(key)), item, value.get(key))
    ]


def _sequence(path: str, spec: list[Any], value: Any) -> list[Difference]:
    items = _items(value)
    if len(items) != len(spec):
        return [Difference(path, f"{len(spec)} values: {describe(spec)}", f"{len(items)}: {show(value)}")]
    return [
        found
        for index, (wanted, item) in enumerate(zip(spec, items, strict=True), start=1)
        for found in compare(f"{path}[{index}]", wanted, item)
    ]


def _items(value: Any) -> Sequence[Any]:
    if missing(value):
        return []
    if isinstance(value, str):
        return value.split("\\")
    return value if isinstance(value, list | tuple) else [value]


def _one_of(path: str, says: Any, value: Any) -> list[Difference]:
    if not missing(value) and any(not compare(path, option, value) for option in says):
        return []
    return [Difference(path, describe({"one_of": says}), show(value))]


def _not(path: str, says: Any, value: Any) -> list[Difference]:
    about_absence = isinstance(says, Mapping) and matcher_word(says) == "absent"
    if missing(value) and not about_absence:
        return [Difference(path, f"a value that is {describe({'not': says})}", show(value))]
    if compare(path, says, value):
        return []
    return [Difference(path, describe({"not": says}), show(value))]


def _matches(path: str, says: Any, value: Any) -> list[Difference]:
    if isinstance(value, str | int | float) and not missing(value) and re.fullmatch(says, str(value)):
        return []
    return [Difference(path, describe({"matches": says}), show(value))]


def _kind(path: str, says: Any, value: Any) -> list[Difference]:
    if not missing(value) and KINDS[says](value):
        return []
    return [Difference(path, describe({"kind": says}), show(value))]


def _between(path: str, says: Any, value: Any) -> list[Difference]:
    low, high = says
    numbers = [number(each) for each in (low, value, high)]
    if not missing(value):
        if None not in numbers:
            inside = numbers[0] <= numbers[1] <= numbers[2]  # type: ignore[operator]  # none of them is None
        else:
            inside = isinstance(value, str) and str(low) <= value <= str(high)
        if inside:
            return []
    return [Difference(path, describe({"between": says}), show(value))]


def _absent(path: str, says: Any, value: Any) -> list[Difference]:
    return [] if missing(value) is says else [Difference(path, describe({"absent": says}), show(value))]


def _approx(says: Any) -> tuple[Any, float]:
    """Return the value and the tolerance: given, or one millionth of the value."""
    if isinstance(says, Mapping):
        return says["value"], float(says["within"])
    return says, abs(float(says)) * 1e-6


def _about(path: str, says: Any, value: Any) -> list[Difference]:
    wanted, tolerance = _approx(says)
    read, target = number(value), number(wanted)
    if read is not None and target is not None and math.fabs(read - target) <= tolerance:
        return []
    return [Difference(path, f"{show(wanted)} ± {tolerance:g}", show(value))]


def _same_as(path: str, says: Any, value: Any) -> list[Difference]:
    """Compare whole: unlike a literal mapping, nothing more may stand in the value."""
    same = equal(says, value) if not isinstance(says, Mapping | list) else says == value
    return [] if same and not missing(value) else [Difference(path, show(says), show(value))]


_MATCHERS: Final[dict[str, Callable[[str, Any, Any], list[Difference]]]] = {
    "one_of": _one_of,
    "not": _not,
    "matches": _matches,
    "kind": _kind,
    "between": _between,
    "absent": _absent,
    "approx": _about,
    "same_as": _same_as,
}


def _is_uid(value: Any) -> bool:
    """Tell whether a value is a UID (PS3.5 section 9.1)."""
    return (
        isinstance(value, str)
        and len(value) <= 64  # noqa: PLR2004  # the standard's own number
        and re.fullmatch(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))+", value) is not None
    )


def _is_date(value: Any) -> bool:
    """Tell whether a value is a day of the calendar, as DICOM and HL7 (``YYYYMMDD``) or ISO 8601 write it."""
    if not isinstance(value, str) or not re.fullmatch(r"\d{8}|\d{4}-\d\d-\d\d", value):
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


def _is_time(value: Any) -> bool:
    """Tell whether a value is a time of day (``HH``, ``HHMM``, ``HHMMSS.ffffff``, or with colons)."""
    if not isinstance(value, str):
        return False
    found = re.fullmatch(r"(\d\d)(?::?(\d\d)(?::?(\d\d)(?:\.\d{1,6})?)?)?", value)
    if found is None:
        return False
    try:
        hour, minute, second = (int(part) for part in found.groups(default="0"))
        time(hour, minute, second)
    except ValueError:
        return False
    return True


KINDS: Final[dict[str, Callable[[Any], bool]]] = {
    "uid": _is_uid,
    "date": _is_date,
    "time": _is_time,
    "text": lambda value: isinstance(value, str) and bool(value.strip()),
    "number": lambda value: number(value) is not None,
}


def _bad_pattern(says: Any) -> list[str]:
    try:
        re.compile(says)
    except (re.error, TypeError) as trouble:
        return [f"matches needs a regular expression for the whole value: {trouble}"]
    return []


def _bad_between(says: Any) -> list[str]:
    fine = isinstance(says, list) and len(says) == 2 and not any(missing(item) for item in says)  # noqa: PLR2004
    return [] if fine else ["between needs two values: [lowest, highest]"]


def _bad_approx(says: Any) -> list[str]:
    numbers = [says.get("value"), says.get("within")] if isinstance(says, Mapping) else [says]
    fine = all(number(item) is not None for item in numbers)
    return [] if fine else ["approx needs a number, or {value: number, within: number}"]


_MALFORMED: Final[dict[str, Callable[[Any], list[str]]]] = {
    "one_of": lambda says: (
        [] if isinstance(says, list) and says else ["one_of needs a list with something in it"]
    ),
    "not": lambda _says: [],
    "matches": _bad_pattern,
    "kind": lambda says: [] if says in KINDS else [f"unknown kind {says!r}: one of {', '.join(KINDS)}"],
    "between": _bad_between,
    "absent": lambda says: [] if isinstance(says, bool) else ["absent is true or false"],
    "approx": _bad_approx,
    "same_as": lambda _says: [],
}
