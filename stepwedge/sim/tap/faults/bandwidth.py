"""N2: a slow link."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stepwedge.sim.tap.fault import Argument
from stepwedge.sim.tap.holding import Holding

if TYPE_CHECKING:
    from stepwedge.sim.tap.fault import Wish
    from stepwedge.sim.tap.held import Held

_TURN: Final = 0.02
"""Seconds between two helpings."""


class Bandwidth(Holding):
    """Lets so many bytes a second pass, on each side of each connection."""

    kind = "bandwidth"
    says = "the link is slow"
    takes = (Argument("rate", "bytes a second", 50_000, "number", 1, 1e9),)

    def __init__(self, wish: Wish) -> None:
        """Have nothing on its way."""
        super().__init__(wish)
        self._turning: set[int] = set()
        self._most = max(1, round(self.args["rate"] * _TURN))
        self._pause = self._most / self.args["rate"]

    def kept(self, held: Held, size: int) -> None:
        """Begin to hand out helpings."""
        self.acted("slowed down", held.line, held.side, size)
        if id(held) not in self._turning:
            self._turning.add(id(held))
            self._turn(held)

    def _turn(self, held: Held) -> None:
        if not held.size:
            self._turning.discard(id(held))
            return
        held.give(self._most)
        self.after(self._pause, lambda: self._turn(held))
