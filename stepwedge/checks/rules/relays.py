"""INV-12.1: what an interface engine takes arrives once at every destination, unchanged but for what its tables say."""

from __future__ import annotations

from collections import defaultdict
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final

from stepwedge.checks.difference import Difference
from stepwedge.checks.rules.rule import CaseFacts, Finding, rule
from stepwedge.checks.rules.sightings import labelled, relayed
from stepwedge.wire.hl7 import HL7Error, parse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stepwedge.evidence.exchange import Exchange
    from stepwedge.wire.hl7 import Message, Segment

_ACCEPTED: Final = frozenset({"AA", "CA"})
_UNREADABLE: Final = "a message that can be read"


@rule(
    "INV-12.1",
    says="a relayed message arrives once at each destination, unchanged except for what the tables say",
    source="HL7 2.5.1 section 2.9 (MSH-10 names one message) and 2.5.3; IHE ITI TF-2 C.2.3",
)
def arrives_once(facts: CaseFacts) -> Finding:
    """Compare each message a relay took with each copy it handed on."""
    differences: list[Difference] = []
    taken: dict[tuple[str, str, str], Exchange] = {}
    copies: dict[tuple[str, int], list[Exchange]] = defaultdict(list)
    for exchange in facts.exchanges:
        if told := relayed(exchange):
            copies[exchange.actor, int(told["copy"])].append(exchange)
        elif exchange.direction == "in" and "relay" in exchange.facts:
            control = "".join(exchange.keys.get("control", ()))
            taken.setdefault((exchange.actor, exchange.peer, control), exchange)
    for (relay, _, _), exchange in taken.items():
        differences += _never_sent(exchange, relay, copies)
    for (relay, _), sent in copies.items():
        told = relayed(sent[0])
        source = taken.get((relay, str(told["for"]), str(told["of"])))
        if source is not None:
            differences += _changed(source, sent[0], told["changed"])
    differences += _twice(copies)
    return Finding(differences, len(copies))


def _never_sent(
    exchange: Exchange, relay: str, copies: dict[tuple[str, int], list[Exchange]]
) -> Iterator[Difference]:
    for number, to in exchange.facts["relay"]["copies"].items():
        if (relay, int(number)) not in copies:
            yield Difference(f"{labelled(exchange)}: handed on to {to}", "once it was accepted", "never")


def _twice(copies: dict[tuple[str, int], list[Exchange]]) -> Iterator[Difference]:
    """Yield messages that took effect twice at one destination: under another copy, or another control ID."""
    arrived: dict[tuple[str, ...], list[Exchange]] = defaultdict(list)
    for (relay, _), sent in copies.items():
        accepted = [one for one in sent if one.outcome in _ACCEPTED]
        if accepted:
            told = relayed(accepted[0])
            arrived[relay, str(told["for"]), str(told["of"]), accepted[0].peer].append(accepted[0])
    for several in arrived.values():
        if len(several) > 1:
            label = labelled(several[1])
            yield Difference(f"{label}: accepted by {several[1].peer}", "once", f"{len(several)} times")


def _changed(source: Exchange, sent: Exchange, said: dict[str, Any]) -> Iterator[Difference]:
    """Yield each place of a copy that differs without a reason."""
    label = labelled(sent)
    try:
        before, after = parse(source.request.read()), parse(sent.request.read())
    except HL7Error as trouble:
        yield Difference(label, _UNREADABLE, str(trouble))
        return
    old, new = _segments(before), _segments(after)
    for place in [*old, *(place for place in new if place not in old)]:
        if place in said:
            continue
        if place not in new or place not in old:
            yield Difference(
                f"{label}: {place}", "as it came" if place in old else "nothing", _line(new.get(place))
            )
            continue
        for number, (was, is_) in enumerate(zip_longest(old[place].fields, new[place].fields, fillvalue="")):
            if was != is_ and f"{place}-{number}" not in said:
                yield Difference(f"{label}: {place}-{number}", was or "nothing", is_ or "nothing")


def _segments(message: Message) -> dict[str, Segment]:
    seen: dict[str, int] = defaultdict(int)
    found = {}
    for segment in message.segments:
        seen[segment.name] += 1
        found[f"{segment.name}[{seen[segment.name]}]"] = segment
    return found


def _line(segment: Segment | None) -> str:
    return segment.line[:60] if segment else "left out"
