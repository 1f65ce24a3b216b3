"""A data set that passes, read and hashed once for all who look at it: the index, the journal, the name of its file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from stepwedge.sim.files import name_of
from stepwedge.wire.elements import IMPLICIT_LE, decode
from stepwedge.wire.encodings import plain

if TYPE_CHECKING:
    from stepwedge.wire.elements import Elements

PIXELS: Final = "PixelData"


@dataclass(frozen=True, slots=True)
class Reading:
    """What a data set says.

    Attributes:
        header: its elements without pixel data; shared by all who look, not to be changed.
        sha256: of the data set as it passed.
        pixels: SHA-256 of the pixel data (the fragments when encapsulated); empty when they are, None when there are none.
        size: bytes of the pixel data; of fragments it says nothing about the image.
    """

    header: Elements
    sha256: str
    pixels: str | None
    size: int = 0


class _Newest:
    """The data set read last, by identity: it is looked at again while the same request is served."""

    def __init__(self) -> None:
        self.kept: tuple[bytes, str, Reading] | None = None

    def __call__(self, data: bytes, transfer_syntax: str) -> Reading:
        kept = self.kept
        if kept is not None and kept[0] is data and kept[1] == transfer_syntax:
            return kept[2]
        opened, syntax = plain(data, transfer_syntax)
        header = decode(opened, explicit=syntax != IMPLICIT_LE)
        pixels = header.pop(PIXELS, None)
        found = hashlib.sha256(pixels).hexdigest() if pixels else None if pixels is None else ""
        reading = Reading(header, name_of(data), found, len(pixels or b""))
        self.kept = (data, transfer_syntax, reading)
        return reading


_newest = _Newest()


def read(data: bytes, transfer_syntax: str) -> Reading:
    """Read a data set; what is malformed raises RemoteProtocolError."""
    return _newest(data, transfer_syntax)


def forget() -> None:
    """Let go of the data set that was read last."""
    _newest.kept = None
