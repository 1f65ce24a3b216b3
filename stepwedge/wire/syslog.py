"""Syslog without a socket: messages (RFC 5424), datagrams (RFC 5426) and octet counting on streams (RFC 5425, RFC 6587).

One datagram is one message. On a stream, with TLS or without, each message follows its length::

    framer = Framer()
    framer.receive_data(data)
    while (message := framer.next_event()) is not NEED_DATA: ...
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final

from stepwedge.errors import LocalProtocolError, RemoteProtocolError

if TYPE_CHECKING:
    from collections.abc import Mapping

LARGEST: Final = 1 << 20
"""Octets of one message that are taken; ITI-20 wants at least 32768, and no length is believed before it is compared."""
LARGEST_DATAGRAM: Final = 65507
"""Octets of one UDP datagram over IPv4; RFC 5426 section 3.2 advises to stay below 2048."""
SECURITY: Final = 10
"""Facility ``security/authorization messages`` (RFC 5424 table 1), which ITI-20 uses for audit messages."""
NOTICE, WARNING, ERROR, CRITICAL = 5, 4, 3, 2
"""Severities (RFC 5424 table 2)."""

_LARGEST_PRIORITY: Final = 191
_HEADER: Final = re.compile(
    rb"<(0|[1-9]\d{0,2})>([1-9]\d{0,2}) (\S{1,40}) ([!-~]{1,255}) ([!-~]{1,48}) ([!-~]{1,128}) ([!-~]{1,32}) "
)
_TIME: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?(Z|[+-]\d{2}:\d{2})", re.ASCII
)  # section 6.2.3: T and Z in upper case, no leap second
_NAME: Final = rb"[!#-<>-\\^-~]{1,32}"  # printable without = ] and the double quote
_PARAMETER: Final = re.compile(rb" (" + _NAME + rb')="((?:[^"\\\]]|\\.)*)"', re.DOTALL)
_ELEMENT: Final = re.compile(rb"\[(" + _NAME + rb")((?: " + _NAME + rb'="(?:[^"\\\]]|\\.)*")*)\]', re.DOTALL)
_ESCAPED: Final = re.compile(r'\\(["\\\]])')
_BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Syslog:
    """One message.

    Attributes:
        at: TIMESTAMP, with its zone; None for the nil value.
        host, application, process, kind: HOSTNAME, APP-NAME, PROCID and MSGID; empty for the nil value.
        data: STRUCTURED-DATA, SD-ID to its parameters.
        text: MSG, without its byte order mark.
    """

    text: bytes
    facility: int = SECURITY
    severity: int = NOTICE
    at: datetime | None = None
    host: str = ""
    application: str = ""
    process: str = ""
    kind: str = ""
    data: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def compose(message: Syslog) -> bytes:
    """Write one message; a header field that the grammar does not allow is a LocalProtocolError."""
    priority = message.facility * 8 + message.severity
    names = (message.host, message.application, message.process, message.kind)
    moment = message.at.isoformat(timespec="microseconds") if message.at else "-"
    head = f"<{priority}>1 {moment} {' '.join(name or '-' for name in names)} ".encode()
    if not 0 <= priority <= _LARGEST_PRIORITY or not _HEADER.fullmatch(head):
        raise LocalProtocolError(f"no RFC 5424 header can be made of {message.host!r} and {names[1:]!r}")
    raw = head + _structured(message.data) + (b" " + message.text if message.text else b"")
    if len(raw) > LARGEST:
        raise LocalProtocolError(f"a syslog message of {len(raw)} octets; at most {LARGEST} can be sent")
    return raw


def _structured(data: Mapping[str, Mapping[str, str]]) -> bytes:
    if not data:
        return b"-"
    elements = []
    for name, parameters in data.items():
        escaped = {key: re.sub(r'(["\\\]])', r"\\\1", value) for key, value in parameters.items()}
        elements.append(
            f"[{name}{''.join(f' {key}={chr(34)}{value}{chr(34)}' for key, value in escaped.items())}]"
        )
    raw = "".join(elements).encode()
    if b"".join(found.group() for found in _ELEMENT.finditer(raw)) != raw:
        raise LocalProtocolError(f"no structured data can be made of {dict(data)!r}")
    return raw


def parse(raw: bytes) -> Syslog:
    """Read one message; what the grammar does not allow is a RemoteProtocolError that says where."""
    if len(raw) > LARGEST:
        raise RemoteProtocolError(f"a syslog message of {len(raw)} octets; at most {LARGEST} are taken")
    if (head := _HEADER.match(raw)) is None:
        raise RemoteProtocolError(f"no RFC 5424 header at the start of {raw[:40]!r}")
    priority, version, moment, *names = (part.decode("ascii", "replace") for part in head.groups())
    if int(priority) > _LARGEST_PRIORITY or version != "1":
        raise RemoteProtocolError(
            f"PRI {priority} and VERSION {version}: only 0 to 191 and 1 are known (RFC 5424)"
        )
    host, application, process, kind = ("" if name == "-" else name for name in names)
    data, end = _read_structured(raw, head.end())
    if raw[end : end + 1] not in {b"", b" "}:
        raise RemoteProtocolError(f"a space must follow the structured data, not {raw[end : end + 1]!r}")
    text = raw[end + 1 :].removeprefix(_BOM)
    facility, severity = divmod(int(priority), 8)
    return Syslog(text, facility, severity, _moment(moment), host, application, process, kind, data)


def _moment(text: str) -> datetime | None:
    if text == "-":
        return None
    if _TIME.fullmatch(text):
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            pass
    raise RemoteProtocolError(f"TIMESTAMP {text!r} is no RFC 5424 time with a zone")


def _read_structured(raw: bytes, start: int) -> tuple[dict[str, dict[str, str]], int]:
    """Return STRUCTURED-DATA and where it ends."""
    if raw[start : start + 1] == b"-":
        return {}, start + 1
    data: dict[str, dict[str, str]] = {}
    end = start
    while (found := _ELEMENT.match(raw, end)) is not None:
        name = found[1].decode("ascii")
        if name in data:
            raise RemoteProtocolError(f"SD-ID {name} stands twice (RFC 5424 section 6.3.2)")
        data[name] = {
            one[1].decode("ascii"): _ESCAPED.sub(r"\1", one[2].decode("utf-8", "replace"))
            for one in _PARAMETER.finditer(found[2])
        }
        end = found.end()
    if end == start:
        raise RemoteProtocolError(f"no structured data at {raw[start : start + 20]!r}")
    return data, end


def frame(message: bytes) -> bytes:
    """Put a message behind its length, as streams carry it (RFC 5425 section 4.3)."""
    return b"%d %b" % (len(message), message)


class _NeedData:
    def __repr__(self) -> str:
        return "NEED_DATA"


NEED_DATA: Final = _NeedData()
"""What :meth:`Framer.next_event` returns when a message is not complete yet."""


class Framer:
    """Cuts a stream into messages by octet counting: MSG-LEN, a space, the message."""

    def __init__(self, limit: int = LARGEST) -> None:
        """Take messages of at most ``limit`` octets; a longer one is refused before any of it is kept."""
        self._limit = limit
        self._buffer = bytearray()
        self._expected = -1

    def receive_data(self, data: bytes) -> None:
        """Take what came from the peer."""
        self._buffer += data

    def next_event(self) -> bytes | _NeedData:
        """Return the next complete message.

        Raises:
            RemoteProtocolError: no length where one must stand, or one above the limit; the stream cannot go on.
        """
        if self._expected < 0 and not self._length():
            return NEED_DATA
        if len(self._buffer) < self._expected:
            return NEED_DATA
        message = bytes(self._buffer[: self._expected])
        del self._buffer[: self._expected]
        self._expected = -1
        return message

    @property
    def inside(self) -> bool:
        """Whether the stream stands in the midst of a message."""
        return bool(self._buffer) or self._expected >= 0

    def _length(self) -> bool:
        """Read MSG-LEN; tell whether it was complete."""
        digits = len(str(self._limit))
        head = bytes(self._buffer[: digits + 1])
        number, space, _ = head.partition(b" ")
        if (number and not (number.isdigit() and number[:1] != b"0")) or (space and not number):
            raise RemoteProtocolError(
                f"MSG-LEN must be a number and a space (RFC 5425 section 4.3), found {head!r}"
            )
        if not space:
            if len(head) > digits:
                raise RemoteProtocolError(
                    f"MSG-LEN of more than {digits} digits; at most {self._limit} octets are taken"
                )
            return False
        if int(number) > self._limit:
            raise RemoteProtocolError(
                f"a message of {int(number)} octets announced; at most {self._limit} are taken"
            )
        self._expected = int(number)
        del self._buffer[: len(number) + 1]
        return True
