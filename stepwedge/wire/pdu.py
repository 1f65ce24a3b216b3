"""Protocol data units (PS3.8 section 9.3): framing with a limit before any memory is taken, and P-DATA-TF."""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from stepwedge.errors import RemoteProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Kind(IntEnum):
    """PDU-type, PS3.8 tables 9-11 to 9-26."""

    ASSOCIATE_RQ = 1
    ASSOCIATE_AC = 2
    ASSOCIATE_RJ = 3
    P_DATA_TF = 4
    RELEASE_RQ = 5
    RELEASE_RP = 6
    ABORT = 7


HEADER: Final = struct.Struct(">BxI")
_FRAGMENT: Final = struct.Struct(">BxIIBB")
FRAGMENT_HEADER: Final = _FRAGMENT.size
"""Bytes of a P-DATA-TF with one presentation data value before its fragment (PS3.8 tables 9-22 and 9-23)."""
COMMAND, LAST = 1, 2
"""Bits of a message control header (PS3.8 annex E.2)."""
_VALUE: Final = struct.Struct(">IBB")
OVERHEAD: Final = 6
"""Bytes of a presentation data value beside its fragment: item length, context ID, control header."""
UNLIMITED: Final = 128 * 1024
"""What is sent to a peer that sets no limit (maximum length 0, PS3.8 section D.1)."""

NOT_SPECIFIED, UNRECOGNIZED_PDU, UNEXPECTED_PDU = 0, 1, 2
UNRECOGNIZED_PARAMETER, UNEXPECTED_PARAMETER, INVALID_PARAMETER = 4, 5, 6
"""Reasons of an A-ABORT from the service provider (PS3.8 table 9-26)."""


class InvalidPdu(RemoteProtocolError):
    """A PDU that is unrecognized or invalid (event 19 of PS3.8 table 9-10)."""

    def __init__(self, message: str, reason: int) -> None:
        super().__init__(message)
        self.reason = reason


class Pdu(NamedTuple):
    """One PDU: its type and what follows the six header bytes."""

    kind: Kind
    body: bytes


class Value(NamedTuple):
    """One presentation data value (PS3.8 table 9-23)."""

    context_id: int
    is_command: bool
    is_last: bool
    fragment: memoryview


class Reader:
    """Cuts a byte stream into PDUs.

    Args:
        max_pdu: our maximum length received, for P-DATA-TF; nothing above it is taken.
        max_other: bound for all other PDUs.
    """

    def __init__(self, max_pdu: int = 16384, max_other: int = 1 << 20) -> None:
        self.max_pdu = max_pdu
        self.max_other = max_other
        self._buffer = bytearray()

    def receive_data(self, data: bytes) -> None:
        """Take what arrived."""
        self._buffer += data

    def next_pdu(self) -> Pdu | None:
        """Return the next complete PDU, or None when more bytes are needed."""
        buffer = self._buffer
        if not buffer:
            return None
        code = buffer[0]
        if not 1 <= code <= 7:  # noqa: PLR2004  the types of PS3.8
            raise InvalidPdu(f"PDU type 0x{code:02X} is not one of PS3.8 section 9.3", UNRECOGNIZED_PDU)
        if len(buffer) < HEADER.size:
            return None
        _, length = HEADER.unpack_from(buffer)
        kind = Kind(code)
        limit = self.max_pdu if kind is Kind.P_DATA_TF else self.max_other
        if length > limit:
            raise InvalidPdu(
                f"{kind.name} announces {length} bytes where {limit} are allowed", INVALID_PARAMETER
            )
        end = HEADER.size + length
        if len(buffer) < end:
            return None
        body = bytes(memoryview(buffer)[HEADER.size : end])
        del buffer[:end]
        return Pdu(kind, body)

    @property
    def pending(self) -> int:
        """Bytes of an incomplete PDU that are held."""
        return len(self._buffer)


def values(body: bytes) -> list[Value]:
    """Read the presentation data values of a P-DATA-TF; fragments are views, nothing is copied."""
    found: list[Value] = []
    at, end, view = 0, len(body), memoryview(body)
    while at < end:
        if end - at < OVERHEAD:
            raise InvalidPdu("a presentation data value ends inside its header", INVALID_PARAMETER)
        length, context_id, control = _VALUE.unpack_from(body, at)
        if length < 2 or length > end - at - 4:  # noqa: PLR2004  context ID and control header
            raise InvalidPdu(f"a presentation data value announces {length} bytes", INVALID_PARAMETER)
        stop = at + 4 + length
        found.append(Value(context_id, bool(control & 1), bool(control & 2), view[at + OVERHEAD : stop]))
        at = stop
    if not found:
        raise InvalidPdu(
            "a P-DATA-TF without a presentation data value (PS3.8 table 9-22)", INVALID_PARAMETER
        )
    return found


def fragments(
    context_id: int, data: bytes, max_pdu: int, *, is_command: bool
) -> Iterator[bytes | memoryview]:
    """Write data as P-DATA-TF, one value each; yields headers and views of ``data``, nothing is copied."""
    size = (max_pdu or UNLIMITED) - OVERHEAD
    view, total = memoryview(data), len(data)
    kind = COMMAND if is_command else 0
    for start in range(0, max(total, 1), size):
        part = view[start : start + size]
        yield fragment_header(context_id, len(part), kind | (LAST if start + size >= total else 0))
        yield part


def fragment_header(context_id: int, length: int, control: int) -> bytes:
    """Write what stands before a fragment of ``length`` bytes that has a P-DATA-TF of its own."""
    return _FRAGMENT.pack(Kind.P_DATA_TF, length + 6, length + 2, context_id, control)


def units(buffers: Iterable[bytes | bytearray | memoryview]) -> Iterator[memoryview]:
    """Cut the bytes of whole PDUs into the PDUs."""
    joined = memoryview(b"".join(buffers))
    at = 0
    while at < len(joined):
        end = at + HEADER.size + HEADER.unpack_from(joined, at)[1]
        yield joined[at:end]
        at = end


def write(kind: Kind, body: bytes) -> bytes:
    """Write a PDU."""
    return HEADER.pack(kind, len(body)) + body


RELEASE_RQ: Final = write(Kind.RELEASE_RQ, bytes(4))
RELEASE_RP: Final = write(Kind.RELEASE_RP, bytes(4))


def abort(source: int, reason: int) -> bytes:
    """Write an A-ABORT (PS3.8 table 9-26): source 0 service user, 2 service provider."""
    return write(Kind.ABORT, bytes((0, 0, source, reason)))


def rejection(result: int, source: int, reason: int) -> bytes:
    """Write an A-ASSOCIATE-RJ (PS3.8 table 9-21)."""
    return write(Kind.ASSOCIATE_RJ, bytes((0, result, source, reason)))
