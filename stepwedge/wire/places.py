"""Where the values of an encoded data set stand (PS3.5 section 7.1), so that they can be read or replaced without decoding it.

A place is named by its keywords, those of the sequences first: ``PatientID``, ``RequestAttributesSequence.AccessionNumber``;
each item of a sequence has places of its own under the same name.
"""

from __future__ import annotations

import re
import struct
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from stepwedge.errors import LocalProtocolError, RemoteProtocolError
from stepwedge.wire import charset as text_codec
from stepwedge.wire.dictionary import describe
from stepwedge.wire.elements import (
    CHARACTERS,
    IMPLICIT_LE,
    ITEM_END,
    ITEM_GROUP,
    LONG,
    MAX_DEPTH,
    PIXELS,
    PLAIN,
    SEQUENCE_END,
    SHORT_LIMIT,
    UNDEFINED,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

_TAG: Final = struct.Struct("<HHI")
_SHORT: Final = struct.Struct("<H")
_LENGTH: Final = struct.Struct("<I")
_UID: Final = re.compile(r"(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))+")
_UID_LIMIT: Final = 64


class Place(NamedTuple):
    """One element of an encoded data set.

    Attributes:
        name: keywords joined by dots, without the numbers of items.
        vr: its value representation, the dictionary's in implicit encoding.
        at: offset of the value.
        length: bytes of the value.
        length_at: offset of the length field, of ``length_size`` bytes.
        around: offsets of the defined lengths (4 bytes each) of the items and sequences that hold it.
    """

    name: str
    vr: str
    at: int
    length: int
    length_at: int
    length_size: int
    around: tuple[int, ...]


def places(data: bytes, *, explicit: bool) -> Iterator[Place]:
    """Walk a little endian data set up to its pixel data, sequences included; malformed data raise RemoteProtocolError."""
    try:
        yield from _walk(data, 0, len(data), explicit, "", (), 0)
    except (struct.error, IndexError) as error:
        raise RemoteProtocolError("the data set ends inside an element (PS3.5 section 7.1)") from error


def _walk(
    data: bytes, at: int, end: int, explicit: bool, within: str, around: tuple[int, ...], depth: int
) -> Generator[Place, None, int]:
    """Yield the elements of one data set or item; return the offset behind it."""
    if depth > MAX_DEPTH:
        raise RemoteProtocolError(f"sequences are nested deeper than {MAX_DEPTH}")
    while at < end:
        group, element, length = _TAG.unpack_from(data, at)
        tag = group << 16 | element
        if tag == ITEM_END:
            return at + 8
        if tag >= PIXELS and not depth:
            return end
        keyword, vr = describe(tag)
        length_at, size = at + 4, 4
        if explicit and group != ITEM_GROUP:
            code = data[at + 4 : at + 6]
            vr = code.decode("ascii", "replace")
            if code in LONG:
                length_at = at + 8
                length = _LENGTH.unpack_from(data, length_at)[0]
            else:
                length_at, size = at + 6, 2
                length = _SHORT.unpack_from(data, length_at)[0]
        at = length_at + size
        name = f"{within}.{keyword}" if within else keyword
        if vr == "SQ" or length == UNDEFINED:
            inner = (
                explicit and vr != "UN"
            )  # an unknown sequence is in implicit encoding, PS3.5 section 6.2.2
            further = around if length == UNDEFINED else (*around, length_at)
            at = yield from _items(data, at, end, length, inner, name, further, depth)
            continue
        if length > end - at:
            raise RemoteProtocolError(f"{keyword} announces {length} bytes where {end - at} are left")
        yield Place(name, vr, at, length, length_at, size, around)
        at += length
    return at


def _items(
    data: bytes,
    at: int,
    end: int,
    length: int,
    explicit: bool,
    name: str,
    around: tuple[int, ...],
    depth: int,
) -> Generator[Place, None, int]:
    stop = end if length == UNDEFINED else at + length
    while at < stop:
        group, element, size = _TAG.unpack_from(data, at)
        tag, length_at, at = group << 16 | element, at + 4, at + 8
        if tag == SEQUENCE_END:
            return at
        if group != ITEM_GROUP:
            raise RemoteProtocolError(f"a sequence holds ({tag:08X}) instead of an item (PS3.5 section 7.5)")
        if size == UNDEFINED:
            at = yield from _walk(data, at, stop, explicit, name, around, depth + 1)
        else:
            yield from _walk(data, at, at + size, explicit, name, (*around, length_at), depth + 1)
            at += size
    return at


def moved(some: Sequence[Place], changes: Sequence[tuple[Place, bytes]]) -> list[Place]:
    """Return where other places of a data set are after these changes to it (:func:`replaced`)."""
    grown = [(place.at, len(value) - place.length) for place, value in changes]

    def shifted(offset: int) -> int:
        return offset + sum(count for at, count in grown if at < offset)

    return [
        place._replace(
            at=shifted(place.at),
            length_at=shifted(place.length_at),
            around=tuple(map(shifted, place.around)),
        )
        for place in some
    ]


def text_of(data: bytes, name: str, transfer_syntax: str) -> str | None:
    """Return the first value of a name as text, as it is written but for its padding; None when there is none.

    For identifiers, codes and times, which are ASCII: other characters are read as Latin-1.
    """
    for place in places(data, explicit=transfer_syntax != IMPLICIT_LE):
        if place.name == name:
            return data[place.at : place.at + place.length].decode("latin-1").rstrip(" \0")
    return None


def replaced(data: bytes, changes: Sequence[tuple[Place, bytes]]) -> tuple[bytes, list[int]]:
    """Write other values into a data set, whatever their lengths; all lengths around them are corrected.

    Args:
        data: the data set that the places are of.
        changes: places in the order in which they stand, and their new values of even length.

    Returns:
        the data set, and the offsets of the new values in it.
    """
    changed, copied, moved = bytearray(data), 0, 0
    parts: list[bytes | bytearray] = []
    offsets: list[int] = []
    for place, value in changes:
        grown = len(value) - place.length
        if place.length_size == _SHORT.size:
            if len(value) > SHORT_LIMIT:
                raise LocalProtocolError(f"{place.name} is {place.vr} and cannot hold {len(value)} bytes")
            _SHORT.pack_into(changed, place.length_at, len(value))
        else:
            _LENGTH.pack_into(changed, place.length_at, len(value))
        for around in place.around:
            _LENGTH.pack_into(changed, around, _LENGTH.unpack_from(changed, around)[0] + grown)
    for place, value in changes:
        offsets.append(place.at + moved)
        moved += len(value) - place.length
        parts += (changed[copied : place.at], value)
        copied = place.at + place.length
    return b"".join((*parts, changed[copied:])), offsets


def uid_of(value: str) -> bytes:
    """Encode a UID, padded to even length; LocalProtocolError when it is none."""
    if not _UID.fullmatch(value) or len(value) > _UID_LIMIT:
        raise LocalProtocolError(f"{value!r} is no UID (PS3.5 section 9.1)")
    raw = value.encode("ascii")
    return raw + b"\0" if len(raw) % 2 else raw


@lru_cache(maxsize=4096)
def text_raw(name: str, vr: str, value: str, charset: str) -> bytes:
    """Encode a text value, padded to even length; what is used again and again is remembered."""
    if vr not in PLAIN and vr not in CHARACTERS:
        raise LocalProtocolError(f"{name} is {vr}, which holds no text")
    raw = text_codec.write(value, charset if vr in CHARACTERS else "", name)
    return raw + b" " if len(raw) % 2 else raw


def value_of(name: str, vr: str, value: str, charset: str) -> bytes:
    """Encode a UID or a text value, padded to even length."""
    return uid_of(value) if vr == "UI" else text_raw(name, vr, value, charset)


def slots(data: bytes, names: Sequence[str], *, explicit: bool) -> dict[str, list[Place]]:
    """Find the places that change together: of a plain keyword also those in sequences that repeat its value.

    Raises:
        LocalProtocolError: a name has no place in this data set.
    """
    walked = [(place, data[place.at : place.at + place.length]) for place in places(data, explicit=explicit)]
    found: dict[str, list[Place]] = {name: [] for name in names}
    values: dict[str, bytes] = {}
    for place, raw in walked:
        if place.name in found:
            values.setdefault(place.name, raw)
    for place, raw in walked:
        keyword = place.name.rpartition(".")[2]
        if place.name in found:
            found[place.name].append(place)
        elif raw and values.get(keyword) == raw:
            found[keyword].append(place)
    if missing := [name for name, where in found.items() if not where]:
        raise LocalProtocolError(f"the data set has no {missing[0]} that could be replaced")
    return found
