"""What a standing rule is, and the facts it judges."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final

from stepwedge.checks.difference import Difference
from stepwedge.checks.readback import Readback
from stepwedge.checks.rules.account import accounts
from stepwedge.checks.rules.ledger import Ledger
from stepwedge.checks.rules.people import People
from stepwedge.checks.rules.sightings import of_answer, of_exchanges, of_image
from stepwedge.clock import moment
from stepwedge.errors import BadInput, LinkLost, NoAnswer, Refused, RemoteProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from stepwedge.actors.cast import Cast
    from stepwedge.checks.rules.sightings import Sighting
    from stepwedge.evidence.exchange import Exchange


ACCEPTED: Final = frozenset({"AA", "CA"})
"""HL7 table 0008."""


@dataclass(frozen=True)
class CaseFacts:
    """Everything a rule may look at.

    Attributes:
        exchanges: what the actors of the case sent and received.
        acts: the acts the scenario told the actors to do, in order.
        readback: what the systems show when asked afterwards, asked over the wire once and only when a rule wants it.
        forged: what faults made up: control IDs of messages and transactions of which they told one side what the other never
            said, and patient IDs of nobody.
    """

    exchanges: Sequence[Exchange]
    acts: Sequence[Exchange]
    cast: Cast
    readback: Readback
    forged: frozenset[str] = frozenset()

    @classmethod
    def of(cls, exchanges: Sequence[Exchange], cast: Cast, forged: Iterable[str] = ()) -> CaseFacts:
        """Gather the facts of one case from its exchanges, and what its faults made up."""
        acts = [exchange for exchange in exchanges if exchange.protocol == "act"]
        return cls(exchanges, acts, cast, Readback(cast), frozenset(forged))

    @cached_property
    def seen(self) -> list[Sighting]:
        """What was said while the case ran, in time order.

        What a tester made wrong and was refused says nothing, nor does what he let come late: what is made of it is judged.
        """
        made = {control for control, late in self.by_hand.items() if not late}
        delayed = self.by_hand.keys() - made
        return of_exchanges(
            one
            for one in self.exchanges
            if delayed.isdisjoint(controls := one.keys.get("control", ()))
            and (one.outcome in ACCEPTED or made.isdisjoint(controls))
        )

    @cached_property
    def by_hand(self) -> dict[str, bool]:
        """The control IDs of messages that a tester changed by hand, and whether he let them come late."""
        told = (act.facts.get("result") or {} for act in self.acts if act.kind == "send_by_hand")
        return {control: bool(result.get("late")) for result in told for control in result.get("ids", ())}

    @cached_property
    def people(self) -> People:
        """The patients, from their registrations, corrections and merges."""
        return People.of(self.exchanges)

    @cached_property
    def ledger(self) -> Ledger:
        """The orders and their numbers."""
        return Ledger.of(self.seen)

    @cached_property
    def afterwards(self) -> list[Sighting]:
        """What worklist and archive say at the end about every order and study of the case."""
        return [*self._worklist(), *self._studies()]

    def _worklist(self) -> Iterator[Sighting]:
        if (ris := self.readback.player("ris")) is None:
            return
        for accession in sorted(self.ledger.known("accession")):
            label = f"worklist for {accession}"
            for entry in self.readback.worklist(accession):
                yield of_answer(label, moment(), ris.name, "worklist", entry, final=True)

    def _studies(self) -> Iterator[Sighting]:
        if (pacs := self.readback.player("pacs")) is None:
            return
        for study in self.stored_studies:
            for door in self.readback.doors():
                for answer in self.readback.studies(door, "StudyInstanceUID", study):
                    yield of_answer(
                        f"{door} for study {study}", moment(), pacs.name, "study", answer, final=True
                    )
            if study in self.emptied:
                continue  # everything of it was withdrawn: whether it is still handed out is a question of its own
            for image in self.readback.retrieved(study) or []:
                label = f"image {image.sop} as retrieved"
                yield of_image(label, moment(), pacs.name, image.header, final=True)

    @cached_property
    def emptied(self) -> set[str]:
        """The studies of which nothing need be left to hand out."""
        return {one.study for one in accounts(self.exchanges) if one.taken and not one.here}

    @cached_property
    def stored_studies(self) -> list[str]:
        """The studies of which the archive took at least one image."""
        return list(dict.fromkeys(one["study"] for one in self.seen if one.kind == "image" and one["study"]))


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule found.

    Attributes:
        differences: everything that breaks the rule.
        reached: how many things were compared; 0 means that the rule was not reached.
        unsure: why nothing can be concluded; empty when something can.
        unseen: what could not be seen here and was left out of the comparison.
        final: judging again cannot make it good: what was shown once was shown.
    """

    differences: list[Difference] = field(default_factory=list)
    reached: int = 0
    unsure: str = ""
    unseen: list[str] = field(default_factory=list)
    final: bool = False

    @property
    def verdict(self) -> str:
        """``failed``, ``inconclusive``, ``skipped`` (not reached) or ``passed``."""
        if self.differences:
            return "failed"
        if self.unsure:
            return "inconclusive"
        return "passed" if self.reached else "skipped"


@dataclass(frozen=True, slots=True)
class Rule:
    """One standing rule.

    Attributes:
        id: its number, ``INV-1``.
        says: one plain sentence without a full stop.
        source: the standard and section, or the transaction, that demands it.
    """

    id: str
    says: str
    source: str
    find: Callable[[CaseFacts], Finding]

    def judge(self, facts: CaseFacts) -> Finding:
        """Apply the rule; trouble while reading back makes it unsure, never satisfied."""
        try:
            return self.find(facts)
        except (LinkLost, NoAnswer) as trouble:
            return Finding(unsure=str(trouble))
        except (Refused, RemoteProtocolError) as trouble:
            return Finding([Difference("reading back", "an answer", str(trouble))], 1)


RULES: Final[dict[str, Rule]] = {}


def rule(
    id_: str, *, says: str, source: str
) -> Callable[[Callable[[CaseFacts], Finding]], Callable[[CaseFacts], Finding]]:
    """Register the decorated function as the standing rule ``id_``."""

    def register(find: Callable[[CaseFacts], Finding]) -> Callable[[CaseFacts], Finding]:
        if id_ in RULES and RULES[id_].find.__module__ != find.__module__:
            raise BadInput(f"rule {id_!r}", "one definition of each rule", "two", "number one of them anew")
        RULES[id_] = Rule(id_, says, source, find)
        return find

    return register
