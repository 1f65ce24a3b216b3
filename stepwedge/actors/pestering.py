"""Nonsense at a door: what is no message of its protocol, goes on for ever, or never goes on (PS3.8 section 9.1.5, MLLP, RFC 9112)."""

from __future__ import annotations

import random
import socket
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from stepwedge.actors import intruding
from stepwedge.errors import LinkLost

if TYPE_CHECKING:
    from stepwedge.actors.cast import Cast

_VT, _END = b"\x0b", b"\x1c\r"
_HUGE: Final = 0xFFFFFFFF
NONSENSE: Final[dict[str, bytes]] = {
    "web-request": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "random-bytes": random.Random(20261124).randbytes(4096),  # noqa: S311 - noise, the same every time
    "endless-length": b"\x01\x00" + _HUGE.to_bytes(4, "big") + b"\x00" * 64,
    "no-start": b"MSH|^~\\&|NOBODY|||||" + _END,
    "cut-off": _VT + b"MSH|^~\\&|NOBODY|STEPWEDGE|",
    "wrong-end": _VT + b"MSH|^~\\&|NOBODY\r\x1c\x1c\x1c\x1c",
    "long-header": b"GET /" + b"a" * 200_000,
}
"""What is sent at once, by name; ``cut-off`` is followed by the end of the connection."""
_WAITED_FOR: Final = frozenset({"no-start", "wrong-end"})
"""What a receiver may go on reading behind, for a start block that may still come (MLLP release 1)."""
_NO: Final = (b"\x03", b"\x07")
"""A-ASSOCIATE-RJ and A-ABORT: the peer has said no, and waits for us to hang up (PS3.8 table 9-10, Sta13)."""
PATIENT: Final = ("silent", "trickle")
"""Connections that stay open: nothing is sent, or a byte now and then."""
OVERSIZE: Final = "oversize"
KINDS: Final = (*NONSENSE, OVERSIZE, *PATIENT)
_PIECE: Final = 1 << 16
_MOST: Final = 64 << 20
"""Bytes of one message after which there is no limit: no report with its pages is as long."""


def pester(cast: Cast, actor: str, door: str, kind: str, times: int, seconds: float) -> str:
    """Bring nonsense to a door so many times, and ask as a known node beside it; return what is wrong, nothing when all is well.

    Raises:
        Inconclusive: the known node is not served before.
    """
    intruding.served(cast, actor, door, "before the nonsense")
    where = intruding.place(cast, actor, door)
    with ExitStack() as held:
        links = [held.enter_context(_opened(where, seconds)) for _ in range(times)]
        wrong = _beside(cast, actor, door, links) if kind in PATIENT else ""
        if kind not in PATIENT:
            for link in links:
                if wrong := _sent(link, kind, seconds):
                    break
    began = time.monotonic()
    intruding.served(cast, actor, door, "after the nonsense")
    took = time.monotonic() - began
    return wrong or (f"the next one waits {took:.1f} s" if took > seconds else "")


def _opened(where: tuple[str, int], seconds: float) -> socket.socket:
    try:
        return socket.create_connection(where, seconds)
    except OSError as error:
        raise LinkLost(f"no connection: {error}") from error


def _beside(cast: Cast, actor: str, door: str, links: list[socket.socket]) -> str:
    """Ask while others hold their connections open and send next to nothing."""
    for link in links[::2]:
        link.sendall(b"\x0b" if door == "hl7" else b"\x01")
    intruding.served(cast, actor, door, "beside those who say nothing")
    return ""


def _sent(link: socket.socket, kind: str, seconds: float) -> str:
    """Send one piece of nonsense; whoever keeps the connection open, or takes more than any limit, is at fault."""
    link.settimeout(seconds)
    try:
        if kind == OVERSIZE:
            return _flooded(link)
        link.sendall(NONSENSE[kind])
        if kind in _WAITED_FOR:
            return ""
        if kind == "cut-off":
            link.shutdown(socket.SHUT_WR)
        while (said := link.recv(_PIECE)) and said[:1] not in _NO:
            pass
    except TimeoutError:
        return f"the connection is still open after {seconds:g} s"
    except OSError:
        pass
    return ""


def _flooded(link: socket.socket) -> str:
    """Send a message that does not end, until the peer ends the connection."""
    link.sendall(_VT + b"MSH|^~\\&|NOBODY")
    sent, piece = 0, b"x" * _PIECE
    while sent < _MOST:
        link.sendall(piece)
        sent += len(piece)
    return f"took {sent >> 20} MB of one message and wants more"
