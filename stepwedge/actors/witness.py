"""What the probe asked, what came back, and the exchange that proves it."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from stepwedge.clock import moment
from stepwedge.errors import LinkLost, NoAnswer, Refused, RemoteProtocolError, StepwedgeError
from stepwedge.evidence.exchange import NOTHING, Exchange, Payload

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stepwedge.actors.cast import Cast
    from stepwedge.wire.elements import Elements


@dataclass(frozen=True, slots=True)
class Asked:
    """What came back, and the numbers of the exchanges that prove it."""

    answers: list[Elements]
    evidence: tuple[int, ...]


@dataclass(slots=True)
class Witness:
    """Tells the cast of one exchange the probe made, whatever became of it."""

    cast: Cast
    actor: str
    protocol: Any
    kind: str
    facts: dict[str, Any]
    keys: dict[str, list[str]]
    request: Payload = NOTHING
    response: Payload = NOTHING
    outcome: str = ""
    number: int = 0

    @contextmanager
    def watching(self) -> Iterator[Witness]:
        """Record the exchange when the block ends, with what went wrong in it."""
        began, ticks = moment(), time.monotonic()
        try:
            yield self
        except StepwedgeError as trouble:
            word = next((word for kind, word in _WORDS.items() if isinstance(trouble, kind)), "broken")
            self.outcome = self.outcome or word
            self.facts["error"] = str(trouble)
            raise
        finally:
            took = time.monotonic() - ticks
            self.number = self.cast.observe(
                Exchange(
                    0,
                    began,
                    took,
                    "probe",
                    "out",
                    self.protocol,
                    self.kind,
                    self.actor,
                    self.outcome,
                    self.keys,
                    self.facts,
                    self.request,
                    self.response,
                )
            )


_WORDS: Final[dict[type[StepwedgeError], str]] = {
    LinkLost: "lost",
    NoAnswer: "timeout",
    Refused: "refused",
    RemoteProtocolError: "garbled",
}
