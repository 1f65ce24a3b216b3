"""N9 and N11: strangers at the door: many connections, or some that begin a sentence and never finish it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from stepwedge.sim.tap.fault import REQUEST, Argument, Fault

if TYPE_CHECKING:
    from stepwedge.sim.tap.fault import Wish
    from stepwedge.sim.tap.tap import Tap

MOST: Final = 256
_BEGUN: Final = {
    "hl7": b"\x0bMSH|^~\\&|",
    "dicom": b"\x01\x00\x00",
    "worklist": b"\x01\x00\x00",
    "web": b"GET / HT",
    "fhir": b"GET / HT",
    "syslog": b"900 <85>1 ",
}
"""Half of what one would say first at each door."""


class Flood(Fault):
    """Opens connections straight to the far end, which say nothing and stay until it is lifted."""

    kind = "flood"
    says = "many connections that say nothing"
    takes = (Argument("connections", "how many", 100, "number", 1, MOST),)

    def __init__(self, wish: Wish) -> None:
        """Have no connection."""
        super().__init__(wish)
        self._writers: list[asyncio.StreamWriter] = []

    def greeting(self, tap: Tap) -> bytes:
        """Return what is said first."""
        del tap
        return b""

    async def begin(self, tap: Tap) -> None:
        """Connect, all at once: behind a full backlog each would wait for as long as the tap is patient."""
        async with asyncio.TaskGroup() as crowd:
            for _ in range(int(self.args["connections"])):
                crowd.create_task(self._connect(tap))

    async def _connect(self, tap: Tap) -> None:
        said = self.greeting(tap)
        try:
            _, writer = await asyncio.wait_for(asyncio.open_connection(*tap.to), tap.patience)
        except (OSError, TimeoutError):
            return  # it did not act then
        writer.write(said)
        self._writers.append(writer)
        self.acted("connected", None, REQUEST, len(said))

    async def lift(self, tap: Tap) -> None:
        """Close them all."""
        del tap
        for writer in self._writers:
            writer.close()
            with contextlib.suppress(OSError, TimeoutError):
                await asyncio.wait_for(writer.wait_closed(), 1)

    def remains(self) -> str:
        """Tell of connections that are still open."""
        left = sum(not writer.is_closing() for writer in self._writers)
        return f"{left} connections" if left else ""


class SlowLoris(Flood):
    """Opens connections that begin to speak, and never finish."""

    kind = "slow-loris"
    says = "connections that begin to speak and never finish"
    takes = (Argument("connections", "how many", 8, "number", 1, MOST),)

    def greeting(self, tap: Tap) -> bytes:
        """Return half of what one would say."""
        return _BEGUN[tap.edge.door]
