"""Attribute matching of queries (PS3.4 C.2.2.2)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from stepwedge.wire.dictionary import vr_of

NOT_KEYS = frozenset({"SpecificCharacterSet", "QueryRetrieveLevel", "TimezoneOffsetFromUTC"})
"""Elements of an identifier that are not matching keys."""

NO_WILDCARD = frozenset(
    {"DA", "TM", "DT", "DS", "IS", "UI", "US", "UL", "SS", "SL", "FL", "FD", "AT", "SV", "UV"}
)
RANGED = {"DA": 8, "TM": 6, "DT": 14}
"""Value representations with range matching (C.2.2.2.5) and the digits that are compared."""


def match(identifier: dict[str, Any], candidate: dict[str, Any]) -> bool:
    """Tell whether ``candidate`` answers a query's ``identifier``; zero-length keys match everything."""
    return all(
        matches(vr_of(key), wanted, candidate.get(key))
        for key, wanted in identifier.items()
        if key not in NOT_KEYS
    )


def matches(vr: str, wanted: Any, found: Any) -> bool:
    """Tell whether one attribute's value answers one key."""
    if vr == "SQ":
        return _sequence(wanted, found)
    if wanted is None or wanted in ("", "*", b"", []):  # universal matching, C.2.2.2.3
        return True
    values = _values(found)
    if vr == "UI":  # list of UID matching, C.2.2.2.2
        return any(uid in values for uid in _values(wanted))
    if vr in RANGED:
        return any(value != "" and _temporal(vr, str(wanted), value) for value in values)
    if vr in {"DS", "IS"}:
        return any(_same_number(str(wanted), value) for value in values)
    if vr in NO_WILDCARD:
        return str(wanted) in values
    return any(_text(vr, str(wanted)).fullmatch(value) is not None for value in values)


def _sequence(wanted: Any, found: Any) -> bool:
    if not wanted or not wanted[0]:
        return True
    return any(match(wanted[0], item) for item in found or [])  # C.2.2.2.6


def _values(value: Any) -> list[str]:
    if value is None:
        return [""]
    if isinstance(value, list):
        return [str(each) for each in value]
    return [part.strip() for part in str(value).split("\\")]


def _same_number(wanted: str, found: str) -> bool:
    try:
        return float(wanted) == float(found)
    except ValueError:
        return wanted.strip() == found


@lru_cache(maxsize=4096)
def _text(vr: str, wanted: str) -> re.Pattern[str]:
    """Single value (C.2.2.2.1) and wild card (C.2.2.2.4) matching; PN may ignore case, and ours does.

    What stands between two stars is taken where it is met first, for good: another place can never match more, and trying
    them all would let a key of many stars keep the archive busy for years.
    """
    first, *rest = re.escape(wanted.strip()).replace(r"\?", ".").split(r"\*")
    between = "".join(f"(?>.*?{part})" for part in rest[:-1] if part)
    pattern = first + between + (f".*{rest[-1]}" if rest else "")
    return re.compile(pattern, re.DOTALL | (re.IGNORECASE if vr == "PN" else 0))


def sortable(vr: str, value: str) -> str:
    """Return a date or time as text that sorts as moments do."""
    return _digits(vr, value, "0")


def bounds(vr: str, wanted: str) -> tuple[str, str]:
    """Return the first and the last :func:`sortable` text that single value or range matching finds (C.2.2.2.1, C.2.2.2.5)."""
    first, dash, last = _range(vr, wanted.strip())
    low = _digits(vr, first, "0") if first else ""
    if not dash:
        return low, low
    return low, _digits(vr, last, "9") if last else chr(0x10FFFF)


def _temporal(vr: str, wanted: str, found: str) -> bool:
    first, dash, last = _range(vr, wanted.strip())
    value = _digits(vr, found, "0")
    if not dash:
        return _digits(vr, first, "0") == value
    return (not first or _digits(vr, first, "0") <= value) and (not last or value <= _digits(vr, last, "9"))


def _range(vr: str, wanted: str) -> tuple[str, str, str]:
    if vr == "DT":  # a hyphen may also be the sign of an offset from UTC (PS3.5 table 6.2-1)
        offset = r"(?:[+-]\d{4})?"
        found = re.fullmatch(rf"([\d.]*{offset})-([\d.]*{offset})", wanted)
        if found is None or (re.fullmatch(r"[\d.]+-\d{4}", wanted) and wanted.endswith(("00", "30", "45"))):
            return wanted, "", ""  # 2026-0500 is a year with an offset, 2026-2027 a range
        return found[1], "-", found[2]
    first, dash, last = wanted.partition("-")
    return first.strip(), dash, last.strip()


def _digits(vr: str, value: str, pad: str) -> str:
    """Complete a shortened date or time, so that strings compare as moments do."""
    plain = re.sub(r"[+-]\d{4}$", "", value) if vr == "DT" else value
    whole, _, fraction = plain.replace(":", "").partition(".")
    if vr == "DA":
        whole, fraction = plain.replace(".", ""), ""
    return whole.ljust(RANGED[vr], pad) + fraction.ljust(6, pad)


def moments(dates: str, times: str, date: str, time: str) -> bool:
    """Tell whether date and time together lie between the starts and the ends of two ranges (C.2.2.2.5.3).

    Where one of the keys is no range, its one value is both bounds.
    """
    if not date:
        return False
    first_date, dash, last_date = _range("DA", dates.strip())
    last_date = last_date if dash else first_date
    first_time, dash, last_time = _range("TM", times.strip())
    last_time = last_time if dash else first_time
    found = _digits("DA", date, "0")[:8] + _digits("TM", time, "0")
    low = _digits("DA", first_date, "0")[:8] + _digits("TM", first_time, "0")
    high = _digits("DA", last_date, "9")[:8] + _digits("TM", last_time, "9")
    return (not first_date or low <= found) and (not last_date or found <= high)
