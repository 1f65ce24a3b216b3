"""N1 and H2: everything arrives, later; by the same seed by as much."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from stepwedge.sim.tap.fault import Argument
from stepwedge.sim.tap.holding import Holding

if TYPE_CHECKING:
    from stepwedge.sim.tap.fault import Wish
    from stepwedge.sim.tap.held import Held


class Latency(Holding):
    """Delays every read by ``delay``, and by up to ``jitter`` more; the order is kept."""

    kind = "latency"
    says = "everything arrives later"
    takes = (
        Argument("delay", "how much later", 0.1, "seconds", 0, 60),
        Argument("jitter", "at most so much later than that, by the seed", 0.0, "seconds", 0, 60),
    )

    def __init__(self, wish: Wish) -> None:
        """Remember when the last byte of each side is to go on: the next may not overtake it."""
        super().__init__(wish)
        self._last: dict[int, float] = {}

    def kept(self, held: Held, size: int) -> None:
        """Let the bytes go on after the delay."""
        now = time.monotonic()
        due = now + self.args["delay"] + self.args["jitter"] * self.random.random()
        due = self._last[id(held)] = max(due, self._last.get(id(held), 0.0))
        self.acted("delayed", held.line, held.side, size)
        self.after(due - now, lambda: held.give(size))
