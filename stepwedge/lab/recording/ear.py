"""Listening at taps: each exchange is replaced the moment it is over, and the real one is let go."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from stepwedge.evidence.exchange import NOTHING, Direction, Exchange, Payload, Protocol
from stepwedge.evidence.redact import Identity
from stepwedge.lab.recording.heard import Heard
from stepwedge.sim.address import Directory
from stepwedge.sim.tap.witness_hl7 import Hl7Witness

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stepwedge.lab.recording.surrogates import Surrogates
    from stepwedge.sim.tap.line import Line
    from stepwedge.sim.tap.tap import Edge
    from stepwedge.sim.tap.witness import Witness

MOST: Final = 200_000
"""Exchanges that are kept in memory; what comes after is counted."""
READERS: Final[dict[str, Callable[[Any, Edge], Witness]]] = {"hl7": Hl7Witness}
"""What reads a connection, by door; through other doors everything passes unread."""


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

    def watch(self, edge: Edge) -> Callable[[Line], Witness | None]:
        """Return what a tap asks for somebody to read a new connection."""
        reader = READERS.get(edge.door)
        if reader is None:
            return lambda _: None
        ear = _Ear(self, edge)
        return lambda _: _Discreet(reader(ear, edge), self)


class _Ear:
    """What a witness takes for the bench of the system at the far end; nothing on it touches a disk."""

    identity: Final = Identity(patients="")
    """Anybody is read, because nobody is kept."""

    def __init__(self, recording: Recording, edge: Edge) -> None:
        self.name, self.role = edge.callee, "tap"
        self.settings: dict[str, Any] = {}
        self.directory = Directory()
        self._recording, self._edge = recording, edge

    def exchange(self, protocol: Protocol, direction: Direction, kind: str, **told: Any) -> Exchange:
        began = told.pop("began")
        for name in ("request", "response"):
            payload = told.get(name, NOTHING)
            told[name] = payload if isinstance(payload, Payload) else Payload.of(payload)
        return Exchange(0, began, time.time() - began, self.name, direction, protocol, kind, **told)

    def record(self, protocol: Protocol, direction: Direction, kind: str, **told: Any) -> int:
        return self.keep([self.exchange(protocol, direction, kind, **told)])

    def keep(self, exchanges: Sequence[Exchange]) -> int:
        for one in exchanges:
            self._recording.hear(one, self._edge)
        return len(self._recording.heard)


class _Discreet:
    """A witness whose trouble ends its reading, not the connection, and is told by its name alone."""

    def __init__(self, witness: Witness, recording: Recording) -> None:
        self._witness: Witness | None = witness
        self._recording = recording

    def asked(self, data: bytes) -> None:
        self._do("asked", data)

    def answered(self, data: bytes) -> None:
        self._do("answered", data)

    def over(self) -> None:
        self._do("over")

    def _do(self, what: str, *data: bytes) -> None:
        if self._witness is None:
            return
        try:
            getattr(self._witness, what)(*data)
        except Exception as trouble:  # noqa: BLE001 - a tap hands on what it cannot read
            self._recording.unread[type(trouble).__name__] += 1
            self._witness = None
