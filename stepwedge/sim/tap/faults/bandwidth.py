"""N2: a slow link."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stepwedge.sim.tap.fault import Argument
from stepwedge.sim.tap.holding import Helping

if TYPE_CHECKING:
    from stepwedge.sim.tap.fault import Wish
    from stepwedge.sim.tap.held import Held

_TURN: Final = 0.02
"""Seconds between two helpings."""


class Bandwidth(Helping):
    """Lets so many bytes a second pass, on each side of each connection."""

    kind = "bandwidth"
    says = "the link is slow"
    takes = (Argument("rate", "bytes a second", 50_000, "number", 1, 1e9),)

    def __init__(self, wish: Wish) -> None:
        """Work out the helping of one turn, and the pause behind it."""
        super().__init__(wish)
        self._most = max(1, round(self.args["rate"] * _TURN))
        self._pause: float = self._most / self.args["rate"]

    def kept(self, held: Held, size: int) -> None:
        """Slow down what came."""
        self.acted("slowed down", held.line, held.side, size)
        super().kept(held, size)

    def hand_out(self, held: Held) -> float:
        """Let as much go on as the rate allows."""
        held.give(self._most)
        return self._pause
