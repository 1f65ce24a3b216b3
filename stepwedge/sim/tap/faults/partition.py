"""N7: nothing comes through one way or both; what was sent meanwhile arrives when the link is healed, as TCP sends it again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepwedge.sim.tap.fault import REQUEST
from stepwedge.sim.tap.holding import Holding

if TYPE_CHECKING:
    from stepwedge.sim.tap.fault import Wish
    from stepwedge.sim.tap.held import Held
    from stepwedge.sim.tap.line import Line
    from stepwedge.sim.tap.tap import Tap


class Partition(Holding):
    """Keeps everything back until it is lifted; a new connection is taken, and led on only then."""

    kind = "partition"
    says = "nothing comes through, one way or both, until it is healed"

    def __init__(self, wish: Wish) -> None:
        """Have no connection waiting."""
        super().__init__(wish)
        self._waiting: list[tuple[Tap, Line]] = []

    def opened(self, line: Line) -> bool:
        """Let a new connection wait."""
        if not self.concerns(REQUEST):
            return True
        self.acted("connection kept waiting", line, REQUEST)
        self._waiting.append((line.tap, line))
        return False

    def kept(self, held: Held, size: int) -> None:
        """Keep it."""
        self.acted("kept back", held.line, held.side, size)

    async def lift(self, tap: Tap) -> None:
        """Lead on what waits, and let everything through."""
        for where, line in self._waiting:
            if where is tap and not line.over:
                tap.lead(line)
        self._waiting = [one for one in self._waiting if one[0] is not tap]
        await super().lift(tap)
