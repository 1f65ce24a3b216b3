"""INV-12.2 and INV-12.3: what a DICOM router takes arrives once at every destination of its rules, whole and in order."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from stepwedge.checks.difference import Difference
from stepwedge.checks.rules.rule import CaseFacts, Finding, rule
from stepwedge.errors import Failed, Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stepwedge.actors.cast import Player
    from stepwedge.evidence.exchange import Exchange

_TAKEN: Final = frozenset({"0000", "B000", "B006", "B007"})
"""PS3.4 table B.2-1: success, and the warnings after which the object is stored all the same."""


@dataclass(slots=True)
class _Traffic:
    """What one router took and handed on, each by SOP Instance UID, in the order it happened.

    Attributes:
        taken: the first time; ``again`` counts how often it was given to the router after that.
    """

    router: Player
    taken: dict[str, Exchange] = field(default_factory=dict)
    again: Counter[str] = field(default_factory=Counter)
    sent: dict[tuple[str, str], list[Exchange]] = field(default_factory=lambda: defaultdict(list))

    def ways(self, sop: str) -> dict[str, Any]:
        """Return where the router's rules send an object, as the router says when it is asked."""
        try:
            return self.router.ask("ways", {"sop": sop})
        except (Refused, Failed):
            return {}

    def destinations(self) -> list[str]:
        """Return whoever took something of the router."""
        return list(dict.fromkeys(to for to, _ in self.sent))


def _traffic(facts: CaseFacts) -> Iterator[_Traffic]:
    for player in facts.cast:
        if player.role != "router" or not player.simulated:
            continue
        seen = _Traffic(player)
        for exchange in sorted(facts.exchanges, key=lambda one: (one.at + one.took, one.number)):
            if exchange.actor != player.name or exchange.kind != "C-STORE" or exchange.outcome not in _TAKEN:
                continue
            sop = str(exchange.facts.get("sop") or "")
            if exchange.direction == "in":
                seen.again[sop] += sop in seen.taken
                seen.taken.setdefault(sop, exchange)
            elif _routed(exchange, player):
                seen.sent[exchange.peer, sop].append(exchange)
        yield seen


def _routed(exchange: Exchange, router: Player) -> bool:
    """Tell routing from sub-operations: those of C-GET are on the asker's association, those of C-MOVE name who asked."""
    ours = router.address.dicom is not None and exchange.facts.get("calling") == router.address.dicom.ae
    return ours and not (exchange.facts.get("command") or {}).get("MoveOriginatorApplicationEntityTitle")


@rule(
    "INV-12.2",
    says="every image a router takes arrives at each destination of its rules, once for each time it came, pixels unchanged",
    source="PS3.4 section B.4.1 and table B.2-1; IHE RAD TF-2 RAD-8",
)
def routed_once(facts: CaseFacts) -> Finding:
    """Compare each object a router acknowledged with what its destinations took of it."""
    differences: list[Difference] = []
    reached = 0
    for traffic in _traffic(facts):
        for sop, exchange in traffic.taken.items():
            wanted = traffic.ways(sop).get("to") or []
            if not wanted:
                differences.append(
                    Difference(f"image {sop}", "kept until it has arrived", "unknown to the router")
                )
            for to in dict.fromkeys([*wanted, *traffic.destinations()]):
                reached += 1
                most = 1 + traffic.again[sop] if to in wanted else 0
                differences += _arrived(
                    exchange, f"image {sop} at {to}", traffic.sent.get((to, sop), []), most
                )
    return Finding(differences, reached)


def _arrived(taken: Exchange, label: str, sent: list[Exchange], most: int) -> Iterator[Difference]:
    """Compare what arrived with what was taken; ``most`` is how often it may arrive, 0 where no rule sends it."""
    if not min(most, 1) <= len(sent) <= most:
        times = f"taken {len(sent)} times" if sent else "never taken"
        wanted = "taken once" if most == 1 else f"taken once, at most {most} times"
        yield Difference(label, wanted if most else "not sent there by any rule", times)
    for one in sent:
        before, after = _pixels(taken), _pixels(one)
        if before != after:
            yield Difference(
                f"{label}: pixels", f"SHA-256 {before[:16]}…", f"{after[:16]}…" if after else "none"
            )


def _pixels(exchange: Exchange) -> str:
    return str((exchange.facts.get("dataset") or {}).get("pixels") or "")


@rule(
    "INV-12.3",
    says="images of a series leave a router in the order in which they came, where its destinations count on it",
    source="the router's own promise (setting ordered); PS3.4 leaves the order of storage to the user",
)
def in_order(facts: CaseFacts) -> Finding:
    """Compare the order of arrival with the order of departure, series by series and destination by destination."""
    differences: list[Difference] = []
    reached = 0
    for traffic in _traffic(facts):
        came = {sop: number for number, sop in enumerate(traffic.taken)}
        series: dict[tuple[str, str], list[tuple[float, str]]] = defaultdict(list)
        for (to, sop), sent in traffic.sent.items():
            if sop in came and traffic.ways(sop).get("ordered"):
                uid = "".join(traffic.taken[sop].keys.get("series", ())[:1])
                series[to, uid].append((sent[0].at, sop))
        for (to, uid), left in series.items():
            reached += 1
            order = [sop for _, sop in sorted(left)]
            for first, second in itertools.pairwise(order):
                if came[first] > came[second]:
                    differences.append(
                        Difference(
                            f"series {uid} at {to}", f"image {second} before {first}", "the other way round"
                        )
                    )
    return Finding(differences, reached)
