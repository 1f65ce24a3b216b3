"""N5: the peer is gone and nobody was told: connections stand, new ones are taken, and no byte arrives anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepwedge.sim.tap.fault import Fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stepwedge.sim.tap.fault import Wish
    from stepwedge.sim.tap.line import Line, Side
    from stepwedge.sim.tap.tap import Tap


class Silence(Fault):
    """Swallows both directions and every FIN; what was swallowed never arrives, so these connections are reset at the end."""

    kind = "silence"
    says = "connections stand but nothing arrives any more, and nobody is told (half-open)"

    def __init__(self, wish: Wish) -> None:
        """Remember the lines that were silenced."""
        super().__init__(wish)
        self._silent: dict[int, Line] = {}

    def arrived(self, line: Line, side: Side, data: bytes, ends: Sequence[int]) -> None:
        """Swallow what comes, from the byte it was told on."""
        if line.number in self._silent:
            self.acted("swallowed", line, side, len(data), line.arrived_bytes[side] - len(data))
            return
        at = self.due(line, side, data, ends)
        if at is None:
            line.give(side, data)
            return
        self._silent[line.number] = line
        line.give(side, data[:at])
        self.acted("swallowed", line, side, len(data) - at, line.arrived_bytes[side] - len(data) + at)

    def ended(self, line: Line, side: Side) -> None:
        """Swallow a FIN as well."""
        if line.number not in self._silent:
            line.finish(side)

    def lost(self, line: Line, side: Side) -> bool:
        """Keep one socket when the other is lost: nobody is told."""
        del side
        return line.number not in self._silent

    async def lift(self, tap: Tap) -> None:
        """Reset what was silent."""
        del tap
        for line in self._silent.values():
            line.reset()

    def remains(self) -> str:
        """Tell of lines that are still silent."""
        left = sum(not line.over for line in self._silent.values())
        return f"{left} silent connections" if left else ""
