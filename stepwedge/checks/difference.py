"""One difference between what was expected and what was found: the value under every check and rule."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is not as it should be.

    Attributes:
        path: where, in the words of the scenario (``control``, ``PID-3.1``, ``ScheduledStationAETitle``).
        expected: what should stand there, for reading (``one of CA, OC, DC``).
        found: what stands there; ``nothing`` when nothing does.
    """

    path: str
    expected: str
    found: str

    def __str__(self) -> str:
        """Render on one line."""
        return f"{self.path}: expected {self.expected}, found {self.found}"

    def below(self, parent: str) -> Difference:
        """Return the same difference, seen from one level further out."""
        return Difference(join(parent, self.path), self.expected, self.found)


def join(parent: str, child: str) -> str:
    """Return the path of ``child`` inside ``parent``."""
    return f"{parent}.{child}" if parent and child else parent or child
