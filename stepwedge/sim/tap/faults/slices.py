"""N8 and H7: TCP keeps no boundaries: what was sent at once arrives in pieces, and what was sent in pieces arrives at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepwedge.sim.tap.fault import Argument
from stepwedge.sim.tap.holding import Helping, Holding

if TYPE_CHECKING:
    from stepwedge.sim.tap.fault import Wish
    from stepwedge.sim.tap.held import Held


class Slices(Helping):
    """Sends the first bytes of each side in pieces, the rest as it comes."""

    kind = "slices"
    says = "bytes arrive in pieces, down to one at a time"
    takes = (
        Argument("size", "bytes of a piece", 1, "number", 1, 65536),
        Argument("pause", "between two pieces", 0.001, "seconds", 0, 10),
        Argument("first", "so many bytes of each side are sent in pieces", 1000, "number", 1, 1e9),
    )

    def __init__(self, wish: Wish) -> None:
        """Have cut nothing."""
        super().__init__(wish)
        self._cut: dict[int, int] = {}

    def hand_out(self, held: Held) -> float:
        """Let one piece go on; behind the first bytes of the side, all there is."""
        done = self._cut.get(id(held), 0)
        if done >= self.args["first"]:
            held.give()
        else:
            piece = min(int(self.args["size"]), held.size)
            self._cut[id(held)] = done + piece
            self.acted("sliced", held.line, held.side, piece)
            held.give(piece)
        return float(self.args["pause"])


class Merged(Holding):
    """Gathers what comes for a while and sends it at once."""

    kind = "merged"
    says = "what was sent one after the other arrives at once"
    takes = (Argument("wait", "how long it is gathered", 0.05, "seconds", 0.001, 10),)

    def __init__(self, wish: Wish) -> None:
        """Gather nothing yet."""
        super().__init__(wish)
        self._gathering: dict[int, int] = {}

    def kept(self, held: Held, size: int) -> None:
        """Send all of it when the time is over; only what came in several reads was merged."""
        before = self._gathering.get(id(held), 0)
        self._gathering[id(held)] = before + size
        if before:
            self.acted("merged", held.line, held.side, size)
        else:
            self.after(self.args["wait"], lambda: self._send(held))

    def _send(self, held: Held) -> None:
        self._gathering[id(held)] = 0
        held.give()
