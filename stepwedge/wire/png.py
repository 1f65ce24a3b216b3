"""Portable Network Graphics (RFC 2083), as much of it as rendered images need: eight bits, grey or RGB, not interlaced."""

from __future__ import annotations

import struct
import zlib
from typing import Final, NamedTuple

from stepwedge.errors import RemoteProtocolError

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
GREY, RGB = 0, 2
_SAMPLES: Final = {GREY: 1, RGB: 3}
LARGEST: Final = 1 << 28
"""Bytes of pixels that are read from one file."""


class Picture(NamedTuple):
    """Pixels by row, each of one sample (grey) or three."""

    width: int
    height: int
    samples: int
    pixels: bytes


def write(picture: Picture) -> bytes:
    """Return a PNG file."""
    stride = picture.width * picture.samples
    rows = b"".join(
        b"\0" + picture.pixels[row * stride : (row + 1) * stride] for row in range(picture.height)
    )
    kind = RGB if picture.samples == _SAMPLES[RGB] else GREY
    header = struct.pack(">IIBBBBB", picture.width, picture.height, 8, kind, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 6)), (b"IEND", b""))
    return SIGNATURE + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def read(raw: bytes) -> Picture:
    """Read a PNG file; what is broken, or of another kind than this module writes, raises RemoteProtocolError."""
    if not raw.startswith(SIGNATURE):
        raise RemoteProtocolError("this is no PNG file (RFC 2083 section 3.1)")
    header, compressed = _chunks(raw)
    if len(header) != 13:  # noqa: PLR2004  RFC 2083 section 4.1.1
        raise RemoteProtocolError("the PNG file has no header")
    width, height, depth, kind, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    samples = _SAMPLES.get(kind, 0)
    if depth != 8 or not samples or interlaced:  # noqa: PLR2004
        raise RemoteProtocolError(f"a PNG file of {depth} bits and colour type {kind} is not read here")
    if not 0 < width * height * samples <= LARGEST:
        raise RemoteProtocolError(f"the PNG file says that it has {width} x {height} pixels")
    size = (width * samples + 1) * height
    try:
        rows = zlib.decompressobj().decompress(compressed, size)
    except zlib.error as error:
        raise RemoteProtocolError(f"the PNG file cannot be inflated: {error}") from error
    if len(rows) != size:
        raise RemoteProtocolError("the PNG file ends before its last row")
    return Picture(width, height, samples, _unfiltered(rows, width * samples, samples))


def _chunks(raw: bytes) -> tuple[bytes, bytes]:
    """Return header and compressed pixels; every chunk must have its checksum (RFC 2083 section 3.2)."""
    header, compressed, at = b"", [], len(SIGNATURE)
    while at + 12 <= len(raw):
        (length,) = struct.unpack_from(">I", raw, at)
        name, data = raw[at + 4 : at + 8], raw[at + 8 : at + 8 + length]
        if raw[at + 8 + length : at + 12 + length] != struct.pack(">I", zlib.crc32(name + data)):
            raise RemoteProtocolError(f"the PNG file is cut or changed in its chunk {name!r}")
        if name == b"IHDR":
            header = data
        elif name == b"IDAT":
            compressed.append(data)
        at += 12 + length
    return header, b"".join(compressed)


def _unfiltered(rows: bytes, stride: int, samples: int) -> bytes:
    """Take the filters off (RFC 2083 section 6)."""
    done = bytearray()
    above = bytes(stride)
    for start in range(0, len(rows), stride + 1):
        kind, row = rows[start], bytearray(rows[start + 1 : start + 1 + stride])
        if kind > 4:  # noqa: PLR2004  section 6.1 has five
            raise RemoteProtocolError(f"a row of the PNG file has filter {kind}")
        if kind:
            for at in range(stride):
                left = row[at - samples] if at >= samples else 0
                corner = above[at - samples] if at >= samples else 0
                row[at] = row[at] + _predicted(kind, left, above[at], corner) & 0xFF
        done += row
        above = bytes(row)
    return bytes(done)


def _predicted(kind: int, left: int, above: int, corner: int) -> int:
    if kind == 1:
        return left
    if kind == 2:  # noqa: PLR2004
        return above
    if kind == 3:  # noqa: PLR2004
        return (left + above) // 2
    guess = left + above - corner
    nearest = min(
        (abs(guess - left), 0, left), (abs(guess - above), 1, above), (abs(guess - corner), 2, corner)
    )
    return nearest[2]
