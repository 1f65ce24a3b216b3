"""Pixel Data from one transfer syntax into another without changing a value (PS3.5 section 8 and annex A).

Only lossless conversions exist here. What was compressed with loss stays as it came, and pixels that a codec would
not bring back as they were are not converted (:class:`CannotConvert`).
"""

from __future__ import annotations

import contextlib
import hashlib
import struct
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Final

from stepwedge.errors import RemoteProtocolError
from stepwedge.wire.codec_process import CODECS, CannotConvert
from stepwedge.wire.elements import (
    EXPLICIT_LE,
    IMPLICIT_LE,
    ITEM,
    PIXEL_DATA,
    Encapsulated,
    decode,
    encode,
    recode,
)
from stepwedge.wire.encodings import BIG_ENDIAN, DEFLATED, wrapped
from stepwedge.wire.spans import spans

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stepwedge.wire.elements import Elements

__all__ = [
    "BIG_ENDIAN",
    "DEFLATED",
    "LOSSLESS",
    "CannotConvert",
    "Shape",
    "convert",
    "digest",
    "frames",
    "native",
]

RLE: Final = "1.2.840.10008.1.2.5"
JPEG_LOSSLESS: Final = "1.2.840.10008.1.2.4.57"
JPEG_LOSSLESS_SV1: Final = "1.2.840.10008.1.2.4.70"
JPEG_LS: Final = "1.2.840.10008.1.2.4.80"
JPEG_2000_LOSSLESS: Final = "1.2.840.10008.1.2.4.90"
LOSSLESS: Final = (JPEG_2000_LOSSLESS, JPEG_LOSSLESS_SV1, JPEG_LOSSLESS, JPEG_LS, RLE)
"""The compressed transfer syntaxes that are written and read here without loss."""
NAMES: Final = {
    "explicit": EXPLICIT_LE,
    "implicit": IMPLICIT_LE,
    "big-endian": BIG_ENDIAN,
    "deflated": DEFLATED,
    "rle": RLE,
    "jpeg-lossless": JPEG_LOSSLESS,
    "jpeg-lossless-sv1": JPEG_LOSSLESS_SV1,
    "jpeg-ls": JPEG_LS,
    "jpeg-2000": JPEG_2000_LOSSLESS,
}
"""What scenarios call the lossless transfer syntaxes (PS3.6 table A-1)."""
NATIVE: Final = (EXPLICIT_LE, IMPLICIT_LE, DEFLATED, BIG_ENDIAN)
LARGEST: Final = 1 << 30
"""Bytes that the decoded pixels of one object may have."""
_DEPTHS: Final = frozenset({8, 16})
"""Bits Allocated that are compressed."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The Image Pixel Module (PS3.3 C.7.6.3) as far as a codec needs it."""

    rows: int
    columns: int
    samples: int
    allocated: int
    stored: int
    signed: bool
    photometric: str
    planar: int
    frames: int

    @classmethod
    def of(cls, elements: Elements) -> Shape:
        """Read it; raises RemoteProtocolError when the attributes are not there or make more than ``LARGEST`` bytes."""
        try:
            allocated = int(elements["BitsAllocated"])
            shape = cls(
                rows=int(elements["Rows"]),
                columns=int(elements["Columns"]),
                samples=int(elements.get("SamplesPerPixel") or 1),
                allocated=allocated,
                stored=int(elements.get("BitsStored") or allocated),
                signed=bool(int(elements.get("PixelRepresentation") or 0)),
                photometric=str(elements.get("PhotometricInterpretation") or "MONOCHROME2"),
                planar=int(elements.get("PlanarConfiguration") or 0),
                frames=int(elements.get("NumberOfFrames") or 1),
            )
        except (KeyError, ValueError, TypeError) as error:
            raise RemoteProtocolError(
                f"the Image Pixel Module is not whole: {error} (PS3.3 C.7.6.3)"
            ) from error
        if min(shape.rows, shape.columns, shape.samples, shape.allocated, shape.frames) < 1:
            raise RemoteProtocolError("the Image Pixel Module says that there are no pixels (PS3.3 C.7.6.3)")
        if shape.frame_size * shape.frames > LARGEST:
            raise RemoteProtocolError(f"the pixels would have more than {LARGEST} bytes")
        return shape

    @property
    def frame_size(self) -> int:
        """Bytes of one native frame."""
        return (self.rows * self.columns * self.samples * self.allocated + 7) // 8

    def by_pixel(self, frame: bytes) -> bytes:
        """Return a native frame with its colours by pixel (Planar Configuration 0)."""
        if self.samples == 1 or not self.planar:
            return frame
        width, plane = self.allocated // 8, len(frame) // self.samples
        turned = bytearray(len(frame))
        for sample in range(self.samples):
            for byte in range(width):
                start = sample * plane + byte
                turned[sample * width + byte :: self.samples * width] = frame[
                    start : (sample + 1) * plane : width
                ]
        return bytes(turned)


def frames(elements: Elements) -> list[bytes]:
    """Return the frames of Pixel Data as they stand there: native, or one compressed stream each (PS3.5 A.4)."""
    pixels = elements.get("PixelData") or b""
    shape = Shape.of(elements)
    if isinstance(pixels, Encapsulated):
        return _streams(pixels, shape.frames)
    if len(pixels) < shape.frame_size * shape.frames:
        raise RemoteProtocolError(
            f"Pixel Data has {len(pixels)} bytes for {shape.frames} frames of {shape.frame_size} (PS3.5 section 8)"
        )
    size = shape.frame_size
    return [pixels[number * size : (number + 1) * size] for number in range(shape.frames)]


def native(
    elements: Elements, transfer_syntax: str, wanted: Iterable[int] | None = None
) -> tuple[list[bytes], Shape]:
    """Return decoded frames, colours by pixel, all or those ``wanted`` (from 0), and the shape they have now."""
    shape = Shape.of(elements)
    streams = frames(elements)
    numbers = range(len(streams)) if wanted is None else list(wanted)
    if not isinstance(elements["PixelData"], Encapsulated):
        return [shape.by_pixel(streams[number]) for number in numbers], replace(shape, planar=0)
    found: list[bytes] = []
    photometric = shape.photometric
    for number in numbers:
        frame, told = CODECS.ask("decode", transfer_syntax, asdict(shape), streams[number])
        if len(frame) != shape.frame_size:
            raise CannotConvert(f"frame {number + 1} decodes to {len(frame)} bytes, not {shape.frame_size}")
        photometric = told["photometric"]
        found.append(frame)
    return found, replace(shape, planar=0, photometric=photometric)


def digest(elements: Elements, transfer_syntax: str) -> str:
    """Return a SHA-256 over Pixel Data that is the same in every lossless transfer syntax; "" without pixels.

    Pixels that came with loss, or cannot be decoded, are hashed as they stand: they compare with themselves alone.
    """
    pixels = elements.get("PixelData") or b""
    if isinstance(pixels, Encapsulated) and transfer_syntax in LOSSLESS:
        with contextlib.suppress(CannotConvert, RemoteProtocolError):
            pixels = _padded(b"".join(native(elements, transfer_syntax)[0]))
    return hashlib.sha256(pixels).hexdigest() if pixels else ""


def convertible(transfer_syntax: str) -> tuple[str, ...]:
    """Return the transfer syntaxes that an object in this one may be delivered in, without loss, the usual first."""
    if transfer_syntax in NATIVE or transfer_syntax in LOSSLESS:
        return tuple(
            one
            for one in (EXPLICIT_LE, IMPLICIT_LE, *LOSSLESS, DEFLATED, BIG_ENDIAN)
            if one != transfer_syntax
        )
    return ()


def convert(data: bytes, source: str, target: str) -> bytes:
    """Return a data set in another transfer syntax; the header stays as it is but for what the encoding changes.

    ``source`` is neither deflated nor big endian (:func:`stepwedge.wire.encodings.plain` makes it so).

    Raises:
        CannotConvert: not without loss, or not with these pixels.
        RemoteProtocolError: the data set is broken.
    """
    if source == target:
        return data
    if target not in convertible(source):
        raise CannotConvert(f"{source} is not converted to {target}: only lossless to lossless")
    if source in LOSSLESS:
        data, source = _decompressed(data, source), EXPLICIT_LE
    if target in LOSSLESS:
        return _compressed(recode(data, explicit=source == EXPLICIT_LE, to_explicit=True), target)
    data = recode(data, explicit=source == EXPLICIT_LE, to_explicit=target != IMPLICIT_LE)
    return wrapped(data, target)


def _decompressed(data: bytes, source: str) -> bytes:
    elements = decode(data, explicit=True)
    if "PixelData" not in elements:
        return data
    found, shape = native(elements, source)
    pixels = _padded(b"".join(found))
    element = (
        struct.pack("<HH2s2xI", 0x7FE0, 0x0010, b"OW", len(pixels)) + pixels
    )  # OW fits any depth (PS3.5 A.2)
    return _exchanged(data, elements, shape, element)


def _compressed(data: bytes, target: str) -> bytes:
    elements = decode(data, explicit=True)
    if "PixelData" not in elements:
        raise CannotConvert("an object without Pixel Data cannot be compressed (PS3.5 A.4)")
    found, shape = native(elements, EXPLICIT_LE)
    streams = [compressed(frame, shape, target) for frame in found]
    element = struct.pack("<HH2s2xI", 0x7FE0, 0x0010, b"OB", 0xFFFFFFFF) + encapsulated(streams)
    return _exchanged(data, elements, shape, element + b"\xfe\xff\xdd\xe0\0\0\0\0")


def compressed(frame: bytes, shape: Shape, target: str) -> bytes:
    """Return one native frame (colours by pixel) as a lossless stream; raises CannotConvert when that would change it."""
    if shape.allocated not in _DEPTHS:
        raise CannotConvert(f"pixels of {shape.allocated} bits are not compressed here")
    return CODECS.ask("encode", target, asdict(shape), frame)[0]


def _exchanged(data: bytes, elements: Elements, shape: Shape, pixels: bytes) -> bytes:
    """Put a Pixel Data element in the place of the other, and say what the new encoding means for the colours."""
    at, end = spans(data, explicit=True)[PIXEL_DATA]
    header, behind = data[:at], data[end:]
    told = {"PhotometricInterpretation": shape.photometric}
    if shape.samples > 1:
        told["PlanarConfiguration"] = shape.planar  # type: ignore[assignment]
    changed = {key: value for key, value in told.items() if elements.get(key) != value}
    if changed:
        header = encode(decode(header, explicit=True) | changed, explicit=True)
    return header + pixels + behind


def encapsulated(streams: list[bytes]) -> bytes:
    """Return items for Pixel Data: a Basic Offset Table, then one fragment for each frame (PS3.5 A.4)."""
    parts, offsets, at = [], [], 0
    for stream in streams:
        whole = _padded(stream)
        offsets.append(at)
        parts.append(struct.pack("<HHI", 0xFFFE, 0xE000, len(whole)) + whole)
        at += len(parts[-1])
    fits = len(streams) > 1 and at < 1 << 32
    table = struct.pack(f"<{len(offsets)}I", *offsets) if fits else b""
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(table)) + table + b"".join(parts)


def _streams(pixels: Encapsulated, count: int) -> list[bytes]:
    """Put the fragments of each frame together, by the offset table where there are more fragments than frames."""
    items: list[tuple[int, bytes]] = []
    at = 0
    while at + 8 <= len(pixels):
        group, element, length = struct.unpack_from("<HHI", pixels, at)
        if group << 16 | element != ITEM or length > len(pixels) - at - 8:
            raise RemoteProtocolError("the pixel data fragments are broken (PS3.5 section A.4)")
        items.append((at, pixels[at + 8 : at + 8 + length]))
        at += 8 + length
    if len(items) < 2:  # noqa: PLR2004  the offset table and one fragment
        raise RemoteProtocolError("the encapsulated pixel data hold no fragment (PS3.5 section A.4)")
    (_, table), *fragments = items
    if count == 1:
        return [b"".join(fragment for _, fragment in fragments)]
    if len(fragments) == count:
        return [fragment for _, fragment in fragments]
    offsets = struct.unpack(f"<{len(table) // 4}I", table[: len(table) // 4 * 4])
    if len(offsets) != count:
        raise RemoteProtocolError(
            f"{len(fragments)} fragments for {count} frames, and no offset table (PS3.5 A.4)"
        )
    first = fragments[0][0]
    bounds = [*offsets[1:], len(pixels)]
    return [
        b"".join(fragment for place, fragment in fragments if start <= place - first < stop)
        for start, stop in zip(offsets, bounds, strict=True)
    ]


def _padded(value: bytes) -> bytes:
    return value if len(value) % 2 == 0 else value + b"\0"
