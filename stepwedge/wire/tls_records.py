"""One connection in TLS: the records on one side, the transport a protocol sees on the other.

The standard library's own transport drops the alert that says why a handshake failed, and hands a failed client to nobody.
So the records are driven through :class:`ssl.SSLObject` in memory. Listeners and callers are in
:mod:`stepwedge.wire.tls_asyncio`.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import LinkLost, NoAnswer
from stepwedge.wire import tls

if TYPE_CHECKING:
    from stepwedge.errors import WireError

READ: Final = 1 << 16
LINGER_SECONDS: Final = 1.0
"""How long a refused peer may go on sending: closing earlier would take the alert back (RFC 9293 section 3.6.1)."""
_LINGER_BYTES: Final = 1 << 20


class Sealed(asyncio.Transport):
    """The transport a protocol sees: plain text on this side, records on the other.

    ``get_extra_info`` knows ``peercert`` (as :meth:`ssl.SSLObject.getpeercert`), ``peercert_der``, ``cipher`` and
    ``version`` besides what the TCP transport knows.
    """

    def __init__(self, records: Records) -> None:
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


class Records(asyncio.BufferedProtocol, ABC):
    """One connection on the record side: handshake, then records in and out."""

    raw: asyncio.Transport

    def __init__(
        self, context: ssl.SSLContext, buffer: memoryview, seconds: float, hostname: str | None
    ) -> None:
        self.protocol: asyncio.BaseProtocol | None = None
        self.held = self.closing = False
        self.peer = ""
        self.trouble: WireError | None = None
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
        """Take the TCP connection; from now on the handshake has so many seconds."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - TCP makes no other
        self.raw = transport
        host, port = transport.get_extra_info("peername")[:2]
        self.peer = f"{host}:{port}"
        self._alarm = asyncio.get_running_loop().call_later(self._seconds, self._slow)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        """Lend the buffer of the whole listener: what comes is handed on at once."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take records in: to the handshake, later to the protocol; of a refused peer they are dropped."""
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
        """Hear that the peer sends no more."""
        if self.protocol is None:
            self._fail(LinkLost("the peer closed inside the TLS handshake"))
            return False
        return self._ended()

    def connection_lost(self, exc: Exception | None) -> None:
        """Hear that the TCP connection is gone."""
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
        """Hand on that enough waits to be sent."""
        if self.protocol is not None:
            self.protocol.pause_writing()

    def resume_writing(self) -> None:
        """Hand on that there is room again."""
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
        self.protocol, self.trouble = None, why
        self._refused = True
        self.raw.close()
        if protocol is not None:
            protocol.connection_lost(why)

    def _flush(self) -> None:
        if self._out.pending and not self.raw.is_closing():
            self.raw.write(self._out.read())
