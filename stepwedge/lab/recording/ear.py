"""Listening at taps: each exchange is replaced the moment it is over, and the real one is let go."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final, cast

from stepwedge.clock import moment
from stepwedge.evidence.exchange import NOTHING, Direction, Exchange, Payload, Protocol
from stepwedge.evidence.redact import Identity
from stepwedge.lab.recording.heard import Heard
from stepwedge.sim.address import Directory
from stepwedge.sim.tap.tap import Edge
from stepwedge.sim.tap.witnesses import Witnesses

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stepwedge.lab.recording.surrogates import Surrogates
    from stepwedge.sim.bench import Bench

MOST: Final = 200_000
"""Exchanges that are kept in memory; what comes after is counted."""


class Recording:
    """What was heard on all links of one run.

    Attributes:
        heard: exchanges without anybody real, in order.
        counts: how many by link, kind and outcome.
        unread: how many could not be read, by the name of the error; what stood in them is not repeated.
        more: how many were let go because there were too many.
    """

    def __init__(self, to: Surrogates) -> None:
        """Hear nothing yet."""
        self._to = to
        self.heard: list[Heard] = []
        self.counts: Counter[tuple[str, str, str]] = Counter()
        self.unread: Counter[str] = Counter()
        self.more = 0

    def hear(self, exchange: Exchange, edge: Edge) -> None:
        """Take an exchange of a link; nothing of it is kept but what may stay."""
        if exchange.direction == "out":  # the callee asked on the caller's connection
            edge = Edge(edge.callee, edge.caller, edge.door)
        try:
            found = Heard.of(exchange, edge, self._to)
        except Exception as trouble:  # noqa: BLE001 - whatever it was, its text may hold what must not be repeated
            self.unread[type(trouble).__name__] += 1
            return
        self.counts[f"{edge.caller}->{edge.callee}", found.kind or "?", found.outcome or "?"] += 1
        if len(self.heard) < MOST:
            self.heard.append(found)
        else:
            self.more += 1

    def bench(self, name: str) -> Bench:
        """Return what witnesses take for the bench of the system at the far end of a tap."""
        return cast("Bench", _Ear(name, self))  # all that a witness asks of one

    def witnesses(self) -> Witnesses:
        """Return what reads the connections of taps into this recording."""
        return Witnesses(self.bench)


class _Ear:
    """Hears what witnesses tell; nothing on it touches a disk."""

    identity: Final = Identity(patients="")
    """Anybody is read, because nobody is kept."""
    objects: Final = None
    """No data set is kept."""

    def __init__(self, name: str, recording: Recording) -> None:
        self.name, self._recording = name, recording
        self.directory = Directory()

    def exchange(self, protocol: Protocol, direction: Direction, kind: str, **told: Any) -> Exchange:
        began, took = told.pop("began"), told.pop("took", None)
        for name in ("request", "response"):
            payload = told.get(name, NOTHING)
            told[name] = payload if isinstance(payload, Payload) else Payload.of(payload)
        took = moment() - began if took is None else took
        return Exchange(0, began, took, self.name, direction, protocol, kind, **told)

    def record(self, protocol: Protocol, direction: Direction, kind: str, **told: Any) -> int:
        return self.keep([self.exchange(protocol, direction, kind, **told)])

    def keep(self, exchanges: Sequence[Exchange]) -> int:
        for one in exchanges:
            link, _, door = str(one.facts.get("tap", "")).partition(" ")
            caller, _, callee = link.partition("->")
            self._recording.hear(one, Edge(caller, callee, door))
        return len(self._recording.heard)
