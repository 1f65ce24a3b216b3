"""The way of syslog messages to a receiver that acknowledges nothing.

A stream that took a message is no proof that anybody read it: what lies in a receiver that dies is gone. So a message stays
on disk, and is sent again over the next connection, until its connection has outlived it by :data:`SETTLES` seconds. Each
carries a number (``meta sequenceId``, RFC 5424 section 7.3.1), by which a receiver can tell that it has it already.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import WireError
from stepwedge.sim.outbox import Delivery
from stepwedge.wire.syslog_asyncio import Sender
from stepwedge.wire.tls import Credentials

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from stepwedge.sim.bench import Bench
    from stepwedge.sim.store import Send

SETTLES: Final = 2.0
"""Seconds after which a receiver whose connection still stands is taken to have read a message."""
LOOKS: Final = 0.1
"""Seconds between two looks at the connection while something is not settled."""
MOST_UNSETTLED: Final = 10_000
"""Messages that can wait to be settled; beyond them the oldest is taken to have arrived."""


class SyslogSender:
    """Brings syslog messages to the actor they are for, in order."""

    def __init__(self, bench: Bench, transport: str, tls: Mapping[str, Any]) -> None:
        """Send over ``transport``, or as the receiver's address says; with ``tls`` instead of the system's own credentials."""
        self._bench = bench
        self._transport = transport
        self._credentials = tls
        self._wire: Sender | None = None
        self._unsettled: deque[tuple[Send, float]] = deque()
        self._turn = asyncio.Lock()
        self._watch: asyncio.Task[None] | None = None

    def check(self, send: Send) -> None:
        """Make sure that the destination takes syslog."""
        self._bench.directory.door(send.to, "syslog")

    async def __call__(self, send: Send) -> Delivery:
        """Send once, after all that its receiver may have lost."""
        async with self._turn:
            wire = self._wire = self._wire or self._open(send)
            await self._again(wire)
            await wire.send(send.body, anew=False)
            if not wire.standing:  # a datagram: nobody will ever hear of it
                return Delivery()
            self._unsettled.append((send, time.monotonic()))
        if len(self._unsettled) > MOST_UNSETTLED:
            self._settle(self._unsettled.popleft()[0])
        if self._watch is None or self._watch.done():
            self._watch = asyncio.get_running_loop().create_task(self._look())
        return Delivery(settled=False)

    async def close(self) -> None:
        """End the connection; what it took while it stood has arrived when its end does."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        if self._wire is None:
            return
        while self._wire.standing and self._unsettled:
            self._settle(self._unsettled.popleft()[0])
        await self._wire.close()

    async def _look(self) -> None:
        """Settle what has been sent long enough ago, and send again what a receiver may have lost."""
        while self._unsettled:
            await asyncio.sleep(LOOKS)
            async with self._turn:
                if self._wire is None or not self._unsettled:
                    return
                try:
                    await self._again(self._wire)
                except WireError:
                    continue  # it is not back yet; the messages are on disk
                while self._unsettled and self._unsettled[0][1] < time.monotonic() - SETTLES:
                    self._settle(self._unsettled.popleft()[0])

    async def _again(self, wire: Sender) -> None:
        """Send over a new connection what the one before it took in its last seconds."""
        if not await wire.connected():
            return
        for send, _ in list(self._unsettled):
            await wire.send(send.body, anew=False)
        now = time.monotonic()
        self._unsettled = deque((send, now) for send, _ in self._unsettled)

    def _settle(self, send: Send) -> None:
        self._bench.store.delivered(send.place)

    def _open(self, send: Send) -> Sender:
        point = self._bench.directory.door(send.to, "syslog")
        transport = self._transport or point.transport
        return Sender(point.host, point.port, transport, tls=self._context(transport))

    def _context(self, transport: str) -> ssl.SSLContext | None:
        """Return what the receiver is called with: credentials for it alone, or those of every other call."""
        if transport != "tls" or not self._credentials:
            return self._bench.security.context(tls=transport == "tls")
        place = f"{self._bench.name}.audit.tls"
        return Credentials.parse(self._credentials, self._bench.name, place).client()
