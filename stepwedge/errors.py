"""Everything that can go wrong, named after who must act.

A verdict that is not *passed* travels as an exception that carries its own word, so that no runner needs a
ladder of conditions (see ``stepwedge.scenario.verdict`` for how words combine).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


class StepwedgeError(Exception):
    """Any error that Stepwedge raises on purpose; its text is written for the person who must act."""


@dataclass
class BadInput(StepwedgeError):
    """A file or an argument that cannot be used as it stands.

    Attributes:
        place: what was read, ``file:line`` when it is a file.
        expected: what would have been accepted.
        found: what stood there, shortened for reading.
        remedy: what to do about it; may hold a "did you mean".
    """

    place: str
    expected: str
    found: str
    remedy: str = ""

    def __str__(self) -> str:
        """Render on as few lines as stay readable in a terminal."""
        text = f"{self.place}: expected {self.expected}, found {self.found}"
        return f"{text}\n  remedy: {self.remedy}" if self.remedy else text


class Failed(AssertionError, StepwedgeError):
    """The system under test broke a rule."""

    verdict: ClassVar[str] = "failed"


class Inconclusive(StepwedgeError):
    """Nobody can tell: a link was lost, a window closed, a fault did not act."""

    verdict: ClassVar[str] = "inconclusive"


class Broken(StepwedgeError):
    """Stepwedge or the lab is at fault, not the system under test."""

    verdict: ClassVar[str] = "broken"


class Skipped(StepwedgeError):
    """Not claimed by the system under test, or not run, with the reason."""

    verdict: ClassVar[str] = "skipped"


class WireError(StepwedgeError):
    """Something happened on a connection that is not an answer."""


class LocalProtocolError(WireError):
    """We tried to send what the protocol does not allow in this state: our fault."""


class RemoteProtocolError(WireError):
    """The peer sent what the protocol does not allow: the peer's fault."""


class LinkLost(WireError):
    """The connection could not be made, or ended before the answer was complete."""


class NoAnswer(WireError):
    """The connection stands, but no answer came within the time allowed."""


class Refused(WireError):
    """The peer answered, and the answer is a definite no (association rejected, abort, status, HTTP 4xx)."""
