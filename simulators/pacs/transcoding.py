"""Which encodings the archive takes, keeps and delivers, and how one becomes another (PS3.5 annex A)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepwedge.errors import RemoteProtocolError
from stepwedge.wire import pixels
from stepwedge.wire.codec_process import CannotConvert
from stepwedge.wire.elements import EXPLICIT_LE
from stepwedge.wire.encodings import PLAIN, plain

from . import objects

if TYPE_CHECKING:
    from collections.abc import Callable


def kept(data: bytes, transfer_syntax: str) -> tuple[bytes, str]:
    """Return a received data set as it is kept: not deflated and not big endian, otherwise as it came."""
    return plain(data, transfer_syntax)


def delivered(
    data: bytes, source: str, target: str, seen: Callable[[bytes], bytes] = lambda value: value
) -> bytes:
    """Return a data set in another transfer syntax without loss; ``seen`` gets the decoded pixels on their way.

    Raises:
        CannotConvert: that cannot be done, or not without loss.
    """
    if source == target:
        return data
    try:
        if source not in PLAIN or target in pixels.LOSSLESS:
            data, source = pixels.convert(data, source, EXPLICIT_LE), EXPLICIT_LE
            data = objects.rewritten(data, source, {}, seen)
        return pixels.convert(data, source, target)
    except RemoteProtocolError as error:
        raise CannotConvert(str(error)) from error
