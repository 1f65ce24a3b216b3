"""Where the top-level elements of a data set lie, for changing a few of them and leaving every other byte as it came."""

from __future__ import annotations

import struct
from typing import Final

from stepwedge.errors import RemoteProtocolError
from stepwedge.wire.elements import ITEM, ITEM_END, LONG, SEQUENCE_END, UNDEFINED


def spans(data: bytes, *, explicit: bool) -> dict[int, tuple[int, int]]:
    """Return tag -> (begin, end) of each top-level element, in order."""
    found: dict[int, tuple[int, int]] = {}
    at = 0
    try:
        while at < len(data):
            tag, end = _element_end(data, at, explicit, 0)
            found[tag] = (at, end)
            at = end
    except struct.error as error:
        raise RemoteProtocolError("the data set ends inside an element (PS3.5 section 7.1)") from error
    return found


def value_at(data: bytes, at: int, *, explicit: bool) -> int:
    """Return where the value of the element that begins at ``at`` begins."""
    return at + (12 if explicit and data[at + 4 : at + 6] in LONG else 8)


_DEPTH: Final = 96
"""Elements, items and delimiters nested in each other, three for each sequence."""


def _element_end(data: bytes, at: int, explicit: bool, depth: int) -> tuple[int, int]:
    """Return the tag of the element at an offset, and where it ends."""
    if depth > _DEPTH:
        raise RemoteProtocolError("sequences are nested too deep")
    group, number = struct.unpack_from("<HH", data, at)
    tag = group << 16 | number
    if not explicit or group == ITEM >> 16:
        (length,) = struct.unpack_from("<I", data, at + 4)
        start = at + 8
    elif data[at + 4 : at + 6] in LONG:
        (length,) = struct.unpack_from("<I", data, at + 8)
        start = at + 12
    else:
        (length,) = struct.unpack_from("<H", data, at + 6)
        start = at + 8
    if length != UNDEFINED:
        return tag, start + length
    # Only sequences, items, and encapsulated pixel data may have no length; an unknown sequence (UN) is in
    # implicit encoding inside (PS3.5 section 6.2.2).
    inner = explicit and not (tag != ITEM and data[at + 4 : at + 6] == b"UN")
    closing = ITEM_END if tag == ITEM else SEQUENCE_END
    while start < len(data):
        found, end = _element_end(data, start, inner, depth + 1)
        start = end
        if found == closing:
            return tag, end
    raise RemoteProtocolError(f"element ({tag >> 16:04X},{tag & 0xFFFF:04X}) has no end")
