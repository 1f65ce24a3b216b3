"""Data sets (PS3.5 section 7) as plain dictionaries.

``Elements`` maps a DICOM keyword (or ``GGGGEEEE`` for tags without one) to a value:

- text VRs: ``str``; several values stay joined by a backslash as on the wire, padding is removed
- US UL SS SL UV SV FL FD: a number, or a list of numbers when there are several
- AT: eight hexadecimal digits, or a list of them
- SQ: ``list[Elements]``
- OB OW OF OD OL OV UN: ``bytes``; encapsulated pixel data is ``Encapsulated``
- zero length: ``""``, or ``[]`` for SQ and ``b""`` for the byte VRs

The value representation comes from the dictionary. A key that the dictionary does not know is written as UN when
it holds bytes, LO when text, SL, FD or SQ otherwise.
"""

from __future__ import annotations

import struct
from typing import Any

from stepwedge.errors import LocalProtocolError, RemoteProtocolError
from stepwedge.wire import charset as text_codec
from stepwedge.wire.dictionary import by_sign, by_tag, describe, find, tag_of, vr_of
from stepwedge.wire.matching import match

__all__ = [
    "Elements",
    "Encapsulated",
    "decode",
    "encode",
    "match",
    "misrepresented",
    "recode",
    "tag_of",
    "vr_of",
]

Elements = dict[str, Any]

IMPLICIT_LE = "1.2.840.10008.1.2"
EXPLICIT_LE = "1.2.840.10008.1.2.1"

CHARACTER_SET, PIXEL_REPRESENTATION, PIXEL_DATA = 0x00080005, 0x00280103, 0x7FE00010
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
ITEM_GROUP = 0xFFFE
UNDEFINED = 0xFFFFFFFF
PIXELS = 0x7FE00008
"""First tag of the group's pixel elements: float, double float and integer pixel data."""
MAX_DEPTH = 32
SHORT_LIMIT, SIGNED_LIMIT = 0xFFFE, 0x7FFF

LONG = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
"""Value representations with a 32-bit length in explicit encoding (PS3.5 table 7.1-1)."""
BYTES = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
CHARACTERS = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
"""Value representations that SpecificCharacterSet governs (PS3.5 section 6.1.2.3)."""
PLAIN = frozenset({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR"})
NUMBERS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "UV": "Q", "SV": "q", "FL": "f", "FD": "d"}
KINDS = {
    **dict.fromkeys((*CHARACTERS, *PLAIN), "text"),
    **dict.fromkeys(NUMBERS, "numbers"),
    **dict.fromkeys(BYTES, "bytes"),
    "AT": "tags",
    "SQ": "items",
}
KNOWN = {vr.encode(): vr for vr in (*BYTES, *CHARACTERS, *PLAIN, *NUMBERS, "AT", "SQ")}

_IMPLICIT = struct.Struct("<HHI")
_SHORT = struct.Struct("<HH2sH")
_LONG = struct.Struct("<HH2s2xI")
_LENGTH = struct.Struct("<I")


class Encapsulated(bytes):
    """Pixel data in fragments (PS3.5 section A.4): the items as on the wire, without the closing delimiter."""

    __slots__ = ()


def decode(data: bytes, *, explicit: bool, stop_before_pixels: bool = False) -> Elements:
    """Read a little endian data set; anything malformed raises RemoteProtocolError."""
    reader = _Reader(bytes(data), stop_before_pixels=stop_before_pixels)
    try:
        return reader.data_set(0, len(reader.data), explicit, "", 0)[0]
    except struct.error as error:
        raise RemoteProtocolError("the data set ends inside an element (PS3.5 section 7.1)") from error


def misrepresented(data: bytes) -> list[str]:
    """Return the elements that do not carry the VR of the dictionary, inside sequences too, once each.

    ``data`` is in explicit VR little endian and was decoded before; UN is nobody's mistake (PS3.5 section 6.2.2).
    """
    found: dict[str, None] = {}
    at, end = 0, len(data)
    while at < end:
        tag, vr, length, at = _explicit_header(data, at)
        if tag >> 16 == ITEM_GROUP:  # into the item, or behind its end
            continue
        key, expected = by_tag().get(tag) or describe(tag)
        if (
            vr not in {expected, "UN"}
            and expected != "UN"
            and KINDS[expected] != "bytes"
            and tag not in by_sign()
        ):
            found[key] = None
        if vr == "SQ":
            continue
        if length == UNDEFINED:
            break
        at += length
    return list(found)


class _Reader:
    """Walks one encoded data set by offset."""

    def __init__(self, data: bytes, *, stop_before_pixels: bool) -> None:
        self.data = data
        self.stop = PIXELS if stop_before_pixels else 1 << 32

    def data_set(  # noqa: C901, PLR0912  one element after the other; taken apart it reads worse and runs slower
        self, at: int, end: int, explicit: bool, charset: str, depth: int
    ) -> tuple[Elements, int]:
        """Read elements until ``end`` or an item delimiter; return them and the offset behind."""
        if depth > MAX_DEPTH:
            raise RemoteProtocolError(f"sequences are nested deeper than {MAX_DEPTH}")
        data, known = self.data, by_tag()
        header = _explicit_header if explicit else _implicit_header
        elements: Elements = {}
        signed = False
        while at < end:
            tag, vr, length, at = header(data, at)
            if tag == ITEM_END:
                if length:
                    raise RemoteProtocolError("an item delimiter has a length (PS3.5 table 7.5-3)")
                return elements, at
            if tag >= self.stop and depth == 0:
                break
            key, expected = known.get(tag) or describe(tag)
            inner = explicit
            if vr != expected:
                vr, inner = _agreed(key, vr, expected, explicit)
                if signed and not explicit and tag in by_sign():
                    vr = "SS"
            if key in elements:
                raise RemoteProtocolError(f"{key} stands twice in one data set (PS3.5 section 7.1)")
            if length == UNDEFINED:
                elements[key], at = self._undefined(at, end, tag, vr, inner, charset, depth)
                continue
            behind = at + length
            if behind > end:
                raise RemoteProtocolError(f"{key} announces {length} bytes where {end - at} are left")
            if vr == "SQ":
                elements[key], at = self._items(at, behind, inner, charset, depth)
                continue
            value = elements[key] = _value(data[at:behind], vr, charset)
            at = behind
            if tag == CHARACTER_SET:
                charset = value
            elif tag == PIXEL_REPRESENTATION:
                signed = value == 1
        return elements, at

    def _undefined(
        self, at: int, end: int, tag: int, vr: str, explicit: bool, charset: str, depth: int
    ) -> tuple[Any, int]:
        if vr in {"OB", "OW"} and tag == PIXEL_DATA:
            stop = self._fragments(at, end)
            return Encapsulated(self.data[at:stop]), stop + 8
        if vr == "UN":  # an unknown sequence is in implicit encoding, PS3.5 section 6.2.2
            return self._items(at, end, explicit=False, charset=charset, depth=depth, delimited=True)
        if vr != "SQ":
            raise RemoteProtocolError(f"{describe(tag)[0]} is {vr} and must have a defined length")
        return self._items(at, end, explicit, charset, depth, delimited=True)

    def _fragments(self, at: int, end: int) -> int:
        while at < end:
            group, element, length = _IMPLICIT.unpack_from(self.data, at)
            tag = group << 16 | element
            if tag == SEQUENCE_END:
                return at
            if tag != ITEM or length > end - at - 8:
                raise RemoteProtocolError("the pixel data fragments are broken (PS3.5 section A.4)")
            at += 8 + length
        raise RemoteProtocolError("the pixel data have no closing delimiter (PS3.5 section A.4)")

    def _items(
        self, at: int, end: int, explicit: bool, charset: str, depth: int, *, delimited: bool = False
    ) -> tuple[list[Elements], int]:
        items: list[Elements] = []
        while at < end:
            group, element, length = _IMPLICIT.unpack_from(self.data, at)
            tag, at = group << 16 | element, at + 8
            if tag == SEQUENCE_END and delimited:
                return items, at
            if tag != ITEM:
                raise RemoteProtocolError(
                    f"a sequence holds ({tag:08X}) instead of an item (PS3.5 section 7.5)"
                )
            if length != UNDEFINED and length > end - at:
                raise RemoteProtocolError(f"an item announces {length} bytes where {end - at} are left")
            stop = end if length == UNDEFINED else at + length
            item, behind = self.data_set(at, stop, explicit, charset, depth + 1)
            if length == UNDEFINED and self.data[behind - 8 : behind - 4] != b"\xfe\xff\x0d\xe0":
                raise RemoteProtocolError("an item has no closing delimiter (PS3.5 section 7.5)")
            items.append(item)
            at = behind
        if delimited:
            raise RemoteProtocolError("a sequence has no closing delimiter (PS3.5 section 7.5)")
        return items, at


def _explicit_header(data: bytes, at: int) -> tuple[int, str, int, int]:
    """Return tag, VR, length and the offset of the value (PS3.5 section 7.1.2)."""
    group, element, code, length = _SHORT.unpack_from(data, at)
    tag: int = group << 16 | element
    vr = KNOWN.get(code)
    if vr is None:
        if group == ITEM_GROUP:
            return _implicit_header(data, at)
        raise RemoteProtocolError(f"{describe(tag)[0]} has no such value representation: {code!r}")
    if code in LONG:
        return tag, vr, _LENGTH.unpack_from(data, at + 8)[0], at + 12
    return tag, vr, length, at + 8


def _agreed(key: str, vr: str, expected: str, explicit: bool) -> tuple[str, bool]:
    """Return how to read an element that does not carry the dictionary's VR, and the encoding of its items."""
    if vr == "":
        return expected, explicit
    if vr == "UN":  # its content is in implicit encoding, PS3.5 section 6.2.2
        return expected, False
    if KINDS[vr] == KINDS[expected] or expected == "UN":
        return vr, explicit
    if KINDS[expected] == "bytes":  # "US or OW" and its like, PS3.5 annex A
        return expected, explicit
    raise RemoteProtocolError(f"{key} is sent as {vr} where PS3.6 says {expected}")


def _implicit_header(data: bytes, at: int) -> tuple[int, str, int, int]:
    """Return tag, no VR, length and the offset of the value (PS3.5 section 7.1.3)."""
    group, element, length = _IMPLICIT.unpack_from(data, at)
    return group << 16 | element, "", length, at + 8


def _value(raw: bytes, vr: str, charset: str) -> Any:
    if vr in PLAIN:
        return raw.decode("ascii", "replace").rstrip(" \0")
    if vr in CHARACTERS:
        return text_codec.read(raw, charset, vr).rstrip(" \0")
    if vr in BYTES:
        return raw
    if vr == "AT":
        pairs = struct.unpack(f"<{len(raw) // 4 * 2}H", raw)
        return _one_or_all(
            [f"{group:04X}{element:04X}" for group, element in zip(pairs[::2], pairs[1::2], strict=True)]
        )
    code = NUMBERS[vr]
    return _one_or_all(list(struct.unpack(f"<{len(raw) // struct.calcsize(code)}{code}", raw)))


def _one_or_all(values: list[Any]) -> Any:
    if not values:
        return ""
    return values[0] if len(values) == 1 else values


def encode(elements: Elements, *, explicit: bool) -> bytes:
    """Write a little endian data set: tags in order, even lengths, sequences with defined lengths."""
    return _encode(elements, explicit, "")


def _encode(elements: Elements, explicit: bool, charset: str) -> bytes:
    charset = elements.get("SpecificCharacterSet", charset)
    signed = elements.get("PixelRepresentation") == 1
    parts: list[bytes] = []
    for tag, vr, key, value in _sorted(elements):
        if isinstance(value, Encapsulated):
            parts += (_header(tag, "OB", UNDEFINED, explicit), value, b"\xfe\xff\xdd\xe0\0\0\0\0")
            continue
        if signed and tag in by_sign() and not _is_beyond_signed(value):
            vr = "SS"  # noqa: PLW2901  the dictionary's answer was provisional
        elif vr == "UN" and not isinstance(value, bytes):
            vr = _fitting(value)  # noqa: PLW2901  the same
        raw = _raw(value, vr, key, explicit, charset)
        parts += (_header(tag, vr, len(raw), explicit), raw)
    return b"".join(parts)


def _sorted(elements: Elements) -> list[tuple[int, str, str, Any]]:
    rows = [(*find(key), key, value) for key, value in elements.items()]
    rows.sort(key=lambda row: row[0])
    return rows


def _is_beyond_signed(value: Any) -> bool:
    """Tell whether a peer wrote US although its pixels are signed, with a number that SS cannot hold."""
    numbers = value if isinstance(value, list) else [value]
    return any(isinstance(number, int) and number > SIGNED_LIMIT for number in numbers)


def _fitting(value: Any) -> str:
    first = value[0] if isinstance(value, list) and value else value
    return {dict: "SQ", int: "SL", float: "FD"}.get(type(first), "LO")


def _header(tag: int, vr: str, length: int, explicit: bool) -> bytes:
    if not explicit:
        return _IMPLICIT.pack(tag >> 16, tag & 0xFFFF, length)
    code = vr.encode()
    if code in LONG:
        return _LONG.pack(tag >> 16, tag & 0xFFFF, code, length)
    if length > SHORT_LIMIT:
        raise LocalProtocolError(
            f"{describe(tag)[0]} is {vr} and cannot hold {length} bytes (PS3.5 section 7.1.2)"
        )
    return _SHORT.pack(tag >> 16, tag & 0xFFFF, code, length)


def _raw(value: Any, vr: str, key: str, explicit: bool, charset: str) -> bytes:
    if vr == "SQ":
        items = value or []
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise LocalProtocolError(f"{key} is SQ and must be a list of Elements, not {value!r}")
        return b"".join(
            _IMPLICIT.pack(ITEM_GROUP, 0xE000, len(item)) + item
            for item in (_encode(each, explicit, charset) for each in items)
        )
    if value is None or value in ("", b"", []):
        return b""
    if vr in BYTES:
        if not isinstance(value, bytes):
            raise LocalProtocolError(f"{key} is {vr} and must be bytes, not {type(value).__name__}")
        return value if len(value) % 2 == 0 else value + b"\0"
    if vr in PLAIN or vr in CHARACTERS:
        text = "\\".join(map(str, value)) if isinstance(value, list) else str(value)
        if (
            vr in PLAIN
        ):  # a peer's byte that was no character is none in the answers either, and stops none of them
            text = text.replace("\N{REPLACEMENT CHARACTER}", "?")
        raw = text_codec.write(text, charset if vr in CHARACTERS else "", key)
        return raw if len(raw) % 2 == 0 else raw + (b"\0" if vr == "UI" else b" ")
    values = value if isinstance(value, list) else [value]
    try:
        if vr == "AT":
            return b"".join(struct.pack("<HH", int(each[:4], 16), int(each[4:], 16)) for each in values)
        number = float if vr in {"FL", "FD"} else int
        return struct.pack(f"<{len(values)}{NUMBERS[vr]}", *map(number, values))
    except (struct.error, ValueError, TypeError) as error:
        raise LocalProtocolError(f"{key} is {vr} and cannot hold {value!r}") from error


def recode(data: bytes, *, explicit: bool, to_explicit: bool) -> bytes:
    """Write a data set again in the other little endian encoding; equal encodings return it untouched."""
    if explicit == to_explicit:
        return data
    return encode(decode(data, explicit=explicit), explicit=to_explicit)
