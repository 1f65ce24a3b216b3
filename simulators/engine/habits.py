"""Every decision of the interface engine that could also be taken wrongly, as a pure function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from stepwedge.wire.hl7_escape import Separators

FIRST_PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 5.0
UNDECIDED: Final = frozenset({"lost", "timeout", "garbled"})
"""Nobody knows whether the message was taken: the same message, with the same MSH-10, again until somebody does."""
MAY_PASS: Final = frozenset({"AE", "CE"})
"""HL7 2.5.1 section 2.9.2: an error in processing, which may be gone at the next try; AR and CR are final."""


class EngineHabits:
    """What a careful interface engine does."""

    def destinations(self, to: tuple[str, ...]) -> tuple[str, ...]:
        """Return where a message goes of all the places its routes name."""
        return to

    def segment(self, line: str, separators: Separators) -> str:
        """Return a segment as it is passed on: as it came, but for the edits that were made."""
        del separators
        return line

    def pause(self, word: str, tries: int, most: int) -> float | None:
        """Return the seconds until the same message is sent again, None when it becomes a dead letter.

        ``word`` is what came instead of a yes: MSA-1, or ``lost timeout garbled refused``; ``most`` bounds tries of an AE.
        """
        if word in UNDECIDED or (word in MAY_PASS and tries < most):
            return min(FIRST_PAUSE * (1 << min(tries - 1, 16)), LONGEST_PAUSE)
        return None

    def unresolved(self, code: str, *, asked: bool) -> bool:
        """Tell whether a copy stays on the unresolved list: accepted (CA) where the application's answer was ``asked`` for."""
        return asked and code == "CA"

    def choose(self, waiting: int) -> int:
        """Return which of so many messages waiting for one destination goes next: the oldest."""
        return 0 * waiting
