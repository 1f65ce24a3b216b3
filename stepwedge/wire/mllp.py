"""MLLP framing without a socket: bytes in, frames out.

HL7 v2.5.1 appendix C.2 (Minimal Lower Layer Protocol): a block is ``<VT> message <FS><CR>``, and the message holds
no control character below 0x20 except CR (ISO 2022 charsets add ESC), so VT or FS inside one is always an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from stepwedge.errors import LocalProtocolError, RemoteProtocolError

START: Final = 0x0B
END: Final = 0x1C
CR: Final = 0x0D
TAIL: Final = b"\x1c\r"

MESSAGE_LIMIT: Final = 16 << 20
JUNK_LIMIT: Final = 4096
"""Bytes tolerated between frames: line ends and old echoes are harmless, a peer that speaks TLS or HTTP is not."""


class Signal(Enum):
    """What :meth:`Framer.next_event` says when there is no frame."""

    NEED_DATA = auto()
    CLOSED = auto()


NEED_DATA: Final = Signal.NEED_DATA
CLOSED: Final = Signal.CLOSED


@dataclass(frozen=True, slots=True)
class Frame:
    """One message as it came.

    Attributes:
        payload: the bytes between VT and FS.
        junk_before: what stood before VT and is no part of any frame; evidence, never interpreted.
    """

    payload: bytes
    junk_before: bytes = b""


def frame(payload: bytes) -> bytes:
    """Wrap one message for the wire."""
    if START in payload or END in payload:
        raise LocalProtocolError("an HL7 message over MLLP must hold neither 0x0B nor 0x1C (HL7 2.5.1 C.2)")
    return b"\x0b" + payload + TAIL


def sole(data: bytes, limit: int) -> bytes | None:
    """Return the message of data that are one frame, whole and nothing else, as most answers come; None for all other data."""
    if data[:1] != b"\x0b" or data[-2:] != TAIL or len(data) - 3 > limit:
        return None
    if data.find(END, 1) != len(data) - 2 or data.find(START, 1) >= 0:
        return None
    return data[1:-2]


class Framer:
    """Cuts a byte stream into frames, in the manner of h11: ``receive_data``, then ``next_event`` until told to stop.

    An error is final: the stream has lost its frame boundaries, so the connection must be closed.
    """

    def __init__(self, limit: int = MESSAGE_LIMIT) -> None:
        """Bound every message to ``limit`` bytes; at most one read more than that is ever held."""
        self.limit = limit
        self._buffer = bytearray()
        self._seen = 0  # how far the open frame was searched for its end
        self._ended = False
        self._error: RemoteProtocolError | None = None

    @property
    def idle(self) -> bool:
        """Tell whether the stream stands between two frames and goes on."""
        return not (self._buffer or self._ended or self._error is not None)

    def receive_data(self, data: bytes | memoryview) -> None:
        """Take what the peer sent, by copying it; ``b""`` says that the peer closed."""
        if data:
            self._buffer += data
        else:
            self._ended = True

    def next_event(self) -> Frame | Signal:
        """Return the next frame, or what is missing for one."""
        if self._error is not None:
            raise self._error
        try:
            return self._next()
        except RemoteProtocolError as error:
            self._error = error
            self._buffer.clear()
            raise

    def _next(self) -> Frame | Signal:
        buffer = self._buffer
        start = buffer.find(START)
        if start < 0 or start > JUNK_LIMIT:
            return self._no_start(len(buffer) if start < 0 else start)
        end = buffer.find(END, max(self._seen, start + 1))
        if end < 0:
            return self._no_end(start)
        if end - start - 1 > self.limit:
            raise self._too_long()
        again = buffer.find(START, start + 1, end)
        if again >= 0:
            raise RemoteProtocolError(
                f"MLLP: 0x0B inside a frame, {again - start - 1} bytes into the message: "
                "the frame before it was never ended with 0x1C 0x0D"
            )
        if end + 1 == len(buffer):
            self._seen = end
            return self._wait("a frame without the CR after its 0x1C")
        if buffer[end + 1] != CR:
            raise RemoteProtocolError(f"MLLP: 0x1C is followed by 0x{buffer[end + 1]:02X}, not by 0x0D")
        with memoryview(buffer) as view:
            found = Frame(bytes(view[start + 1 : end]), bytes(view[:start]) if start else b"")
        del buffer[: end + 2]
        self._seen = 0
        return found

    def _no_start(self, junk: int) -> Signal:
        if junk > JUNK_LIMIT:
            raise RemoteProtocolError(
                f"MLLP: more than {JUNK_LIMIT} bytes without 0x0B, starting {bytes(self._buffer[:16])!r}: "
                "the peer does not speak MLLP"
            )
        return CLOSED if self._ended else NEED_DATA

    def _no_end(self, start: int) -> Signal:
        held = len(self._buffer) - start - 1
        if held > self.limit:
            raise self._too_long()
        self._seen = len(self._buffer)
        return self._wait(f"a frame without its end (0x1C 0x0D), after {held} bytes of message")

    def _wait(self, unfinished: str) -> Signal:
        if self._ended:
            raise RemoteProtocolError(f"MLLP: the peer closed inside {unfinished}")
        return NEED_DATA

    def _too_long(self) -> RemoteProtocolError:
        return RemoteProtocolError(f"MLLP: the message is longer than the limit of {self.limit} bytes")
