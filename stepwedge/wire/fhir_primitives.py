"""The primitive types of FHIR R4 and their formats (hl7.org/fhir/R4/datatypes.html#primitive)."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

_YEAR: Final = r"(?:[0-9]{3}[1-9]|[0-9]{2}[1-9]0|[0-9][1-9]00|[1-9]000)"
_DATE: Final = re.compile(rf"{_YEAR}(?:-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12][0-9]|3[01]))?)?")
_TIME: Final = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]{1,12})?"
_ZONE: Final = r"(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
_DATETIME: Final = re.compile(rf"(?P<date>{_DATE.pattern})(?:T{_TIME}{_ZONE})?")
_INSTANT: Final = re.compile(
    rf"(?P<date>{_YEAR}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01]))T{_TIME}{_ZONE}"
)
_WHOLE_DATE: Final = len("YYYY-MM-DD")

_FORMATS: Final = {
    "code": re.compile(r"[^\s]+(?: [^\s]+)*"),
    "id": re.compile(r"[A-Za-z0-9\-.]{1,64}"),
    "oid": re.compile(r"urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*))+"),
    "uuid": re.compile(r"urn:uuid:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    "time": re.compile(_TIME),
    "uri": re.compile(r"\S+"),
    "url": re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:\S+"),
    "canonical": re.compile(r"\S+"),
    "string": re.compile(r"(?s).*\S.*"),
    "markdown": re.compile(r"(?s).*\S.*"),
    "xhtml": re.compile(r"(?s)\s*<div[\s>].*</div>\s*"),
}
_ACTIVE: Final = re.compile(r"(?i)\s*(?:javascript|vbscript|data|file):")
"""Schemes that make a browser run or read something; no identifier or address of ours has them."""
_LONGEST: Final = 1 << 20
_INTEGERS: Final = {
    "integer": (-(2**31), 2**31 - 1),
    "unsignedInt": (0, 2**31 - 1),
    "positiveInt": (1, 2**31 - 1),
}
PRIMITIVES: Final = frozenset(
    {*_FORMATS, *_INTEGERS, "boolean", "decimal", "date", "dateTime", "instant", "base64Binary"}
)


def complaint(kind: str, value: Any) -> str:
    """Say what is wrong with a value of a primitive type; empty when nothing is."""
    if kind == "boolean":
        return "" if isinstance(value, bool) else "true or false is expected"
    if kind in _INTEGERS:
        low, high = _INTEGERS[kind]
        whole = isinstance(value, int) and not isinstance(value, bool)
        return "" if whole and low <= value <= high else f"a whole number from {low} to {high} is expected"
    if kind == "decimal":
        number = isinstance(value, int | Decimal) and not isinstance(value, bool)
        return "" if number else "a number is expected"
    if not isinstance(value, str):
        return f"a text ({kind}) is expected"
    return _text_complaint(kind, value)


def _text_complaint(kind: str, value: str) -> str:
    if len(value) > _LONGEST and kind != "base64Binary":
        return f"longer than {_LONGEST} characters"
    if kind in {"date", "dateTime", "instant"}:
        return date_complaint(kind, value)
    if kind == "base64Binary":
        try:
            base64.b64decode("".join(value.split()), validate=True)
        except (ValueError, binascii.Error):
            return "no base64"
        return ""
    if not _FORMATS[kind].fullmatch(value):
        return f"{value[:80]!r} has not the format of {kind}"
    if kind in {"uri", "url", "canonical"} and _ACTIVE.match(value):
        return "a scheme that is not taken here"
    return ""


def date_complaint(kind: str, value: str) -> str:
    """Say what is wrong with a date, dateTime or instant: its format, or a day that does not exist."""
    pattern = {"date": _DATE, "dateTime": _DATETIME, "instant": _INSTANT}[kind]
    found = pattern.fullmatch(value)
    if found is None:
        return f"{value[:40]!r} has not the format of {kind}"
    day = value if kind == "date" else found["date"]
    if "T" in value and len(day) < _WHOLE_DATE:
        return "a time needs a whole date"
    if len(day) == _WHOLE_DATE:
        try:
            date.fromisoformat(day)
        except ValueError:
            return f"there is no day {day}"
    return ""


def moment(value: str) -> tuple[datetime, datetime] | None:
    """Return the first and last moment that a date, dateTime or instant means; local time where it has no zone."""
    try:
        if "T" in value:
            exact = datetime.fromisoformat(_python(value))
            return (exact if exact.tzinfo else exact.astimezone(),) * 2
        year, month, day = ([int(part) for part in value.split("-")] + [0, 0])[:3]
        first = datetime(year, month or 1, day or 1)  # noqa: DTZ001 - made local just below
        last = datetime(year, month or 12, day or _days(year, month or 12), 23, 59, 59, 999999)  # noqa: DTZ001
        return first.astimezone(), last.astimezone()
    except (ValueError, OverflowError, OSError):
        return None


def _python(value: str) -> str:
    """Cut a fraction to microseconds, and a leap second to the last one before it."""
    value = re.sub(r"(\.[0-9]{6})[0-9]+", r"\1", value)
    return re.sub(r"(:[0-5][0-9]):60", r"\1:59", value)


def _days(year: int, month: int) -> int:
    following = date(year + month // 12, month % 12 + 1, 1)
    return (following - date(year, month, 1)).days
