"""N10: nobody listens: the port is refused."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from stepwedge.sim.tap.fault import REQUEST, Fault

if TYPE_CHECKING:
    from stepwedge.sim.tap.tap import Tap


class RefusedPort(Fault):
    """Closes the port and resets what is connected; that a connection is refused then is tried, for the refused tell nobody."""

    kind = "refused"
    says = "the port is refused, as if the system were down"

    async def begin(self, tap: Tap) -> None:
        """Stop listening, and see for ourselves."""
        tap.deafen()
        for line in tuple(tap.lines.values()):
            self.acted("connection reset", line, REQUEST)
            line.reset()
        try:
            _, writer = await asyncio.open_connection(tap.host, tap.port)
        except ConnectionRefusedError:
            self.acted("port refused", None, REQUEST)
        else:
            writer.close()

    async def lift(self, tap: Tap) -> None:
        """Listen again."""
        if not tap.listening:
            await tap.listen()
