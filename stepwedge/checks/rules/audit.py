"""INV-10: each auditable exchange of the case has its audit record, valid, about the right patient, naming who took part."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from stepwedge.checks.difference import Difference
from stepwedge.checks.rules.rule import CaseFacts, Finding, rule
from stepwedge.checks.rules.sightings import labelled
from stepwedge.sim import keys
from stepwedge.wire.audit_schema import EVENTS
from stepwedge.wire.hl7 import parse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stepwedge.actors.cast import Cast
    from stepwedge.evidence.exchange import Exchange

TRANSFERRED, QUERY, PATIENT, ORDER, PROCEDURE = "110104", "110112", "110110", "110109", "110111"
_DIMSE: Final = {
    "C-STORE": (TRANSFERRED,),
    "C-FIND": (QUERY,),
    "C-MOVE": ("110102",),
    "C-GET": ("110102",),
    "N-CREATE": (PROCEDURE,),
    "N-SET": (PROCEDURE,),
}
_HL7: Final = {
    # RAD-2 and RAD-3 speak of the order, RAD-4 and RAD-13 of the procedure, and ORM carries both
    "ADT": (PATIENT,),
    "ORM": (ORDER, PROCEDURE),
    "OMG": (ORDER,),
    "OMI": (PROCEDURE,),
    "SIU": (PROCEDURE,),
    "ORU": (PROCEDURE,),
    "QBP": (QUERY,),
}
_UNDECIDED: Final = frozenset({"", "lost", "timeout", "garbled", "refused"})


@dataclass(frozen=True, slots=True)
class Expected:
    """One record that must be there.

    Attributes:
        events: which EventIDs would do.
        owner: AuditSourceID of who must have told it; empty for a real system, whose name in records we do not know.
        good: whether the exchange succeeded.
        patients, sops: what the exchange named itself; a record must not name others.
        asked: the identifiers a query asked with.
    """

    exchange: Exchange
    events: tuple[str, ...]
    owner: str
    good: bool
    patients: frozenset[str] = frozenset()
    sops: frozenset[str] = frozenset()
    asked: frozenset[tuple[str, str]] = frozenset()

    def complaint(self, record: Exchange) -> str:
        """Return what in a record of the same kind is not about this exchange; empty when it is its record."""
        if self.events == (QUERY,):
            told_of = _pairs(record.keys)
            same = self.asked <= told_of if self.exchange.protocol == "hl7" else self.asked == told_of
            return "" if same else "another query"
        told = frozenset(record.facts["patients"])
        if self.patients and told != self.patients:
            return f"about {', '.join(sorted(told)) or 'nobody'}"
        named = frozenset(record.keys.get("sop", ()))  # a record may tell their number alone (A.5.3.7)
        if self.sops and named and not self.sops <= named:
            return "about other instances"
        return ""


@dataclass(slots=True)
class _Records:
    """The audit records of the case that have not been given to an exchange yet.

    A record of instances transferred may stand for a whole set of them (A.5.3.7): it is given as often as it counts.
    """

    left: dict[tuple[str, str, bool], list[Exchange]] = field(default_factory=lambda: defaultdict(list))

    given: dict[int, int] = field(default_factory=lambda: defaultdict(int))

    @classmethod
    def of(cls, facts: CaseFacts) -> _Records:
        ours = _applications(facts.cast)
        records = cls()
        for one in facts.exchanges:
            if one.protocol == "syslog" and one.facts.get("event"):
                source = str(one.facts["source"])
                key = (source if source in ours else "", str(one.facts["event"]), one.facts["outcome"] == 0)
                records.left[key].append(one)
        return records

    def give(self, wanted: Expected) -> str:
        """Take the record of an exchange; return how the nearest falls short when there is none."""
        nearest = "never"
        for event in wanted.events:
            waiting = self.left[wanted.owner, event, wanted.good]
            for record in waiting:
                complaint = wanted.complaint(record)
                if not complaint:
                    number = record.facts["record"]
                    self.given[number] += max(1, len(wanted.sops))
                    stands_for = record.facts.get("instances", 1) if event == TRANSFERRED else 1
                    if self.given[number] >= stands_for:
                        waiting.remove(record)
                    return ""
                nearest = f"never; the nearest record is {complaint}"
        return nearest


@rule(
    "INV-10.1",
    says="every auditable exchange has its audit record, with its outcome and about its patient",
    source="IHE ITI-20; PS3.15 A.5.3",
)
def audited(facts: CaseFacts) -> Finding:
    """Give each auditable exchange a record of its own; what is left without one was not audited."""
    if not watched(facts.cast):
        return Finding()
    records = _Records.of(facts)
    # those that name more come first, so that no record is given to an exchange that any would do for
    wanted = sorted(_expected(facts), key=lambda one: not (one.patients or one.sops or one.asked))
    differences = []
    for one in wanted:
        if found := records.give(one):
            told = " or ".join(f"{event} {EVENTS[event].name}" for event in one.events)
            place = f"{labelled(one.exchange)} seen by {one.exchange.actor}: audit record"
            whom = f" about {', '.join(sorted(one.patients))}" if one.patients else ""
            differences.append(
                Difference(place, f"{told}, {'success' if one.good else 'failure'}{whom}", found)
            )
    return Finding(differences, len(wanted))


@rule(
    "INV-10.2",
    says="every audit record is valid and names who took part",
    source="PS3.15 A.5.1, A.5.2 (UserID is mandatory) and A.5.3",
)
def well_formed(facts: CaseFacts) -> Finding:
    """Look at what the repository found wrong with each record of the case, and at its participants."""
    differences, reached = [], 0
    for one in facts.exchanges:
        if one.protocol != "syslog" or "record" not in one.facts or not _claims(one.peer, facts.cast):
            continue
        reached += 1
        place = f"audit record {one.facts['record']}, {one.kind} of {one.peer}"
        differences += [Difference(place, "by PS3.15 A.5", problem) for problem in one.facts["problems"]]
        if not all(one.facts["users"]):
            differences.append(Difference(f"{place}: UserID", "who took part", "empty"))
    return Finding(differences, reached)


def watched(cast: Cast) -> bool:
    """Tell whether an audit record repository of ours is there, so that what arrives is in the journal."""
    return any(player.role == "auditor" and player.simulated for player in cast)


def _claims(name: str, cast: Cast) -> bool:
    return name in cast and (cast[name].simulated or "atna" in cast[name].claims)


def _applications(cast: Cast) -> frozenset[str]:
    return frozenset(player.address.application or "" for player in cast if player.simulated) - {""}


def _expected(facts: CaseFacts) -> Iterator[Expected]:
    for exchange in facts.exchanges:
        events = _events(exchange)
        if not events or exchange.outcome in _UNDECIDED:
            continue
        good = _good(exchange)
        patients = frozenset(exchange.keys.get("patient", ())) | frozenset(
            exchange.keys.get("prior", ()) if events == (PATIENT,) else ()
        )
        sops = frozenset(exchange.keys.get("sop", ())) if events == (TRANSFERRED,) else frozenset()
        asked = _asked(exchange) if events == (QUERY,) else frozenset()
        if events == (QUERY,) and not asked:
            continue  # a query for everybody's data is no one's case: its record cannot be told from others
        for name in (exchange.actor, exchange.peer):
            if name not in facts.cast or facts.cast[name].role == "auditor":
                continue
            player = facts.cast[name]
            if (name == exchange.actor) == player.simulated and _claims(name, facts.cast):
                owner = (player.address.application or "") if player.simulated else ""
                yield Expected(exchange, events, owner, good, patients, sops, asked)


def _events(exchange: Exchange) -> tuple[str, ...]:
    if exchange.protocol == "dimse":
        return _DIMSE.get(exchange.kind, ())
    if exchange.protocol == "hl7":
        return _HL7.get(exchange.kind.partition("^")[0], ())
    if exchange.protocol == "web" and "/studies" in exchange.kind:
        last = exchange.kind.rpartition("/")[2]
        searched = exchange.kind.startswith("GET ") and last in {"studies", "series", "instances"}
        return (QUERY,) if searched else (TRANSFERRED,)
    return ()


def _good(exchange: Exchange) -> bool:
    said = exchange.outcome
    if exchange.protocol == "hl7":
        return said in {"AA", "CA"}
    if exchange.protocol == "web":
        return said.startswith("2") and said != "202"  # 202: a part was refused
    return said in {"0000", "0001", "0107", "0116"} or said.startswith("B")


def _asked(exchange: Exchange) -> frozenset[tuple[str, str]]:
    """Return the identifiers a query asked with; of a message its own, when it asked for a patient's."""
    if exchange.protocol == "hl7":
        found = keys.of_message(parse(exchange.request.data)) if exchange.request.data else {}
        return _pairs({"control": found["control"]}) if found.get("patient") else frozenset()
    if exchange.protocol == "web":
        return _pairs(keys.of_url(str(exchange.facts.get("path", "")), str(exchange.facts.get("query", ""))))
    return _pairs(keys.of_values(exchange.facts.get("identifier") or {}))


def _pairs(found: dict[str, list[str]]) -> frozenset[tuple[str, str]]:
    return frozenset((kind, value) for kind, values in found.items() for value in values)
