"""FHIR R4 search over audit records: the search parameters of AuditEvent, as ITI-81 uses them. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from stepwedge.actors.words import did_you_mean
from stepwedge.errors import BadInput
from stepwedge.wire.audit_fhir import DCM, audit_event, instant
from stepwedge.wire.audit_xml import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from .state import Record, Repository

PAGE: Final = 100
MOST: Final = 1000
"""Resources of one page that can be asked for."""

_PREFIXES: Final = ("eq", "ne", "ge", "gt", "le", "lt")
_MOMENT: Final = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?)?)?"
)


def _token(value: str, system: str) -> str:
    """Return the code of a token, ``system|code`` or ``code``; a system that is not ours matches nothing."""
    given, bar, code = value.rpartition("|")
    return code if not bar or given in {"", system} else "\0"


def _identifier(value: str) -> str:
    return value.rpartition("|")[2]


_TESTS: Final[dict[str, Callable[[Record, str], bool]]] = {
    "_id": lambda record, value: str(record.number) == value,
    "type": lambda record, value: record.event == _token(value, DCM),
    "subtype": lambda record, value: _identifier(value) in record.types,
    "action": lambda record, value: record.action == value.rpartition("|")[2],
    "outcome": lambda record, value: str(record.outcome) == value.rpartition("|")[2],
    "patient": lambda record, value: _identifier(value) in record.patients,
    "entity": lambda record, value: _identifier(value) in record.entities,
    "agent": lambda record, value: _identifier(value) in record.users,
    "source": lambda record, value: record.source == _identifier(value),
    "address": lambda record, value: value in record.addresses,
    "accession": lambda record, value: value in record.accessions,
}
_CHAINS: Final = {f"{name}.identifier": name for name in ("patient", "entity", "agent", "source")}
NAMES: Final = (*_TESTS, *_CHAINS, "date", "_count", "_offset")


@dataclass(frozen=True, slots=True)
class Page:
    """What one search gives: the records of this page, and how many there are in all."""

    records: list[Record]
    total: int
    offset: int
    count: int


def search(repository: Repository, asked: Sequence[tuple[str, str]]) -> Page:
    """Find records, newest first; a comma in a value means any of, a repeated parameter means all of.

    Raises:
        BadInput: a parameter or value that is not understood; never is one passed over.
    """
    tests = [_test(name, value) for name, value in asked if name not in {"_count", "_offset"}]
    numbers = dict(asked)
    count = _number(numbers.get("_count", str(PAGE)), "_count", MOST)
    offset = _number(numbers.get("_offset", "0"), "_offset", 1 << 31)
    found = [
        record
        for record in _candidates(repository, dict(asked))
        if record.event and all(test(record) for test in tests)
    ]
    found.sort(key=lambda record: -record.number)
    return Page(found[offset : offset + count], len(found), offset, count)


def _candidates(repository: Repository, asked: dict[str, str]) -> Iterable[Record]:
    """Narrow by an index where one value of a patient or an entity is asked for."""
    for name in ("patient", "entity"):
        value = asked.get(name) or asked.get(f"{name}.identifier") or ""
        if value and "," not in value:
            return repository.records.by(name, _identifier(value))
    return repository.records.values()


def _test(name: str, value: str) -> Callable[[Record], bool]:
    if name == "date":
        return _date(value)
    judge = _TESTS.get(_CHAINS.get(name, name))
    if judge is None:
        remedy = did_you_mean(name, NAMES).strip(" ;")
        raise BadInput(f"search parameter {name}", f"one of {', '.join(NAMES)}", name, remedy)
    if not value:
        raise BadInput(f"search parameter {name}", "a value", "none")
    values = value.split(",")
    return lambda record: any(judge(record, one) for one in values)


def _date(value: str) -> Callable[[Record], bool]:
    """Compare by FHIR's rules: a date without a time is the whole day (R4, search, 3.1.1.4.7)."""
    prefix = value[:2] if value[:2] in _PREFIXES else "eq"
    first, after = _span(value.removeprefix(prefix))
    comparisons: dict[str, Callable[[datetime], bool]] = {
        "eq": lambda at: first <= at < after,
        "ne": lambda at: not first <= at < after,
        "ge": lambda at: at >= first,
        "gt": lambda at: at >= after,
        "le": lambda at: at < after,
        "lt": lambda at: at < first,
    }
    compare = comparisons[prefix]
    return lambda record: bool(record.at) and compare(datetime.fromisoformat(record.at))


def _span(text: str) -> tuple[datetime, datetime]:
    """Return the first moment of a date or time and the first one after it."""
    if (found := _MOMENT.fullmatch(text)) is None:
        raise BadInput(
            "search parameter date", "a FHIR date or dateTime with a prefix", text, "date=ge2026-11-24"
        )
    year, month, day, hour, _, second, fraction, _ = found.groups()
    try:
        if hour:
            start = datetime.fromisoformat(text)
            start = start if start.tzinfo else start.replace(tzinfo=UTC)
            length = (
                timedelta(milliseconds=1)
                if fraction
                else timedelta(seconds=1)
                if second
                else timedelta(minutes=1)
            )
            return start, start + length
        start = datetime(int(year), int(month or 1), int(day or 1), tzinfo=UTC)
    except ValueError:
        raise BadInput("search parameter date", "a day of the calendar", text) from None
    if day:
        return start, start + timedelta(days=1)
    if month:
        return start, (start + timedelta(days=32)).replace(day=1)
    return start, start.replace(year=start.year + 1)


def _number(text: str, name: str, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 12 and int(text) <= most):  # noqa: PLR2004 - no number needs more digits
        raise BadInput(f"search parameter {name}", f"a number up to {most}", text)
    return int(text)


def bundle(page: Page, base: str, query: str) -> dict[str, Any]:
    """Return a searchset Bundle with links to itself and to the next page."""
    links = [{"relation": "self", "url": f"{base}/AuditEvent?{query}"}]
    following = page.offset + page.count
    if page.count and following < page.total:
        rest = "&".join(part for part in query.split("&") if part and not part.startswith("_offset="))
        links.append(
            {"relation": "next", "url": f"{base}/AuditEvent?{rest}{'&' if rest else ''}_offset={following}"}
        )
    entries = [
        {
            "fullUrl": f"{base}/AuditEvent/{record.number}",
            "resource": resource(record),
            "search": {"mode": "match"},
        }
        for record in page.records
    ]
    told: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset", "total": page.total, "link": links}
    return told | ({"entry": entries} if entries else {})


def resource(record: Record) -> dict[str, Any]:
    """Return one record as an AuditEvent."""
    return audit_event(parse(record.raw), str(record.number)) | {
        "meta": {"versionId": "1", "lastUpdated": instant(datetime.fromisoformat(record.received))}
    }
