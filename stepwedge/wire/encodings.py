"""The encodings of a data set beside plain little endian: deflated and, retired, big endian (PS3.5 annex A.5, A.3).

Everything else here reads and writes explicit and implicit VR little endian; what comes or leaves in one of these two is
turned over as a whole, once, at the door.
"""

from __future__ import annotations

import struct
import zlib
from typing import Final

from stepwedge.errors import RemoteProtocolError
from stepwedge.wire.elements import EXPLICIT_LE, IMPLICIT_LE, ITEM_GROUP, LONG, MAX_DEPTH, UNDEFINED
from stepwedge.wire.storage_classes import COMPRESSED

DEFLATED: Final = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN: Final = "1.2.840.10008.1.2.2"
WRAPPED: Final = frozenset({DEFLATED, BIG_ENDIAN})
PLAIN: Final = (EXPLICIT_LE, IMPLICIT_LE)
"""Little endian, not compressed: what every service but storage is spoken in."""
EVERY: Final = (*PLAIN, *COMPRESSED, DEFLATED, BIG_ENDIAN)
"""The transfer syntaxes of storage, the preferred first."""
COMPACT: Final = frozenset((*COMPRESSED, DEFLATED))
"""What a sender gets that proposes it first: it wants its images compressed."""

LARGEST: Final = 1 << 29
"""Bytes that a deflated data set may have when it is inflated; a bomb ends there."""

_WORDS: Final = {
    # Bytes of one number by value representation (PS3.5 section 7.3); every other is a string of bytes.
    **dict.fromkeys((b"US", b"SS", b"OW", b"AT"), 2),
    **dict.fromkeys((b"UL", b"SL", b"FL", b"OL", b"OF"), 4),
    **dict.fromkeys((b"FD", b"OD", b"SV", b"UV", b"OV"), 8),
}
_ITEM, _ITEM_END, _SEQUENCE_END = 0xE000, 0xE00D, 0xE0DD


def plain(data: bytes, transfer_syntax: str, *, largest: int = LARGEST) -> tuple[bytes, str]:
    """Return a data set in a little endian encoding that is not deflated, and its transfer syntax.

    Raises:
        RemoteProtocolError: it is no deflate stream or no big endian data set, or inflates to more than ``largest`` bytes.
    """
    if transfer_syntax == DEFLATED:
        return inflated(data, largest), EXPLICIT_LE
    if transfer_syntax == BIG_ENDIAN:
        return swapped(data, ">"), EXPLICIT_LE
    return data, transfer_syntax


def wrapped(data: bytes, transfer_syntax: str) -> bytes:
    """Return an explicit VR little endian data set in one of the encodings of this module."""
    if transfer_syntax == DEFLATED:
        return deflated(data)
    if transfer_syntax == BIG_ENDIAN:
        return swapped(data, "<")
    return data


def inflated(data: bytes, largest: int = LARGEST) -> bytes:
    """Inflate a raw deflate stream (RFC 1951); memory is never taken for more than ``largest`` bytes."""
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        found = stream.decompress(data, largest + 1)
    except zlib.error as error:
        raise RemoteProtocolError(f"the deflated data set cannot be inflated: {error} (PS3.5 A.5)") from error
    if len(found) > largest:
        raise RemoteProtocolError(f"the deflated data set inflates to more than {largest} bytes")
    if not stream.eof:
        raise RemoteProtocolError("the deflated data set ends inside its stream (PS3.5 A.5)")
    return found


def deflated(data: bytes) -> bytes:
    """Deflate as a raw stream, padded to even length as PS3.5 A.5 has it."""
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    found = stream.compress(data) + stream.flush()
    return found if len(found) % 2 == 0 else found + b"\0"


def swapped(data: bytes, order: str) -> bytes:
    """Turn an explicit VR data set of byte order ``order`` (``<`` or ``>``) into the other."""
    try:
        turned = _Turning(data, order)
        turned.data_set(0, len(data), 0)
        return b"".join(turned.pieces)
    except (struct.error, IndexError) as error:
        raise RemoteProtocolError("the data set ends inside an element (PS3.5 section 7.1)") from error


class _Turning:
    """Walks one data set and collects its elements in the other byte order."""

    def __init__(self, data: bytes, order: str) -> None:
        self.data, self.order, self.other = data, order, "<" if order == ">" else ">"
        self.pieces: list[bytes] = []

    def data_set(self, at: int, end: int, depth: int) -> int:
        """Turn elements until ``end`` or a delimiter; return the offset behind."""
        if depth > MAX_DEPTH:
            raise RemoteProtocolError(f"sequences are nested deeper than {MAX_DEPTH}")
        while at < end:
            group, element = struct.unpack_from(self.order + "HH", self.data, at)
            if group == ITEM_GROUP:
                at, closed = self._item(at, end, element, depth)
                if closed:
                    return at
                continue
            vr, length, at = self._header(at, group, element)
            if length == UNDEFINED or vr == b"SQ":
                stop = end if length == UNDEFINED else self._inside(at, length, end)
                at = self.data_set(at, stop, depth + 1)
                continue
            stop = self._inside(at, length, end)
            self.pieces.append(_turned(self.data[at:stop], _WORDS.get(vr, 1)))
            at = stop
        return at

    def _item(self, at: int, end: int, element: int, depth: int) -> tuple[int, bool]:
        """Turn an item or a delimiter; tell whether it closes what it stands in."""
        group, _, length = struct.unpack_from(self.order + "HHI", self.data, at)
        self.pieces.append(struct.pack(self.other + "HHI", group, element, length))
        at += 8
        if element != _ITEM:
            return at, True
        stop = end if length == UNDEFINED else self._inside(at, length, end)
        return self.data_set(at, stop, depth + 1), False

    def _header(self, at: int, group: int, element: int) -> tuple[bytes, int, int]:
        vr = self.data[at + 4 : at + 6]
        if vr in LONG:
            (length,) = struct.unpack_from(self.order + "I", self.data, at + 8)
            self.pieces.append(struct.pack(self.other + "HH2s2xI", group, element, vr, length))
            return vr, length, at + 12
        (length,) = struct.unpack_from(self.order + "H", self.data, at + 6)
        self.pieces.append(struct.pack(self.other + "HH2sH", group, element, vr, length))
        return vr, length, at + 8

    def _inside(self, at: int, length: int, end: int) -> int:
        if length > end - at:
            raise RemoteProtocolError(f"an element announces {length} bytes where {end - at} are left")
        return at + length


def _turned(value: bytes, size: int) -> bytes:
    """Reverse the bytes of each number."""
    if size == 1:
        return value
    if len(value) % size:
        raise RemoteProtocolError(f"a value of {len(value)} bytes holds no numbers of {size} bytes")
    turned = bytearray(len(value))
    for place in range(size):
        turned[place::size] = value[size - 1 - place :: size]
    return bytes(turned)
