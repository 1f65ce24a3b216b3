"""What faults share that look at whole frames or PDUs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stepwedge.sim.tap.fault import Fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stepwedge.sim.tap.fault import Wish
    from stepwedge.sim.tap.line import Line, Side
    from stepwedge.sim.tap.tap import Tap

MOST: Final = 16 << 20
"""Bytes of one unit that are kept until it is whole; a longer one passes as it comes."""


class Whole(Fault):
    """Is asked about every whole unit of its side; what has begun when it is put on passes as it is."""

    def __init__(self, wish: Wish) -> None:
        """Have seen nothing."""
        super().__init__(wish)
        self._begun: dict[tuple[int, Side], tuple[Line, bytearray]] = {}
        self._passing: set[tuple[int, Side]] = set()  # in the midst of a unit that nobody is asked about
        self._seen: dict[int, int] = {}

    def concerns(self, side: Side) -> bool:
        """Tell whether it is asked about units of a side."""
        return side == self.side

    def unit(self, line: Line, side: Side, unit: bytes) -> None:
        """Decide about a whole unit of a side that concerns it."""
        del side
        self.whole(line, unit)

    def whole(self, line: Line, unit: bytes) -> None:
        """Decide about a whole unit of its side."""
        line.give(self.side, unit)

    def chosen(self, line: Line) -> bool:
        """Count a unit of interest on a line, and tell whether it is the one to act upon, or one behind it."""
        before = self._seen.get(line.number, 0)
        self._seen[line.number] = before + 1
        if before < self.wish.after.units or self.spent:
            return False
        self.hits += 1
        return True

    def arrived(self, line: Line, side: Side, data: bytes, ends: Sequence[int]) -> None:
        """Put units together."""
        if not self.concerns(side):
            line.give(side, data)
            return
        here = (line.number, side)
        if here not in self._begun:
            self._begun[here] = (line, bytearray())
            if not line.between[side]:
                self._passing.add(here)
        kept, at = self._begun[here][1], 0
        for end in ends:
            kept += data[at:end]
            at = end
            self._one(line, side, kept)
        kept += data[at:]
        if here in self._passing or len(kept) > MOST:
            self._passing.add(here)
            self._let_go(line, side, kept)

    def _one(self, line: Line, side: Side, kept: bytearray) -> None:
        unit = bytes(kept)
        kept.clear()
        if (line.number, side) in self._passing:
            self._passing.discard((line.number, side))
            line.give(side, unit)
        else:
            self.unit(line, side, unit)

    def ended(self, line: Line, side: Side) -> None:
        """Let go what is not whole before the end."""
        if (line.number, side) in self._begun:
            self._let_go(line, side, self._begun[line.number, side][1])
        line.finish(side)

    def _let_go(self, line: Line, side: Side, kept: bytearray) -> None:
        line.give(side, bytes(kept))
        kept.clear()

    async def lift(self, tap: Tap) -> None:
        """Let go what is not whole."""
        del tap
        for (_, side), (line, kept) in self._begun.items():
            self._let_go(line, side, kept)

    def remains(self) -> str:
        """Tell of bytes that are still kept."""
        left = sum(len(kept) for line, kept in self._begun.values() if not line.over)
        return f"{left} bytes of units that are not whole" if left else ""
