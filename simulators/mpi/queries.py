"""What consumers ask the index: identifiers of one person (ITI-9), and who matches demographics (ITI-21). Pure."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from stepwedge.sim.hl7 import Handler, Reply
from stepwedge.sim.messages.identity import (
    ERROR,
    FOUND,
    NOT_FOUND,
    answer_segments,
    cross_reference,
    identifiers,
    query_keys,
    wanted_domains,
)
from stepwedge.wire.hl7 import HL7Error, Rep

from .state import FIELDS, SEX, Page, Record

if TYPE_CHECKING:
    from datetime import datetime

    from stepwedge.wire.hl7 import Message

    from .state import Index

MOST: Final = 1000
_WHOSE: Final = "QPD[1]-3[1]"
_CERTAIN: Final = ("QRI", {1: "100"})
"""RSP_K21 wants QRI behind each PID: every key of the query matched."""
_NAMES: Final = {
    "5": "5.1",
    "5.1.1": "5.1",
    "7": "7.1",
    "8": "8.1",
    "11": "11.1",
    "11.1.1": "11.1",
    "18": "18.1",
}
"""Other ways to write a place that is kept: the first part of a field is meant where none is named."""
_FOLDED: Final = ("5.", "11.")
"""Places that are compared without regard to case."""


def cross_references(index: Index, message: Message, now: datetime) -> Reply:
    """Answer QBP^Q23 by the six cases of ITI TF-2 3.9.4.2.2.8."""
    del now
    kind = "RSP^K23"
    try:
        whose, domains = _asked(index, message)
        record = index.record(whose, _WHOSE)
    except HL7Error as error:
        if error.location == f"{_WHOSE}.1" and not index.habits.admits_unknown():
            return Reply(type=kind, segments=answer_segments(message, NOT_FOUND))
        return _failed(message, kind, error)
    found = [one for one in index.known_as(record, domains) if one != record.identifier]
    if not found:
        return Reply(type=kind, segments=answer_segments(message, NOT_FOUND))
    return Reply(type=kind, segments=[*answer_segments(message, FOUND), cross_reference(found)])


def _asked(index: Index, message: Message) -> tuple[Any, list[str]]:
    found = identifiers(message, "QPD-3")
    if len(found) != 1:
        raise HL7Error(101, "QPD-3", "one patient identifier")
    domains = wanted_domains(message, "4")
    for number, domain in enumerate(domains, 1):
        index.known(domain, f"QPD[1]-4[{number}]")
    return found[0], domains


def candidates(index: Index, message: Message, now: datetime) -> Reply:
    """Answer QBP^Q22: one PID for each person that matches; DSC says that there are more (ITI TF-2 3.21.4.2)."""
    del now
    kind = "RSP^K22"
    try:
        if pointer := message["DSC-1"]:
            return _page(index, message, index.taken_up(pointer, message["QPD-2"]))
        domains = wanted_domains(message, "8")
        for number, domain in enumerate(domains, 1):
            index.known(domain, f"QPD[1]-8[{number}]")
        left = _matching(index, query_keys(message), domains)
    except HL7Error as error:
        return _failed(message, kind, error)
    if not left:
        return Reply(type=kind, segments=answer_segments(message, NOT_FOUND, 0))
    return _page(index, message, Page(message["QPD-2"], tuple(left), tuple(domains)))


def _page(index: Index, message: Message, page: Page) -> Reply:
    asked = message["RCP-2.1"]
    if asked and not asked.isdigit():
        return _failed(message, "RSP^K22", HL7Error(102, "RCP-2.1", "the limit is no number"))
    most = min(int(asked[:6] or 0) or index.settings.most, MOST)
    told, left = page.left[:most], page.left[most:]
    people = [index.records[key] for key in told if key in index.records]
    segments = answer_segments(message, FOUND, len(page.left))
    for number, one in enumerate(people, 1):
        segments += [_person(index, one, number, page.domains), _CERTAIN]
    if left and index.habits.says_more():
        pointer = index.put_by(Page(page.tag, left, page.domains))
        segments.append(("DSC", {1: pointer, 2: "I"}))
    return Reply(type="RSP^K22", segments=segments)


def _matching(index: Index, keys: list[tuple[int, str, str]], domains: list[str]) -> list[str]:
    """Return one record of each person that matches all keys and is known in a wanted domain."""
    tests = []
    for number, name, wanted in keys:
        place = name.removeprefix("PID.")
        place = _NAMES.get(place, place)
        if place not in (*FIELDS, "3.1", "3.4", "3.4.1"):
            raise HL7Error(103, f"QPD[1]-3[{number}].1", f"{name} cannot be asked for")
        if wanted:
            tests.append((place, wanted))
    if not tests:
        raise HL7Error(101, "QPD-3", "something to look for")
    found: list[str] = []
    seen: set[str] = set()
    for record in index.records.values():
        if record.key in seen or not index.habits.offers(record):
            continue
        if all(_matches(record, place, wanted) for place, wanted in tests):
            person = index.person(record)
            seen |= {one.key for one in person}
            if any(one.domain in (domains or index.settings.domains) for one in person):
                found.append(record.key)
    return found


def _matches(record: Record, place: str, wanted: str) -> bool:
    value = {"3.1": record.id, "3.4": record.domain, "3.4.1": record.domain}.get(place) or record.values.get(
        place, ""
    )
    if place.startswith(_FOLDED):
        value, wanted = value.casefold(), wanted.casefold()
    return fnmatchcase(value, wanted.replace("[", "[[]"))


def _person(index: Index, record: Record, number: int, domains: tuple[str, ...]) -> Any:
    """Return PID of a person: the matching record's demographics, and all identifiers in the wanted domains."""
    fields: dict[int, list[str]] = {}
    for place, value in record.values.items():
        field, _, part = place.partition(".")
        parts = fields.setdefault(int(field), [])
        parts += [""] * (int(part) - len(parts))
        parts[int(part) - 1] = value
    known = Rep([one.written() for one in index.known_as(record, domains)])
    sex = record.values.get(SEX) or "U"
    return "PID", {**fields, 1: str(number), 3: known, int(SEX.partition(".")[0]): sex}


def _failed(message: Message, kind: str, error: HL7Error) -> Reply:
    return Reply("AE", type=kind, error=error, segments=answer_segments(message, ERROR))


def cancel(index: Index, message: Message, now: datetime) -> Reply:
    """Forget the rest of an answer (QCN^J01)."""
    del now
    index.cancel(message["QID-1"])
    return Reply()


QUERIES: Final[dict[str, Handler]] = {
    "QBP^Q23": cross_references,
    "QBP^Q22": candidates,
    "QCN^J01": cancel,
}
