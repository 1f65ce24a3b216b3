"""Which objects go on to other systems, and which priors are fetched ahead. Pure.

What is sent, and whether it arrived, stands in the table ``routed``: one row for each object and destination, so that nothing
is sent twice however many rules or orders want it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import BadInput
from stepwedge.sim.store import Send

from .selecting import NAMES, matches, read_conditions, read_texts, same_mapping
from .tiers import NEARLINE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .state import Archive, Instance

OBJECT: Final = "object"
RECALL: Final = "recall"
"""Kinds of outgoing work: store an object elsewhere, bring a study back online here."""
ORDERED, ARRIVED, STORED = "ordered", "arrived", "stored"
MOMENTS: Final = (ORDERED, ARRIVED)
PRIORS_AT_MOST: Final = 50


@dataclass(frozen=True, slots=True)
class Routed:
    """One object on its way to a destination; ``status`` is ``waiting``, ``sent``, or ``failed`` with the reason."""

    sop: str
    study: str
    to: str
    why: str
    status: str = "waiting"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Route:
    """Where new objects go that meet the conditions."""

    to: tuple[str, ...]
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def read(cls, given: Any, place: str) -> Route:
        """Read ``{to: long_term, modality: CT, body_part: CHEST}``."""
        known = same_mapping(given, ("to", *NAMES), f"{place}.routes")
        to = read_texts(known.pop("to", ""), f"{place}.routes: to")
        return cls(to, read_conditions(known, f"{place}.routes"))


@dataclass(frozen=True, slots=True)
class Prefetch:
    """Which priors are fetched ahead.

    Attributes:
        when: ``ordered``, a procedure is announced (RAD-4); ``arrived``, the patient is (ADT^A01, A04).
        to: who gets them; nobody only has them brought back online.
        count: how many studies, the newest first.
        where: conditions that an object of the prior meets.
    """

    when: str = ORDERED
    to: tuple[str, ...] = ()
    count: int = 3
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def read(cls, given: Any, place: str) -> Prefetch:
        """Read ``{to: reading_room, count: 2, modality: CT, body_part: CHEST, when: ordered}``."""
        known = same_mapping(given, ("to", "count", "when", *NAMES), f"{place}.prefetch")
        count, when = known.pop("count", 3), known.pop("when", ORDERED)
        to = read_texts(known.pop("to"), f"{place}.prefetch: to") if "to" in known else ()
        if when not in MOMENTS:
            raise BadInput(f"{place}.prefetch: when", f"one of {', '.join(MOMENTS)}", repr(when))
        if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= PRIORS_AT_MOST:
            raise BadInput(
                f"{place}.prefetch: count", f"a number of studies, 1 to {PRIORS_AT_MOST}", repr(count)
            )
        return cls(when, to, count, read_conditions(known, f"{place}.prefetch"))


@dataclass(frozen=True, slots=True)
class Plan:
    """The rules of one archive."""

    routes: tuple[Route, ...] = ()
    prefetch: tuple[Prefetch, ...] = ()


def route(archive: Archive, instance: Instance, origin: str) -> list[Send]:
    """Put a new object on its way to everybody whose rule takes it, but not back to ``origin``."""
    return [
        send
        for rule in archive.plan.routes
        if matches(rule.where, instance)
        for to in archive.habits.routed_to(rule.to)
        if to != origin
        for send in _queued(archive, instance, to, "route")
    ]


def follow(archive: Archive, note: Instance, named: list[str]) -> list[Send]:
    """Send a rejection note after the objects it names (RAD-66), wherever those were sent."""
    went = [one.to for sop in named for one in archive.routed.by("sop", sop)]
    told = archive.habits.passes_note_on(list(dict.fromkeys(went)))
    return [send for to in told for send in _queued(archive, note, to, "note")]


def fetch_ahead(archive: Archive, patient: str, moment: str, study: str = "") -> list[Send]:
    """Put on its way what is to be there when the patient's new study is read.

    Args:
        archive: the archive.
        patient: key of the patient record that was named.
        moment: one of ``ORDERED``, ``ARRIVED`` and ``STORED``.
        study: the new study, which is no prior of its own.
    """
    sends: list[Send] = []
    for rule in archive.plan.prefetch:
        if archive.habits.fetches(rule.when, moment):
            for prior in priors(archive, patient, rule, study):
                sends += _fetched(archive, prior, rule)
    return sends


def priors(archive: Archive, patient: str, rule: Prefetch, study: str) -> list[str]:
    """Return the studies of a patient, whatever ID they came under, that a rule wants: the newest first."""
    person = archive.survivor(patient)
    own = archive.aliases(person.key) if person else [patient]
    found: list[tuple[str, str, str]] = []
    for key in archive.habits.whose(own, list(archive.people)):
        for row in archive.studies.by("patient", key):
            shown = archive.shown(row.uid)
            if row.uid != study and any(matches(rule.where, one) for one in shown):
                header = shown[0].header
                found.append((str(header.get("StudyDate", "")), str(header.get("StudyTime", "")), row.uid))
    return [uid for *_, uid in sorted(found, reverse=True)[: rule.count]]


def _fetched(archive: Archive, prior: str, rule: Prefetch) -> Iterator[Send]:
    if archive.tier(prior) == NEARLINE:
        body = json.dumps({"study": prior}).encode()
        yield Send(archive.name, body, RECALL, archive.control())
    for to in rule.to:
        for one in archive.shown(prior):
            yield from _queued(archive, one, to, "prefetch")


def _queued(archive: Archive, instance: Instance, to: str, why: str) -> Iterator[Send]:
    """Yield the message for one object, unless it is there or on its way; what failed is tried again."""
    key = f"{instance.sop} {to}"
    known = archive.routed.get(key)
    if known is not None and known.status != "failed":
        return
    archive.routed[key] = Routed(instance.sop, instance.study, to, why)
    yield Send(to, json.dumps({"key": key}).encode(), OBJECT, archive.control())


__all__ = [
    "ARRIVED",
    "OBJECT",
    "ORDERED",
    "RECALL",
    "STORED",
    "Plan",
    "Prefetch",
    "Route",
    "Routed",
    "fetch_ahead",
    "follow",
    "priors",
    "route",
]
