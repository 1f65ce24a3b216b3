"""Syslog on asyncio: receivers over UDP and streams, and a sender that keeps its connection.

Syslog acknowledges nothing. What :class:`Sender` returned from is with the operating system (a datagram) or was taken by a
connection that stood at that moment (a stream); a receiver that dies takes with it what it had not read.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import LinkLost, LocalProtocolError, NoAnswer, RemoteProtocolError
from stepwedge.wire.syslog import LARGEST, LARGEST_DATAGRAM, NEED_DATA, Framer, frame
from stepwedge.wire.tls_asyncio import connect, listen

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from stepwedge.wire.tls_asyncio import Gate

    Hear = Callable[[bytes, str, str], None]
    Trouble = Callable[[str, Exception], None]

MOST_CONNECTIONS: Final = 256
IDLE: Final = 3600.0
"""Seconds without an octet after which a stream is closed; a half message is waited for :data:`HALF` seconds."""
HALF: Final = 30.0
GRACE: Final = 0.2
"""Seconds for what has come already when a receiver stops."""
READ: Final = 1 << 16


class Receiver:
    """A syslog receiver on one port number: datagrams and streams; behind a gate, the streams are TLS."""

    def __init__(
        self, hear: Hear, trouble: Trouble = lambda _peer, _error: None, limit: int = LARGEST
    ) -> None:
        """Call ``hear(message, peer, transport)`` for each message, with ``udp``, ``tcp`` or ``tls`` as transport.

        ``trouble(peer, error)`` is told of what ended a stream before its time.
        """
        self._hear = hear
        self._trouble = trouble
        self._limit = limit
        self._server: asyncio.Server | None = None
        self._datagrams: asyncio.DatagramTransport | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def start(self, host: str, port: int, gate: Gate | None = None, *, datagrams: bool = True) -> int:
        """Listen and return the port; an OSError says that it cannot be had."""
        transport = "tls" if gate else "tcp"
        loop = asyncio.get_running_loop()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._serve(reader, writer, transport)

        def factory() -> asyncio.BaseProtocol:
            return asyncio.StreamReaderProtocol(asyncio.StreamReader(limit=READ), serve)

        self._server = await listen(factory, host, port, gate)
        bound = int(self._server.sockets[0].getsockname()[1])
        if datagrams:
            try:
                self._datagrams, _ = await loop.create_datagram_endpoint(
                    lambda: _Datagrams(self._hear), local_addr=(host, bound)
                )
            except OSError:
                await self.stop()
                raise
        return bound

    async def stop(self) -> None:
        """Stop listening and end what is open."""
        if self._datagrams is not None:
            self._datagrams.close()
        if self._server is not None:
            self._server.close()
        if self._open:  # what senders that have gone wrote before is still read
            await asyncio.wait(self._open, timeout=GRACE)
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, transport: str
    ) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in a task
        peer = _named(writer.get_extra_info("peername"))
        if len(self._open) >= MOST_CONNECTIONS:
            writer.close()
            self._trouble(peer, RemoteProtocolError(f"more than {MOST_CONNECTIONS} connections at once"))
            return
        self._open.add(task)
        try:
            await self._read(reader, peer, transport)
        except (OSError, RemoteProtocolError, NoAnswer, LinkLost) as trouble:
            self._trouble(peer, trouble)
        finally:
            self._open.discard(task)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _read(self, reader: asyncio.StreamReader, peer: str, transport: str) -> None:
        framer = Framer(self._limit)
        while True:
            patience = HALF if framer.inside else IDLE
            try:
                data = await asyncio.wait_for(reader.read(READ), patience)
            except TimeoutError:
                raise NoAnswer(f"nothing more for {patience:g} s") from None
            if not data:
                if framer.inside:
                    raise LinkLost("the stream ended in the midst of a message")
                return
            framer.receive_data(data)
            while isinstance(message := framer.next_event(), bytes):
                self._hear(message, peer, transport)
            assert message is NEED_DATA  # noqa: S101


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, hear: Hear) -> None:
        self._hear = hear

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._hear(data, _named(addr), "udp")


class Sender:
    """Sends to one receiver, one after another, over a connection it keeps and makes anew when it is gone."""

    def __init__(
        self,
        host: str,
        port: int,
        transport: str = "tcp",
        *,
        tls: ssl.SSLContext | None = None,
        timeout: float = 10.0,
    ) -> None:
        """Send over ``udp``, ``tcp`` or ``tls``; ``timeout`` seconds bound the connection and each message."""
        if (transport == "tls") != (tls is not None):
            raise LocalProtocolError("a TLS context belongs to the transport tls, and to no other")
        self._where = (host, port)
        self._transport = transport
        self._tls, self._timeout = tls, timeout
        self._stream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._datagrams: asyncio.DatagramTransport | None = None

    async def send(self, message: bytes, *, anew: bool = True) -> None:
        """Send one message; without ``anew`` only over a connection that stands already.

        Raises:
            LinkLost: no connection could be had, or it was lost; NoAnswer: it took too long.
            LocalProtocolError: the message is too long for a datagram.
        """
        try:
            async with asyncio.timeout(self._timeout):
                if self._transport == "udp":
                    await self._by_datagram(message)
                else:
                    await self._by_stream(message, anew=anew)
        except TimeoutError:
            await self.close()
            raise NoAnswer(f"{_named(self._where)} took nothing within {self._timeout:g} s") from None
        except OSError as trouble:
            await self.close()
            raise LinkLost(f"{_named(self._where)}: {trouble}") from trouble

    @property
    def standing(self) -> bool:
        """Whether there is a connection, as far as anybody has heard."""
        return self._stream is not None and not (self._stream[0].at_eof() or self._stream[1].is_closing())

    async def connected(self) -> bool:
        """Make sure that there is a connection and tell whether it is a new one; of datagrams there is none.

        Raises:
            LinkLost, NoAnswer, TlsRefused: no connection could be had.
        """
        if self._transport == "udp" or self.standing:
            return False
        await self.close()  # the receiver went away; what is written to it now would be lost
        try:
            async with asyncio.timeout(self._timeout):
                await self._connect()
        except TimeoutError:
            raise NoAnswer(f"{_named(self._where)} was not there within {self._timeout:g} s") from None
        except OSError as trouble:
            raise LinkLost(f"{_named(self._where)}: {trouble}") from trouble
        return True

    async def close(self) -> None:
        """End the connection."""
        if self._datagrams is not None:
            self._datagrams.close()
            self._datagrams = None
        if self._stream is not None:
            _, writer = self._stream
            self._stream = None
            writer.close()
            with contextlib.suppress(OSError, TimeoutError):
                await asyncio.wait_for(writer.wait_closed(), 1.0)

    async def _by_datagram(self, message: bytes) -> None:
        if len(message) > LARGEST_DATAGRAM:
            raise LocalProtocolError(
                f"{len(message)} octets do not fit a datagram ({LARGEST_DATAGRAM}); use a stream"
            )
        if self._datagrams is None:
            self._datagrams, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                asyncio.DatagramProtocol, remote_addr=self._where
            )
        self._datagrams.sendto(message)

    async def _by_stream(self, message: bytes, *, anew: bool) -> None:
        if not self.standing and not anew:
            raise LinkLost(f"{_named(self._where)} ended the connection")
        await self.connected()
        assert self._stream is not None  # noqa: S101 - just made
        _, writer = self._stream
        writer.write(frame(message))
        await writer.drain()

    async def _connect(self) -> None:
        reader = asyncio.StreamReader(limit=READ)
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await connect(lambda: protocol, *self._where, self._tls, name=_named(self._where))
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a stream has no other
        writer = asyncio.StreamWriter(transport, protocol, reader, asyncio.get_running_loop())
        self._stream = (reader, writer)


def _named(address: Any) -> str:
    return f"{address[0]}:{address[1]}" if address else "?"
