"""One tap: a listener on the loopback address, its lines, and the one fault that may be on."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import Broken
from stepwedge.sim.tap.line import Line
from stepwedge.sim.tap.units import UNITS, Bytes
from stepwedge.sim.tap.witness import Behind
from stepwedge.wire import tls_asyncio

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from stepwedge.sim.tap.fault import Fault
    from stepwedge.sim.tap.units import Units
    from stepwedge.sim.tap.witness import Shows
    from stepwedge.wire.tls_asyncio import Gate

MOST_LINES: Final = 256
"""Connections through one tap at once; those beyond are reset."""
_READ: Final = 1 << 18
_NUMBERS: Final = count(1)
_HOST: Final = "127.0.0.1"
_PATIENCE: Final = 10.0
"""Seconds for the connection to the other end."""


@dataclass(frozen=True, slots=True)
class Edge:
    """Who calls whom, at which door (``hl7 dicom worklist web fhir syslog``)."""

    caller: str
    callee: str
    door: str

    def __str__(self) -> str:
        return f"{self.caller}->{self.callee} {self.door}"


@dataclass(frozen=True, slots=True)
class Seal:
    """TLS that ends in a tap: what callers must pass, and what the callee is called with; the gate hears of both refusals."""

    gate: Gate
    context: ssl.SSLContext


class Tap:
    """Hands on what callers of one door say, and what they are answered.

    Attributes:
        host, port: where it listens; the port is known once it does.
        fault: what is on; None changes no byte.
        lines: connections under way.
        seal: ends the TLS of both sides here; None hands every byte on as it is.
        sealed: whether what passes is TLS that does not end here.
        behind: shows the witnesses what passed.
    """

    host = _HOST

    def __init__(
        self,
        edge: Edge,
        to: tuple[str, int],
        witness: Callable[[Line], Any] = lambda _: None,
        *,
        seal: Seal | None = None,
        sealed: bool = False,
        behind: Shows | None = None,
    ) -> None:
        """Lead to ``to``; ``witness(line)`` reads a connection into the journal, or is None."""
        self.edge, self.to, self.witness = edge, to, witness
        self.seal, self.sealed = seal, sealed
        self.behind: Shows = behind or Behind()
        self.port = 0
        self.fault: Fault | None = None
        self.lines: dict[int, Line] = {}
        self.renew()
        self.patience = _PATIENCE
        self._listening: asyncio.Server | None = None
        self._connecting: set[asyncio.Task[None]] = set()

    def renew(self) -> None:
        """Take another buffer to read into: somebody keeps the one there was."""
        self.buffer = memoryview(bytearray(_READ))

    def units(self) -> Units:
        """Return what counts the units of one direction of a line."""
        return Bytes() if self.sealed else UNITS[self.edge.door]()

    @property
    def listening(self) -> bool:
        """Whether callers can connect."""
        return self._listening is not None and self._listening.is_serving()

    async def listen(self, port: int = 0) -> None:
        """Take connections; 0 is a free port the first time, and the same port from then on."""
        gate = self.seal.gate if self.seal else None
        self._listening = await tls_asyncio.listen(
            lambda: self._line().caller(), self.host, port or self.port, gate, backlog=MOST_LINES
        )
        self.port = self._listening.sockets[0].getsockname()[1]

    def _line(self) -> Line:
        return Line(self, next(_NUMBERS))

    def opened(self, line: Line) -> None:
        """Count a line in and lead it on, unless there are too many or a fault has other plans."""
        if len(self.lines) >= MOST_LINES:
            line.reset()
            return
        self.lines[line.number] = line
        if self.fault is None or self.fault.opened(line):
            self.lead(line)

    def lead(self, line: Line) -> None:
        """Connect a line to the other end."""
        task = asyncio.get_running_loop().create_task(line.connect(*self.to))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    def forget(self, line: Line) -> None:
        """Count a line out."""
        self.lines.pop(line.number, None)

    def deafen(self) -> None:
        """Take no connections any more; those under way stay."""
        if self._listening is not None:
            self._listening.close()
            self._listening = None

    async def begin(self, fault: Fault) -> None:
        """Let a fault act; one at a time, so that what happened has one cause."""
        if self.fault is not None:
            raise Broken(f"{self.edge}: {self.fault.kind} is on; a tap has one fault at a time")
        self.fault = fault
        await fault.begin(self)

    async def lift(self) -> str:
        """Take the fault back; return what of it is still there, empty when nothing is."""
        fault, self.fault = self.fault, None
        if fault is None:
            return ""
        await fault.lift(self)
        return fault.remains() or ("" if self.listening else f"nobody listens at port {self.port}")

    async def close(self) -> None:
        """Lift what is on, stop listening, end every line."""
        await self.lift()
        self.deafen()
        for task in tuple(self._connecting):
            task.cancel()
        await asyncio.gather(*self._connecting, return_exceptions=True)
        for line in tuple(self.lines.values()):
            line.reset()
        await asyncio.sleep(0)  # sockets are closed in the loop's next turn
        self.behind.finish()
