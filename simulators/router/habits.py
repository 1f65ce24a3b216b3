"""Every decision of the router that could also be taken wrongly, as a pure function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .rules import Way
    from .state import Job

FIRST_PAUSE: Final = 0.05
UNDECIDED: Final = frozenset({"lost", "timeout", "garbled", "refused"})
"""The destination could not be spoken to, or would not speak to us: nothing is said about the object."""
MAY_PASS: Final = frozenset({"aborted", "0110"})
"""The destination failed on this object; it may do better, but the others must not wait for ever (PS3.7 annex C)."""


class RouterHabits:
    """What a careful router does."""

    def ways(self, chosen: tuple[Way, ...], every: tuple[str, ...]) -> tuple[Way, ...]:
        """Return the ways an image is sent, of those its rules chose; ``every`` destination is known."""
        del every
        return chosen

    def lane(self, lane: str) -> str:
        """Return the lane in which an object waits."""
        return lane

    def choose(self, waiting: Sequence[Job]) -> Job:
        """Return which of the objects of one lane goes next: the one that came first."""
        return waiting[0]

    def durable(self) -> bool:
        """Tell whether an object is on disk before it is acknowledged."""
        return True

    def pause(self, word: str, tries: int, most: int, longest: float) -> float | None:
        """Return the seconds until an object is sent again, None when it is parked.

        ``word`` is what came instead of a success: ``lost timeout garbled refused`` (of the association), ``aborted``, or a
        status in four hex digits. A7xx, out of resources, is gone one day and never a reason to give up (PS3.4 table B.2-1);
        all other failures are about the object.
        """
        waits = word in UNDECIDED or word.startswith("A7")
        if waits or (word in MAY_PASS and tries < most):
            return min(FIRST_PAUSE * float(1 << min(tries - 1, 16)), longest)
        return None

    def copies(self, tries: int) -> int:
        """Return how many times an object is sent on its n-th try."""
        return min(tries, 1)

    def sent(self, data: bytes) -> bytes:
        """Return a data set as it leaves, changed by nothing but its rules."""
        return data
