"""One connection through a tap: what the caller says goes to the other end as it came, and what comes back likewise."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING, Final, Literal

from stepwedge.errors import WireError
from stepwedge.wire import tls_asyncio

if TYPE_CHECKING:
    from stepwedge.sim.tap.tap import Tap

Side = Literal["request", "answer"]
REQUEST: Final[Side] = "request"
"""What flows from the caller; the other side is what flows back."""
ANSWER: Final[Side] = "answer"
OTHER: Final[dict[Side, Side]] = {REQUEST: ANSWER, ANSWER: REQUEST}

_NO_LINGER: Final = struct.pack("ii", 1, 0)
"""SO_LINGER with 0 seconds: closing sends RST, not FIN (RFC 9293 section 3.10.4, ABORT)."""

_SMALL: Final = 4096
"""Bytes of which a copy costs less than a view."""


class _End(asyncio.BufferedProtocol):
    """One of the two sockets; it reads ``side``."""

    def __init__(self, line: Line, side: Side) -> None:
        self.line, self.side = line, side
        self.transport: asyncio.Transport | None = None
        self.finished = False  # its peer says no more

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - TCP makes no other
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.line.opened(self)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        return self.line.tap.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.line.arrived(self.side, self.line.tap.buffer[:nbytes])

    def eof_received(self) -> bool:
        self.finished = True
        self.line.ended(self.side)
        return True  # the other direction may still have something to say

    def connection_lost(self, exc: Exception | None) -> None:
        self.line.lost(self, exc)

    def pause_writing(self) -> None:
        self.line.hold(OTHER[self.side])

    def resume_writing(self) -> None:
        self.line.go_on(OTHER[self.side])


class Line:
    """Two sockets, and how much passed between them.

    Attributes:
        number: its place among all lines of the process, from 1.
        arrived_bytes, given_bytes: by side, what came to the tap and what it handed on.
        between: by side, whether it stands between two frames or PDUs.
    """

    def __init__(self, tap: Tap, number: int) -> None:
        """Wait for the caller's socket; the other one is opened when it is there."""
        self.tap, self.number = tap, number
        self.ends: dict[Side, _End] = {}
        self.units = {side: tap.units() for side in (REQUEST, ANSWER)}
        self.arrived_bytes: dict[Side, int] = {REQUEST: 0, ANSWER: 0}
        self.given_bytes: dict[Side, int] = {REQUEST: 0, ANSWER: 0}
        self.between: dict[Side, bool] = {REQUEST: True, ANSWER: True}
        self.over = False
        self._held: dict[Side, int] = {REQUEST: 0, ANSWER: 0}
        self._closing: set[Side] = set()
        self._witness = tap.witness(self)

    def caller(self) -> asyncio.Protocol | asyncio.BufferedProtocol:
        """Return what the listener gives the caller's socket to."""
        return _End(self, REQUEST)

    def opened(self, end: _End) -> None:
        """Take a socket; the caller's waits until the other one stands."""
        self.ends[end.side] = end
        if end.side == REQUEST:
            if self.tap.seal is not None:  # what was said with the end of the handshake is here already
                self.hold(REQUEST)
            else:
                # Not at once: asyncio begins to read after connection_made, whatever was paused in it, and bytes would be lost.
                asyncio.get_running_loop().call_soon(self.hold, REQUEST)
            self.tap.opened(self)

    async def connect(self, host: str, port: int) -> None:
        """Open the other socket; when that is not possible, the caller's is reset as an unreachable port would."""
        try:
            async with asyncio.timeout(self.tap.patience):
                end = lambda: _End(self, ANSWER)  # noqa: E731 - it is made once the socket stands
                await tls_asyncio.connect(end, host, port, self.tap.seal.context if self.tap.seal else None)
        except (OSError, TimeoutError):
            self.reset()
            return
        except WireError as why:
            if self.tap.seal is not None:
                self.tap.seal.gate.refused(f"{host}:{port}", why)
            self.reset()
            return
        if self.over:  # the caller did not wait
            self.reset()
        else:
            self.go_on(REQUEST)

    # What comes

    def arrived(self, side: Side, came: memoryview) -> None:
        """Take bytes of one side, and give them on unless a fault has other plans."""
        fault = self.tap.fault
        data = came if fault is None and len(came) > _SMALL else bytes(came)
        ends = self.units[side].ends(data)
        self.arrived_bytes[side] += len(data)
        if self._witness is not None and side == ANSWER:
            self.tap.behind.put(self._witness, side, data)
        if fault is None:
            self.give(side, data)
        else:
            fault.saw(self, side, len(data), ends)
            fault.arrived(self, side, bytes(data), ends)
        self.between[side] = bool(ends) and ends[-1] == len(data)

    def ended(self, side: Side) -> None:
        """Take note that a side says no more (FIN)."""
        fault = self.tap.fault
        if fault is None:
            self.finish(side)
        else:
            fault.ended(self, side)

    def lost(self, end: _End, trouble: Exception | None) -> None:
        """Take note that a socket is gone; the other goes the same way: a reset is handed on as a reset."""
        if self.over:
            return
        fault = self.tap.fault
        if fault is not None and not fault.lost(self, end.side):
            return
        if trouble is not None or not end.finished:
            self.reset()
        else:
            self.close()

    # What is done about it

    def give(self, side: Side, data: bytes | memoryview) -> None:
        """Hand bytes of one side on; a view is one of the tap's buffer."""
        if self.over or not data:
            return
        end = self.ends.get(OTHER[side])
        if end is None or end.transport is None or end.transport.is_closing():
            return
        self.given_bytes[side] += len(data)
        end.transport.write(data)
        if isinstance(data, memoryview) and end.transport.get_write_buffer_size():
            self.tap.renew()  # from 3.12 on asyncio keeps what it is given
        if self._witness is not None and side == REQUEST:
            self.tap.behind.put(self._witness, side, data)

    def finish(self, side: Side) -> None:
        """Hand on that a side says no more; close when both are through."""
        if self.over:
            return
        self._closing.add(side)
        end = self.ends.get(OTHER[side])
        if end is not None and end.transport is not None and not end.transport.is_closing():
            if not end.transport.can_write_eof():  # TLS ends both directions with one close_notify
                self.close()
                return
            end.transport.write_eof()
        if len(self._closing) == len(OTHER):
            self.close()

    def hold(self, side: Side) -> None:
        """Stop reading a side, until :meth:`go_on` was called as often."""
        self._held[side] += 1
        if self._held[side] == 1 and (end := self.ends.get(side)) and end.transport:
            end.transport.pause_reading()

    def go_on(self, side: Side) -> None:
        """Read a side again."""
        self._held[side] -= 1
        end = self.ends.get(side)
        if not self._held[side] and end and end.transport and not end.transport.is_closing():
            end.transport.resume_reading()

    def close(self) -> None:
        """End both sockets in order, once everything given has left."""
        self._over()
        for end in self.ends.values():
            if end.transport is not None:
                end.transport.close()

    def reset(self, *sides: Side) -> None:
        """End both sockets with RST, or only the one that reads a side: what was sent before it is with the peer, no more will be."""
        self._over()
        for side, end in self.ends.items():
            if end.transport is None or end.transport.get_extra_info("socket").fileno() < 0:
                continue  # it is closed already
            if not sides or side in sides:
                linger = (socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
                end.transport.get_extra_info("socket").setsockopt(*linger)
                end.transport.abort()
            else:
                end.transport.close()

    def _over(self) -> None:
        if not self.over:
            self.over = True
            if self._witness is not None:
                self.tap.behind.put(self._witness, None, b"")
            self.tap.forget(self)
