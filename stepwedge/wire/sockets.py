"""Options of blocking sockets that cost a sender of many small messages nothing and save it much."""

from __future__ import annotations

import _socket
import contextlib
import socket
import ssl
import struct
import sys
from typing import Final

_QUICKACK: Final = getattr(socket, "TCP_QUICKACK", None)
_TIMEVAL: Final = struct.Struct("@ll")


def acknowledge(link: socket.socket) -> None:
    """Acknowledge what was read now: a peer under Nagle's algorithm holds the rest of its answer back until then.

    The kernel forgets the option (TCP_QUICKACK, Linux), so it is set again after each read.
    """
    if _QUICKACK is not None:
        with contextlib.suppress(OSError):
            link.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)


def kept_by_kernel(link: socket.socket, timeout: float) -> float | None:
    """Let the kernel keep the timeout of a socket, which saves a call for each read and write; None where it cannot.

    The socket is then used without a timeout of Python's, and BlockingIOError means that the time is over. Elsewhere Python
    waits before each call, as gevent does, whose sockets must not block, and TLS.
    """
    if (
        not sys.platform.startswith("linux")
        or not isinstance(link, _socket.socket)
        or isinstance(link, ssl.SSLSocket)
    ):
        return None
    limit = _TIMEVAL.pack(int(timeout), max(int(timeout % 1 * 1e6), 0 if timeout >= 1 else 1))
    link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
    return timeout
