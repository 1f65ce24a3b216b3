# ruff: noqa: ASYNC109 - how long to wait for one message is the protocol's own term, not a caller's cancellation
"""One association driven by asyncio: the transport under clients and servers."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from stepwedge.errors import LinkLost, NoAnswer, Refused, RemoteProtocolError, WireError
from stepwedge.wire.dimse import Message
from stepwedge.wire.dul import Abort, Closed, Event, NeedData
from stepwedge.wire.negotiation import Rejection

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stepwedge.wire.dimse import Channel

_JOINED: Final = 1 << 16
_HELD, _HELD_BYTES = 32, 1 << 26
"""Unserved messages, and bytes of them, at which reading stops until the peer's turn comes."""
numbers = itertools.count(1)


class Link(asyncio.Protocol):
    """Bytes of one association in and out; what arrived waits in order in ``inbox``."""

    def __init__(self, channel: Channel, artim: float) -> None:
        self.channel = channel
        self.inbox: deque[Event | Message] = deque()
        self.ended: WireError | None = None
        self.lost = asyncio.get_running_loop().create_future()
        self._artim = artim
        self._artim_starts = 0
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._reading = True
        self._unsent: list[bytes | memoryview] = []
        self._unsent_size = 0

    # --- asyncio.Protocol ----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  asyncio's promise for stream protocols
        self._transport = transport
        if (sock := transport.get_extra_info("socket")) is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._keep_artim()

    def data_received(self, data: bytes) -> None:
        """Let the core read, and wake whoever waits."""
        self.channel.upper.receive_data(data)
        self._advance()

    def eof_received(self) -> bool:
        """Treat a half-closed connection as closed."""
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """Note the end of the transport."""
        if self.ended is None:
            self.channel.upper.receive_data(b"")
            self._advance()
            reason = f" ({error})" if error else ""
            ended = LinkLost(f"the connection ended{reason} {self.account()}")
            self.end(error if isinstance(error, WireError) else ended)
        if self._timer is not None:
            self._timer.cancel()
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        if not self.lost.done():
            self.lost.set_result(None)

    def pause_writing(self) -> None:
        """Hold writers back: the peer reads more slowly than we write."""
        self._writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """Let writers go on."""
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    # --- what the association does -------------------------------------------------------------------------------

    def end(self, reason: WireError) -> None:
        """Note why the association is over; the first reason stands."""
        if self.ended is None:
            self.ended = reason
        self._wake()

    def say(self, message: Message) -> None:
        """Write a message."""
        if self.ended is not None:
            raise self.ended
        self.write(self.channel.send_message(message))

    def write(self, buffers: Sequence[bytes | memoryview]) -> None:
        """Take buffers to send; what is written before the loop turns leaves together."""
        if self._transport is None or self._transport.is_closing():
            raise self.ended or LinkLost(f"the connection is closed {self.account()}")
        if not self._unsent:
            asyncio.get_running_loop().call_soon(self._flush)
        self._unsent += buffers
        self._unsent_size += sum(map(len, buffers))
        if self._unsent_size > _JOINED:
            self._flush()
        self._keep_artim()

    def _flush(self) -> None:
        """Hand what was written to the transport, large messages without joining them."""
        unsent, self._unsent = self._unsent, []
        size, self._unsent_size = self._unsent_size, 0
        if not unsent or self._transport is None or self._transport.is_closing():
            return
        for buffer in unsent if size > _JOINED else [b"".join(unsent)]:
            self._transport.write(buffer)

    async def drain(self) -> None:
        """Wait until the peer has taken enough."""
        if self._writable is not None:
            await self._writable
        if self.ended is not None:
            raise self.ended

    async def take(self, wanted: Callable[[Event | Message], bool], timeout: float) -> Event | Message:
        """Take the first thing in the inbox that is ``wanted``; raise why the association is over."""
        deadline = time.monotonic() + timeout
        while True:
            for at, item in enumerate(self.inbox):
                if wanted(item):
                    del self.inbox[at]
                    self._resume_reading()
                    return item
            if self.ended is not None:
                raise self.ended
            await self._wait(deadline)

    def close(self) -> None:
        """Close the transport after what was written."""
        if self._transport is not None:
            self._flush()
            self._transport.close()

    def abort(self) -> None:
        """Send an A-ABORT if the state allows it, and close."""
        upper = self.channel.upper
        with contextlib.suppress(WireError):
            upper.abort()
        self._pay()
        self.close()

    def linger(self) -> None:
        """After an A-ABORT of ours wait for the peer to close, as long as ARTIM runs; else close now."""
        if not self.channel.upper.artim:
            self.abort()

    def peer_address(self) -> tuple[str, int]:
        """Return the peer's host and port."""
        address = self._transport.get_extra_info("peername") if self._transport is not None else None
        return (address[0], address[1]) if address else ("", 0)

    def account(self) -> str:
        """Say what passed, for error texts."""
        sent, received = self.channel.upper.sent, self.channel.upper.received
        return f"after {sent.handed} bytes were sent and {received.pdus} PDUs ({received.written} bytes) received"

    def _advance(self) -> None:
        """Move everything the core can tell into the inbox."""
        try:
            while not isinstance(event := self.channel.next_event(), NeedData):
                match event:
                    case Rejection() | Abort():
                        self.end(Refused(str(event)))
                        self.close()
                        break
                    case Closed():
                        self.end(LinkLost(f"the connection was closed {self.account()}"))
                        self.close()
                        break
                    case _:
                        self.inbox.append(event)
        except RemoteProtocolError as error:
            self.end(error)
        self._pay()
        self._keep_artim()
        if self.channel.upper.closing:
            self.close()
        if self._reading and self._is_full() and self._transport is not None:
            self._reading = False
            self._transport.pause_reading()
        self._wake()

    def _pay(self) -> None:
        owed = self.channel.upper.data_to_send()
        if owed and self._transport is not None and not self._transport.is_closing():
            self._flush()
            self._transport.write(owed)

    def _keep_artim(self) -> None:
        """Run the ARTIM timer as the core says (PS3.8 section 9.1.5)."""
        upper = self.channel.upper
        if self._timer is not None and (not upper.artim or upper.artim_starts != self._artim_starts):
            self._timer.cancel()
            self._timer = None
        if upper.artim and self._timer is None:
            self._artim_starts = upper.artim_starts
            self._timer = asyncio.get_running_loop().call_later(self._artim, self._artim_expired)

    def _artim_expired(self) -> None:
        self._timer = None
        self.channel.upper.artim_expired()
        self.end(NoAnswer(f"the ARTIM timer expired after {self._artim:g} s (PS3.8 section 9.1.5)"))
        self.close()

    def _resume_reading(self) -> None:
        if not self._reading and not self._is_full() and self._transport is not None:
            self._reading = True
            if not self._transport.is_closing():
                self._transport.resume_reading()

    def _is_full(self) -> bool:
        held = len(self.inbox)
        return held > _HELD or (
            held > 1 and sum(len(item.data) for item in self.inbox if isinstance(item, Message)) > _HELD_BYTES
        )

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _wait(self, deadline: float) -> None:
        loop = asyncio.get_running_loop()
        waiter = self._waiter = loop.create_future()
        alarm = loop.call_later(max(deadline - time.monotonic(), 0), _expire, waiter)
        try:
            await waiter
        except TimeoutError:
            raise NoAnswer(f"nothing came in time {self.account()}") from None
        finally:
            alarm.cancel()
            self._waiter = None


def _expire(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_exception(TimeoutError())


def anything(_: Event | Message) -> bool:
    """Want whatever comes next."""
    return True
