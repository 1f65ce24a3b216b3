"""N12: one byte arrives wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepwedge.sim.tap.fault import Argument, Fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stepwedge.sim.tap.fault import Wish
    from stepwedge.sim.tap.line import Line, Side


class Corrupt(Fault):
    """Changes the byte it was told: the one behind what it counts."""

    kind = "corrupt"
    says = "one byte arrives wrong"
    takes = (Argument("flips", "bits of the byte that are turned over, as a number", 1, "number", 1, 255),)

    def __init__(self, wish: Wish) -> None:
        """Wait for the byte."""
        super().__init__(wish)
        self._next: set[int] = set()

    def arrived(self, line: Line, side: Side, data: bytes, ends: Sequence[int]) -> None:
        """Change the byte when it is here."""
        at = 0 if side == self.side and line.number in self._next else self.due(line, side, data, ends)
        if at is None:
            line.give(side, data)
            return
        self._next.discard(line.number)
        if at == len(data):
            self._next.add(line.number)
            line.give(side, data)
            return
        changed = bytearray(data)
        changed[at] ^= int(self.args["flips"])
        self.acted("byte changed", line, side, 1, line.arrived_bytes[side] - len(data) + at)
        line.give(side, bytes(changed))
