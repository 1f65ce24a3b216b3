"""N3: the connection is reset (RST) in the midst of what a side says, at the very byte."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepwedge.sim.tap.fault import Fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stepwedge.sim.tap.line import Line, Side


class Reset(Fault):
    """Lets pass what comes before the byte it was told, then resets both ends."""

    kind = "reset"
    says = "the connection is reset, at the very frame, PDU or byte"

    def arrived(self, line: Line, side: Side, data: bytes, ends: Sequence[int]) -> None:
        """Cut at the byte."""
        at = self.due(line, side, data, ends)
        if at is None:
            line.give(side, data)
            return
        line.give(side, data[:at])
        self.acted("reset", line, side, len(data) - at, line.arrived_bytes[side] - len(data) + at)
        line.reset()
