"""N6: a connection that was closed is heard of late."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepwedge.sim.tap.fault import Argument
from stepwedge.sim.tap.holding import Holding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stepwedge.sim.tap.line import Line, Side


class SlowClose(Holding):
    """Hands a FIN on later than it came."""

    kind = "slow-close"
    says = "the end of a connection is heard of late"
    takes = (Argument("delay", "how much later", 2.0, "seconds", 0, 60),)

    def arrived(self, line: Line, side: Side, data: bytes, ends: Sequence[int]) -> None:
        """Let bytes pass."""
        del ends
        line.give(side, data)

    def ended(self, line: Line, side: Side) -> None:
        """Keep the FIN."""
        if not self.concerns(side):
            line.finish(side)
            return
        self.acted("FIN kept back", line, side)
        self.after(self.args["delay"], lambda: line.finish(side), at_the_end=True)
