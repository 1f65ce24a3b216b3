"""Wait for something to become true, or watch that it does not, with a guaranteed last look.

A check looks once; this decides how often and until when. Time and sleeping are passed in, so that deadlines are
tested without waiting for them.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from stepwedge.checks.check import Look

FIRST_PAUSE: Final = 0.015
LONGEST_PAUSE: Final = 0.25
LONGEST_POLL: Final = 1.0
GROWTH: Final = 1.6


class Pauses(Protocol):
    """How to wait between two looks."""

    def tick(self) -> float:
        """Seconds on a clock that never goes back."""
        ...

    def pause(self, seconds: float) -> None:
        """Wait for at most ``seconds``; return early when there may be something new to see."""
        ...


@dataclass(slots=True)
class Naps:
    """Waits by sleeping, a little longer each time: for what only shows when it is asked."""

    sleep: Callable[[float], None] = time.sleep
    next: float = FIRST_PAUSE

    def tick(self) -> float:
        """Seconds on the monotonic clock."""
        return time.monotonic()

    def pause(self, seconds: float) -> None:
        """Sleep for the next pause, but no longer than ``seconds``."""
        self.sleep(min(self.next, seconds))
        self.next = min(self.next * GROWTH, LONGEST_PAUSE)


@dataclass(slots=True)
class Polls:
    """Waits for the hospital's journal to grow: for what is seen the moment it happens."""

    pull: Callable[[float], int]

    def tick(self) -> float:
        """Seconds on the monotonic clock."""
        return time.monotonic()

    def pause(self, seconds: float) -> None:
        """Wait until an exchange of this case came, but no longer than ``seconds``."""
        self.pull(min(seconds, LONGEST_POLL))


@dataclass(frozen=True, slots=True)
class Watched:
    """What watching came to.

    Attributes:
        look: the look that decided: the first that held, else the last.
        looks: how many looks were taken.
        took: seconds until the deciding look was over.
    """

    look: Look
    looks: int
    took: float


def until(look: Callable[[], Look], done: Callable[[Look], bool], within: float, pauses: Pauses) -> Watched:
    """Look until ``done`` or the deadline; the last look begins no earlier than the deadline."""
    start = pauses.tick()
    deadline = start + within
    looks = 0
    while True:
        begun = pauses.tick()
        seen = look()
        looks += 1
        if done(seen) or begun >= deadline:
            return Watched(seen, looks, pauses.tick() - start)
        if (left := deadline - pauses.tick()) > 0:
            pauses.pause(left)
