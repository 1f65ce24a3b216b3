"""What a standing rule is, and the facts it judges."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from stepwedge.checks.difference import Difference
from stepwedge.errors import BadInput, LinkLost, NoAnswer, Refused, RemoteProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stepwedge.actors.cast import Cast
    from stepwedge.checks.readback import Readback
    from stepwedge.evidence.exchange import Exchange


@dataclass(frozen=True, slots=True)
class CaseFacts:
    """Everything a rule may look at.

    Attributes:
        exchanges: what the actors of the case sent and received, in order.
        acts: the acts the scenario told the actors to do, in order.
        readback: what the systems show when asked afterwards, asked over the wire once and only when a rule wants it.
    """

    exchanges: Sequence[Exchange]
    acts: Sequence[Exchange]
    cast: Cast
    readback: Readback

    @classmethod
    def of(cls, exchanges: Sequence[Exchange], cast: Cast) -> CaseFacts:
        """Gather the facts of one case from its exchanges."""
        from stepwedge.checks.readback import Readback

        acts = [exchange for exchange in exchanges if exchange.protocol == "act"]
        return cls(exchanges, acts, cast, Readback(cast, exchanges))


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule found.

    Attributes:
        differences: everything that breaks the rule.
        reached: how many things were compared; 0 means that the rule was not reached.
        unsure: why nothing can be concluded; empty when something can.
        unseen: what could not be seen here and was left out of the comparison.
    """

    differences: list[Difference] = field(default_factory=list)
    reached: int = 0
    unsure: str = ""
    unseen: list[str] = field(default_factory=list)

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
