"""Counting down to the byte at which a fault acts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class After:
    """So many whole units (frames or PDUs) of one direction, and so many bytes of what follows; nothing means at once.

    Attributes:
        bytes: -1 is all of the next unit but its last byte.
        connection: which of those on which something is said, from 1; 0 is each of them.
    """

    units: int = 0
    bytes: int = 0
    connection: int = 0


class Countdown:
    """One connection's way to the point where a fault acts."""

    def __init__(self, after: After) -> None:
        """Begin to count; units that end from now on count."""
        self._units, self._bytes = after.units, after.bytes
        self.over = False

    def reach(self, size: int, ends: Sequence[int]) -> int | None:
        """Return the offset in the next ``size`` bytes at which the count is over; None before, and after it was once."""
        if self.over:
            return None
        start = 0
        if self._units:
            if len(ends) < self._units:
                self._units -= len(ends)
                return None
            start, self._units = ends[self._units - 1], 0
        if self._bytes < 0:
            end = next((end for end in ends if end > start), None)
            self.over = end is not None
            return None if end is None else end - 1
        if size - start < self._bytes:
            self._bytes -= size - start
            return None
        self.over = True
        return start + self._bytes
