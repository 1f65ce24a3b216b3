"""A data set that passes, read and hashed once for all who look at it: the index, the journal, the name of its file."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from stepwedge.errors import RemoteProtocolError
from stepwedge.sim.files import name_of
from stepwedge.wire.elements import IMPLICIT_LE, decode
from stepwedge.wire.encodings import WRAPPED, plain

if TYPE_CHECKING:
    from stepwedge.wire.elements import Elements

PIXELS: Final = "PixelData"
LARGE: Final = 64 << 10
"""Bytes from which on hashing costs more than the way to a thread and back."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a data set says.

    Attributes:
        header: its elements without pixel data; shared by all who look, not to be changed.
        pixels: SHA-256 of the pixel data (the fragments when encapsulated); empty when they are, None when there are none.
        sha256: of the data set as it passed.
    """

    header: Elements
    pixels: str | None
    sha256: str


class _Newest:
    """The data set read last, by identity: it is looked at again while the same request is served."""

    def __init__(self) -> None:
        self.kept: tuple[bytes, str, Reading] | None = None

    def __call__(self, data: bytes, transfer_syntax: str) -> Reading:
        kept = self.kept
        if kept is not None and kept[0] is data and kept[1] == transfer_syntax:
            return kept[2]
        reading = Reading(*_opened(data, transfer_syntax), name_of(data))
        self.kept = (data, transfer_syntax, reading)
        return reading


def _opened(data: bytes, transfer_syntax: str) -> tuple[Elements, str | None]:
    """Return the header of a data set and the hash of its pixels."""
    opened, syntax = plain(data, transfer_syntax)
    header = decode(opened, explicit=syntax != IMPLICIT_LE)
    pixels = header.pop(PIXELS, None)
    return header, hashlib.sha256(pixels).hexdigest() if pixels else None if pixels is None else ""


_newest = _Newest()


def read(data: bytes, transfer_syntax: str) -> Reading:
    """Read a data set; what is malformed raises RemoteProtocolError."""
    return _newest(data, transfer_syntax)


async def ahead(data: bytes, transfer_syntax: str) -> None:
    """Read a large data set in threads, for :func:`read` to find as long as nothing else is awaited.

    Hashing needs no interpreter lock, so the two hashes of one object, and objects of several associations, are made side by
    side, while the loop serves others. What is malformed is left to :func:`read`, which says so.
    """
    if (
        len(data) < LARGE or transfer_syntax in WRAPPED
    ):  # that is turned over first, and read as something else
        return
    with contextlib.suppress(RemoteProtocolError):
        opened, sha256 = await asyncio.gather(
            asyncio.to_thread(_opened, data, transfer_syntax), asyncio.to_thread(name_of, data)
        )
        _newest.kept = (data, transfer_syntax, Reading(*opened, sha256))


def forget() -> None:
    """Let go of the data set that was read last."""
    _newest.kept = None
