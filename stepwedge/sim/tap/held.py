"""Bytes of one side that a fault keeps back for a while, in order and bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from stepwedge.sim.tap.line import Line, Side

MOST: Final = 1 << 20
"""Bytes kept back before the tap stops reading the side; one read more can be held."""


class Held:
    """What is kept back of one side of a line."""

    def __init__(self, line: Line, side: Side) -> None:
        """Keep nothing yet."""
        self.line, self.side = line, side
        self._kept = bytearray()
        self._ended = self._full = False

    @property
    def size(self) -> int:
        """Bytes kept back on a line that still stands."""
        return 0 if self.line.over else len(self._kept)

    def put(self, data: bytes) -> None:
        """Keep bytes back."""
        self._kept += data
        if len(self._kept) > MOST and not self._full:
            self._full = True
            self.line.hold(self.side)

    def end(self) -> None:
        """Keep back that the side says no more, as long as anything before it is."""
        self._ended = True
        if not self._kept:
            self.line.finish(self.side)

    def give(self, most: int | None = None) -> None:
        """Let the oldest bytes go on."""
        data = bytes(self._kept[:most])
        del self._kept[: len(data)]
        self.line.give(self.side, data)
        if self._full and len(self._kept) <= MOST:
            self._full = False
            self.line.go_on(self.side)
        if self._ended and not self._kept:
            self.line.finish(self.side)
