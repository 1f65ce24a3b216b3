"""What of one TLS connection is in the clear (RFC 8446, RFC 5246), as a third party reads it; sans-io.

That is the two hellos, the certificates of TLS 1.2, and alerts that come before the keys. All else is counted by nobody.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import RemoteProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterator

CLIENT, SERVER = 0, 1
"""The two ends, in the order in which they speak."""
CHANGE_CIPHER, ALERT, HANDSHAKE, DATA = 20, 21, 22, 23
"""ContentType (RFC 8446 section 5.1)."""
MOST: Final = 1 << 17
"""Bytes of one side's handshake that are read."""
_RECORD: Final = 5
_LONGEST: Final = (1 << 14) + 2048
"""Bytes of one record (RFC 5246 section 6.2.3)."""
VERSIONS: Final = {
    0x0300: "SSL 3.0",
    0x0301: "TLS 1.0",
    0x0302: "TLS 1.1",
    0x0303: "TLS 1.2",
    0x0304: "TLS 1.3",
}
ALERTS: Final = {
    0: "close_notify",
    10: "unexpected_message",
    20: "bad_record_mac",
    40: "handshake_failure",
    42: "bad_certificate",
    43: "unsupported_certificate",
    44: "certificate_revoked",
    45: "certificate_expired",
    46: "certificate_unknown",
    47: "illegal_parameter",
    48: "unknown_ca",
    49: "access_denied",
    50: "decode_error",
    51: "decrypt_error",
    70: "protocol_version",
    71: "insufficient_security",
    80: "internal_error",
    86: "inappropriate_fallback",
    90: "user_canceled",
    109: "missing_extension",
    112: "unrecognized_name",
    116: "certificate_required",
    120: "no_application_protocol",
}
"""AlertDescription (RFC 8446 section 6)."""
_CLIENT_HELLO, _SERVER_HELLO, _CERTIFICATE = 1, 2, 11
_NAME, _ALPN, _SUPPORTED = 0, 16, 43
"""Extensions (RFC 8446 section 4.2)."""


class _Bytes:
    """Fields with their lengths before them (RFC 8446 section 3.4)."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def take(self, size: int) -> bytes:
        if size > len(self.data):
            raise RemoteProtocolError("a TLS handshake message ends inside a field")
        taken, self.data = self.data[:size], self.data[size:]
        return taken

    def vector(self, size: int) -> _Bytes:
        return _Bytes(self.take(self.number(size)))


class _End:
    """What one end says."""

    def __init__(self) -> None:
        self.records = bytearray()
        self.handshake = bytearray()
        self.read = 0
        self.sealed = False


class OverheardTls:
    """Both directions of one connection.

    Attributes:
        facts: ``sni``, ``offered``, ``alpn``, ``version``, ``cipher``, ``certificate`` of the server (SHA-256), ``alert`` and
            ``alert_by``, each as soon as it was said in the clear.
        sealed: both ends speak under keys.
    """

    def __init__(self) -> None:
        """Hear a connection from its first byte."""
        self.facts: dict[str, Any] = {}
        self._ends = (_End(), _End())

    @property
    def sealed(self) -> bool:
        """Whether both ends speak under keys."""
        return all(one.sealed for one in self._ends)

    @property
    def refused(self) -> bool:
        """Whether one end said why there is no connection."""
        return "alert" in self.facts

    def heard(self, side: int, data: bytes) -> None:
        """Take what one end said; what is not TLS raises RemoteProtocolError."""
        end = self._ends[side]
        if end.sealed:
            return
        end.records += data
        for kind, body in _records(end.records):
            if kind == HANDSHAKE:
                self._handshake(side, body)
            elif kind == ALERT and len(body) == 2:  # noqa: PLR2004 - one in the clear has a level and a description
                self.facts |= {
                    "alert": ALERTS.get(body[1], str(body[1])),
                    "alert_by": ("client", "server")[side],
                }
            elif kind == DATA or (kind == CHANGE_CIPHER and self.facts.get("version") != "TLS 1.3"):
                end.sealed = True
                end.records.clear()
                return

    def _handshake(self, side: int, body: bytes) -> None:
        end = self._ends[side]
        end.handshake += body
        end.read += len(body)
        if end.read > MOST:
            raise RemoteProtocolError(f"a TLS handshake of more than {MOST} bytes")
        while len(end.handshake) >= 4:  # noqa: PLR2004 - type and length
            size = 4 + int.from_bytes(end.handshake[1:4], "big")
            if len(end.handshake) < size:
                return
            message = bytes(end.handshake[:size])
            del end.handshake[:size]
            if message[0] == _CLIENT_HELLO and side == CLIENT:
                self._client_hello(_Bytes(message[4:]))
            elif message[0] == _SERVER_HELLO and side == SERVER:
                self._server_hello(_Bytes(message[4:]))
            elif message[0] == _CERTIFICATE:
                first = _Bytes(message[4:]).vector(3)
                if first.data:
                    name = ("client_certificate", "certificate")[side]
                    self.facts[name] = hashlib.sha256(first.vector(3).data).hexdigest()

    def _client_hello(self, hello: _Bytes) -> None:
        legacy = hello.number(2)
        hello.take(32)
        hello.vector(1)
        hello.vector(2)
        hello.vector(1)
        offered = [legacy]
        for kind, body in _extensions(hello):
            if kind == _NAME and (names := body.vector(2)).data and names.number(1) == 0:
                self.facts["sni"] = names.vector(2).data.decode("latin-1")
            elif kind == _SUPPORTED:
                versions = body.vector(1).data
                offered = [int.from_bytes(versions[at : at + 2], "big") for at in range(0, len(versions), 2)]
            elif kind == _ALPN:
                names, found = body.vector(2), []
                while names.data:
                    found.append(names.vector(1).data.decode("latin-1"))
                self.facts["alpn"] = found
        self.facts["offered"] = [VERSIONS[one] for one in offered if one in VERSIONS]

    def _server_hello(self, hello: _Bytes) -> None:
        version = hello.number(2)
        hello.take(32)
        hello.vector(1)
        self.facts["cipher"] = f"{hello.number(2):04X}"
        hello.take(1)
        for kind, body in _extensions(hello):
            if kind == _SUPPORTED:
                version = body.number(2)
        self.facts["version"] = VERSIONS.get(version, f"{version:04X}")


def _records(buffer: bytearray) -> Iterator[tuple[int, bytes]]:
    """Take whole records out of a buffer."""
    while len(buffer) >= _RECORD:
        size = int.from_bytes(buffer[3:5], "big")
        if not CHANGE_CIPHER <= buffer[0] <= DATA or buffer[1] != 3 or size > _LONGEST:  # noqa: PLR2004 - TLS's major version
            raise RemoteProtocolError("this is no TLS (RFC 8446 section 5.1)")
        if len(buffer) < _RECORD + size:
            return
        kind, body = buffer[0], bytes(buffer[_RECORD : _RECORD + size])
        del buffer[: _RECORD + size]
        yield kind, body


def _extensions(hello: _Bytes) -> Iterator[tuple[int, _Bytes]]:
    if not hello.data:
        return
    rest = hello.vector(2)
    while rest.data:
        yield rest.number(2), rest.vector(2)
