"""A fault that strikes at one byte of what passes: the moment to kill, pause or wait for, seen from the wire."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from stepwedge.sim.tap.fault import Fault, Wish

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stepwedge.sim.tap.countdown import After
    from stepwedge.sim.tap.line import Line, Side


class Strike(Fault):
    """Calls ``blow`` once, when the byte it was told is at hand; what it withholds nobody hears any more.

    Attributes:
        withholds: the byte is not handed on, and the connection is reset: an answer that left and did not arrive.
        delay: seconds between the byte and the blow, in which everything is handed on.
    """

    def __init__(
        self,
        side: Side,
        after: After,
        blow: Callable[[], None],
        *,
        withholds: bool = False,
        delay: float = 0.0,
    ) -> None:
        """Be on from now."""
        super().__init__(Wish("strike", side, after, times=1))
        self.blow, self.withholds, self.delay = blow, withholds, delay

    def arrived(self, line: Line, side: Side, data: bytes, ends: Sequence[int]) -> None:
        """Strike at the byte."""
        at = self.due(line, side, data, ends)
        if at is None:
            line.give(side, data)
            return
        self.acted("struck", line, side, len(data) - at, line.arrived_bytes[side] - len(data) + at)
        if self.withholds:
            self.blow()
            line.reset()
            return
        line.give(side, data)
        asyncio.get_running_loop().call_later(self.delay, self.blow)
