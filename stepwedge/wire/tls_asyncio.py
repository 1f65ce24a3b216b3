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
import ssl
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import BadInput, LinkLost, NoAnswer, WireError
from stepwedge.wire import tls

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from stepwedge.wire.tls import Credentials

READ: Final = 1 << 16
HANDSHAKE_SECONDS: Final = 10.0
MOST_HANDSHAKES: Final = 256
"""Handshakes under way at one listener; what comes beyond them is dropped at once."""
HANDSHAKE_RECORD: Final = 0x16
"""ContentType handshake, the first byte a client of TLS sends (RFC 8446 section 5.1)."""
LINGER_SECONDS: Final = 1.0
"""How long a refused peer may go on sending: closing earlier would take the alert back (RFC 9293 section 3.6.1)."""
_LINGER_BYTES: Final = 1 << 20


def _nobody(_peer: str, _why: WireError) -> None:
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
        refused: Callable[[str, WireError], None] = _nobody,
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
        self.under_way: set[_Records] = set()
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
) -> asyncio.Server:
    """Listen as ``loop.create_server`` does, behind a gate; without one, in plain text."""
    loop = asyncio.get_running_loop()
    made: Callable[[], asyncio.BaseProtocol] = factory if gate is None else lambda: _Accepted(factory, gate)
    if sock is not None:
        return await loop.create_server(made, sock=sock)
    return await loop.create_server(made, host, port)


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
    assert records.protocol is not None  # noqa: S101 - made before the future was set
    return sealed, records.protocol


class Sealed(asyncio.Transport):
    """The transport a protocol sees: plain text on this side, records on the other.

    ``get_extra_info`` knows ``peercert`` (as :meth:`ssl.SSLObject.getpeercert`), ``peercert_der``, ``cipher`` and
    ``version`` besides what the TCP transport knows.
    """

    def __init__(self, records: _Records) -> None:
        super().__init__()
        self._records = records

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Ask the TLS object, then the TCP transport."""
        match name:
            case "peercert":
                return self._records.tls.getpeercert() or default
            case "peercert_der":
                return self._records.tls.getpeercert(binary_form=True) or default
            case "cipher":
                return self._records.tls.cipher()
            case "version":
                return self._records.tls.version()
            case "sslcontext":
                return self._records.tls.context
            case "ssl_object":
                return self._records.tls
        return self._records.raw.get_extra_info(name, default)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send, in records."""
        self._records.write(data)

    def close(self) -> None:
        """Say that no more comes (close_notify), and close."""
        self._records.close()

    def abort(self) -> None:
        """Close at once."""
        self._records.closing = True
        self._records.raw.abort()

    def is_closing(self) -> bool:
        """Tell whether the end has begun."""
        return self._records.closing or self._records.raw.is_closing()

    def pause_reading(self) -> None:
        """Deliver nothing until :meth:`resume_reading`."""
        self._records.pause()

    def resume_reading(self) -> None:
        """Deliver again."""
        self._records.resume()

    def is_reading(self) -> bool:
        """Tell whether data is delivered."""
        return not self._records.held

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol."""
        assert self._records.protocol is not None  # noqa: S101 - there is no transport without one
        return self._records.protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand the connection to another protocol."""
        self._records.protocol = protocol

    def get_write_buffer_size(self) -> int:
        """Return the bytes that wait."""
        return self._records.raw.get_write_buffer_size()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set when writers are paused."""
        self._records.raw.set_write_buffer_limits(high, low)

    def can_write_eof(self) -> bool:
        """Tell that TLS ends with close_notify alone."""
        return False


class _Records(asyncio.BufferedProtocol, ABC):
    """One connection on the record side: handshake, then records in and out."""

    raw: asyncio.Transport

    def __init__(
        self, context: ssl.SSLContext, buffer: memoryview, seconds: float, hostname: str | None
    ) -> None:
        self.protocol: asyncio.BaseProtocol | None = None
        self.held = self.closing = False
        self.peer = ""
        self._buffer, self._seconds = buffer, seconds
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(
            self._in, self._out, server_side=hostname is None, server_hostname=hostname
        )
        self._refused = False
        self._dropped = 0
        self._alarm: asyncio.TimerHandle | None = None

    # --- what differs between the two sides ----------------------------------------------------------------------

    @abstractmethod
    def opened(self, sealed: Sealed) -> asyncio.BaseProtocol:
        """Return the protocol that the connection is for."""

    @abstractmethod
    def failed(self, why: WireError) -> None:
        """Hear why there is no connection."""

    # --- asyncio.BufferedProtocol ----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - TCP makes no other
        self.raw = transport
        host, port = transport.get_extra_info("peername")[:2]
        self.peer = f"{host}:{port}"
        self._alarm = asyncio.get_running_loop().call_later(self._seconds, self._slow)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._refused:
            self._dropped += nbytes
            if self._dropped > _LINGER_BYTES:
                self.raw.abort()
            return
        self._in.write(self._buffer[:nbytes])
        if self.protocol is None:
            self.shake()
        else:
            self._deliver()

    def eof_received(self) -> bool:
        if self.protocol is None:
            self._fail(LinkLost("the peer closed inside the TLS handshake"))
            return False
        return self._ended()

    def connection_lost(self, exc: Exception | None) -> None:
        self._still()
        if self.protocol is not None:
            self.closing = True
            self.protocol.connection_lost(exc)
        elif not self._refused:
            self._refused = True
            self.failed(
                LinkLost(f"the connection was lost inside the TLS handshake{f' ({exc})' if exc else ''}")
            )

    def pause_writing(self) -> None:
        if self.protocol is not None:
            self.protocol.pause_writing()

    def resume_writing(self) -> None:
        if self.protocol is not None:
            self.protocol.resume_writing()

    # --- the handshake -----------------------------------------------------------------------------------------------

    def shake(self) -> None:
        """Go on with the handshake as far as what came allows."""
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return
        except (ssl.SSLError, ValueError) as error:
            self._flush()  # the alert that says why
            self._fail(tls.trouble(error))
            return
        self._still()
        self._flush()
        sealed = Sealed(self)
        self.protocol = self.opened(sealed)
        self.protocol.connection_made(sealed)
        self._deliver()

    def _slow(self) -> None:
        self._fail(NoAnswer(f"the TLS handshake was not done within {self._seconds:g} s"))

    def _fail(self, why: WireError) -> None:
        """End the connection so that the peer can still read why."""
        if self._refused:
            return
        self._refused = True
        self._still()
        self.failed(why)
        if isinstance(why, LinkLost | NoAnswer):
            self.raw.abort()
            return
        with contextlib.suppress(OSError):
            self.raw.write_eof()
        self._alarm = asyncio.get_running_loop().call_later(LINGER_SECONDS, self.raw.abort)

    def _still(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    # --- records -----------------------------------------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Seal and send."""
        if self.closing or self.raw.is_closing():
            return
        rest = memoryview(data).cast("B")
        try:
            while rest:
                rest = rest[self.tls.write(rest) :]
        except ssl.SSLError as error:
            self._break(error)
            return
        self._flush()

    def close(self) -> None:
        """Send close_notify and close."""
        if self.closing:
            return
        self.closing = True
        with contextlib.suppress(ssl.SSLError):
            self.tls.unwrap()
        self._flush()
        self.raw.close()

    def pause(self) -> None:
        """Read nothing more."""
        self.held = True
        self.raw.pause_reading()

    def resume(self) -> None:
        """Read again, first what is here."""
        if self.held and not self.closing:
            self.held = False
            self.raw.resume_reading()
            asyncio.get_running_loop().call_soon(self._deliver)

    def _deliver(self) -> None:
        """Open what came and hand it on."""
        protocol = self.protocol
        try:
            while not self.held and not self.closing:
                if isinstance(protocol, asyncio.BufferedProtocol):
                    place = protocol.get_buffer(-1)
                    count = int(self.tls.read(len(place), place))  # type: ignore[arg-type]  # into a buffer it counts
                    if not count:
                        self._ended()
                        return
                    protocol.buffer_updated(count)
                else:
                    data = self.tls.read(READ)
                    if not data:
                        self._ended()
                        return
                    assert isinstance(protocol, asyncio.Protocol)  # noqa: S101 - a stream has no other kind
                    protocol.data_received(data)
        except ssl.SSLWantReadError:
            self._flush()  # an answer to a key update
        except ssl.SSLZeroReturnError:
            self._ended()
        except ssl.SSLError as error:
            self._break(error)

    def _ended(self) -> bool:
        """Tell the protocol that no more comes; it says whether it goes on writing."""
        if self.closing or self.protocol is None:
            return False
        assert isinstance(self.protocol, asyncio.Protocol | asyncio.BufferedProtocol)  # noqa: S101 - a stream's
        stays = bool(self.protocol.eof_received())
        if not stays:
            self.close()
        return stays

    def _break(self, error: ssl.SSLError) -> None:
        """End a connection on which TLS failed; in TLS 1.3 that is how a client learns that it was refused."""
        self._flush()
        self.closing = True
        why, protocol = tls.trouble(error), self.protocol
        self.protocol = None
        self._refused = True
        self.raw.close()
        if protocol is not None:
            protocol.connection_lost(why)

    def _flush(self) -> None:
        if self._out.pending and not self.raw.is_closing():
            self.raw.write(self._out.read())


class _Accepted(_Records):
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


class _Called(_Records):
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
