"""TLS under any asyncio protocol, with the peer's refusal told: servers and clients.

The standard library's own transport drops the alert that says why a handshake failed, and hands a failed client to nobody.
Both matter here: a peer must learn the reason, and a refused node is an event to be recorded (IHE ITI-19, ITI-20). So the
records are driven through :class:`ssl.SSLObject` in memory, and protocols get a transport like any other.

    server = await listen(factory, "127.0.0.1", 0, Gate(security, refused=note))
    _, protocol = await connect(factory, "127.0.0.1", port, security.client(), name="pacs", seconds=10)
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from stepwedge.errors import BadInput, LinkLost, WireError
from stepwedge.wire import tls
from stepwedge.wire.tls_records import READ, Records, Sealed

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable

    from stepwedge.wire.tls import Credentials

HANDSHAKE_SECONDS: Final = 10.0
MOST_HANDSHAKES: Final = 256
"""Handshakes under way at one listener; what comes beyond them is dropped at once."""
HANDSHAKE_RECORD: Final = 0x16
"""ContentType handshake, the first byte a client of TLS sends (RFC 8446 section 5.1)."""


def nobody(_peer: str, _why: WireError) -> None:
    """Drop the report."""


class Manners:
    """What a listener decides; a simulated system can be told to decide wrongly."""

    def tolerates(self) -> frozenset[str]:
        """Return what it puts up with, out of ``tls.LENIENT``."""
        return frozenset()

    def speaks_plain(self) -> bool:
        """Tell whether it serves peers that do not begin with a handshake."""
        return False

    def handshakes(self) -> int:
        """Return how many handshakes may be under way at once."""
        return MOST_HANDSHAKES


class Gate:
    """What every connection to one listener must pass before its protocol hears of it."""

    def __init__(
        self,
        credentials: Credentials,
        *,
        refused: Callable[[str, WireError], None] = nobody,
        seconds: float = HANDSHAKE_SECONDS,
        manners: Manners | None = None,
        strangers: dict[str, str] | None = None,
    ) -> None:
        """Judge with ``credentials``; ``refused(peer, why)`` hears of every handshake that came to nothing.

        ``strangers`` holds, while their connections last, the peers whose certificate is good and not on the list of
        known nodes, and why: protocols have words to refuse them that TLS has not.
        """
        self.credentials, self.refused, self.seconds = credentials, refused, seconds
        self.manners = manners or Manners()
        self.strangers = {} if strangers is None else strangers
        self.buffer = memoryview(bytearray(READ))
        self.under_way: set[Records] = set()
        self._made: tuple[object, ssl.SSLContext] = (self._now(), self._judge())

    def context(self) -> ssl.SSLContext:
        """Return today's context: files that were replaced are read again, without a restart.

        Files that cannot be used, for example while they are being written, leave the last good ones in force.
        """
        if (now := self._now()) != self._made[0]:
            with contextlib.suppress(BadInput):
                self._made = (now, self._judge())
        return self._made[1]

    def _judge(self) -> ssl.SSLContext:
        return replace(self.credentials, lenient=self.manners.tolerates()).server()

    def _now(self) -> object:
        own = self.credentials
        files = (own.ca, own.certificate, own.key, own.crl)
        with contextlib.suppress(OSError):
            return self.manners.tolerates(), *(path.stat().st_mtime_ns for path in files if path is not None)
        return None


async def listen(
    factory: Callable[[], asyncio.BaseProtocol],
    host: str,
    port: int,
    gate: Gate | None,
    *,
    sock: socket.socket | None = None,
    backlog: int = 100,
) -> asyncio.Server:
    """Listen as ``loop.create_server`` does, behind a gate; without one, in plain text."""
    loop = asyncio.get_running_loop()
    made: Callable[[], asyncio.BaseProtocol] = factory if gate is None else lambda: _Accepted(factory, gate)
    if sock is not None:
        return await loop.create_server(made, sock=sock)
    return await loop.create_server(made, host, port, backlog=backlog)


async def connect(
    factory: Callable[[], asyncio.BaseProtocol],
    host: str,
    port: int,
    context: ssl.SSLContext | None,
    *,
    name: str = "",
    seconds: float = HANDSHAKE_SECONDS,
) -> tuple[asyncio.BaseTransport, asyncio.BaseProtocol]:
    """Connect as ``loop.create_connection`` does, the handshake included; without a context, in plain text.

    Raises:
        OSError: no connection.
        TlsRefused, LinkLost, NoAnswer, RemoteProtocolError: no handshake.
    """
    loop = asyncio.get_running_loop()
    if context is None:
        return await loop.create_connection(factory, host, port)
    done: asyncio.Future[Sealed] = loop.create_future()
    _, records = await loop.create_connection(
        lambda: _Called(factory, context, host, done, name or f"{host}:{port}", seconds), host, port
    )
    try:
        sealed = await done
    except BaseException:
        records.give_up()
        raise
    if (
        records.protocol is None
    ):  # in TLS 1.3 a server's refusal follows the handshake, and may be here already
        raise _named(records.trouble or LinkLost("the connection was lost"), name or f"{host}:{port}")
    return sealed, records.protocol


class _Accepted(Records):
    """A connection that a listener took."""

    def __init__(self, factory: Callable[[], asyncio.BaseProtocol], gate: Gate) -> None:
        super().__init__(gate.context(), gate.buffer, gate.seconds, None)
        self._factory, self._gate, self._first = factory, gate, True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if len(self._gate.under_way) >= (most := self._gate.manners.handshakes()):
            self._fail(LinkLost(f"more than {most} TLS handshakes at once"))
            return
        self._gate.under_way.add(self)

    def buffer_updated(self, nbytes: int) -> None:
        if self._first and self._buffer[0] != HANDSHAKE_RECORD and self._gate.manners.speaks_plain():
            self._in_the_clear(bytes(self._buffer[:nbytes]))
            return
        self._first = False
        super().buffer_updated(nbytes)

    def opened(self, sealed: Sealed) -> asyncio.BaseProtocol:
        gate = self._gate
        gate.under_way.discard(self)
        certificate, der = sealed.get_extra_info("peercert", {}), sealed.get_extra_info("peercert_der", b"")
        unseen = not der and "no-certificate" in gate.manners.tolerates()
        if not unseen and (why := gate.credentials.stranger(certificate, der)):
            gate.strangers[self.peer] = why
        return self._factory()

    def failed(self, why: WireError) -> None:
        self._gate.under_way.discard(self)
        self._gate.refused(self.peer, why)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._gate.strangers.pop(self.peer, None)

    def _in_the_clear(self, data: bytes) -> None:
        """Serve a peer without TLS."""
        self._still()
        self._gate.under_way.discard(self)
        protocol = self._factory()
        self.raw.set_protocol(protocol)
        protocol.connection_made(self.raw)
        feed(protocol, data)


def feed(protocol: asyncio.BaseProtocol, data: bytes) -> None:
    """Hand data to a protocol of either kind."""
    if isinstance(protocol, asyncio.BufferedProtocol):
        while data:
            place = memoryview(protocol.get_buffer(-1))
            count = min(len(place), len(data))
            place[:count] = data[:count]
            protocol.buffer_updated(count)
            data = data[count:]
    elif isinstance(protocol, asyncio.Protocol):
        protocol.data_received(data)


class _Called(Records):
    """A connection that we made."""

    def __init__(
        self,
        factory: Callable[[], asyncio.BaseProtocol],
        context: ssl.SSLContext,
        host: str,
        done: asyncio.Future[Sealed],
        name: str,
        seconds: float,
    ) -> None:
        super().__init__(context, memoryview(bytearray(READ)), seconds, host)
        self._factory, self._done, self._name = factory, done, name

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.shake()

    def opened(self, sealed: Sealed) -> asyncio.BaseProtocol:
        if not self._done.done():
            asyncio.get_running_loop().call_soon(self._tell, sealed)
        return self._factory()

    def failed(self, why: WireError) -> None:
        if not self._done.done():
            self._done.set_exception(_named(why, self._name))

    def give_up(self) -> None:
        """Drop a connection that nobody waits for any more."""
        self._refused = True
        self._still()
        self.raw.abort()

    def _tell(self, sealed: Sealed) -> None:
        if not self._done.done():
            self._done.set_result(sealed)


def _named(why: WireError, name: str) -> WireError:
    """Return the same trouble with the peer's name in its text."""
    if isinstance(why, tls.TlsRefused):
        return tls.TlsRefused(why.by, why.reason, name)
    return type(why)(f"{name}: {why}")
