"""Where frames and PDUs end in a stream that only passes by: nothing is kept of it but a few bytes of a header."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from stepwedge.wire.mllp import CR, END, TAIL
from stepwedge.wire.pdu import HEADER, Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

_KINDS: Final = frozenset(Kind)


class Units(Protocol):
    """Counts the units of one direction of a connection."""

    def ends(self, data: bytes | memoryview) -> Sequence[int]:
        """Return the offsets in the next bytes behind which a unit ends."""
        ...


class Frames:
    """MLLP blocks (HL7 2.5.1 appendix C.2): each ends with 0x1C 0x0D; what stands between two counts to the second."""

    def __init__(self) -> None:
        """Start before a block."""
        self._open = False  # the last byte was 0x1C

    def ends(self, data: bytes | memoryview) -> Sequence[int]:
        """Return the offsets in the next bytes behind which a block ends."""
        data = bytes(data)
        found = [1] if self._open and data[:1] == bytes((CR,)) else []
        at = -1
        while (at := data.find(TAIL, at + 1)) >= 0:
            found.append(at + len(TAIL))
        self._open = data[-1:] == bytes((END,)) if data else self._open
        return found


class Pdus:
    """DICOM PDUs (PS3.8 section 9.3): six bytes of header say how long each is; after what is no PDU none is seen any more."""

    def __init__(self) -> None:
        """Start before a PDU."""
        self._header = b""
        self._left = 0
        self._lost = False

    def ends(self, data: bytes | memoryview) -> Sequence[int]:
        """Return the offsets in the next bytes behind which a PDU ends."""
        found: list[int] = []
        at, size = 0, len(data)
        while at < size and not self._lost:
            if not self._left:
                taken = data[at : at + HEADER.size - len(self._header)]
                self._header += taken
                at += len(taken)
                if len(self._header) < HEADER.size:
                    break
                kind, self._left = HEADER.unpack(self._header)
                self._header = b""
                self._lost = kind not in _KINDS
                if not self._left:
                    found.append(at)
                continue
            step = min(self._left, size - at)
            at += step
            self._left -= step
            if not self._left:
                found.append(at)
        return [] if self._lost else found


class Bytes:
    """A stream without units that we know, such as HTTP, or anything inside TLS."""

    def ends(self, data: bytes | memoryview) -> Sequence[int]:
        """Return nothing."""
        del data
        return ()


UNITS: Final[dict[str, type[Frames | Pdus | Bytes]]] = {
    "hl7": Frames,
    "dicom": Pdus,
    "worklist": Pdus,
    "web": Bytes,
    "fhir": Bytes,
    "syslog": Bytes,
}
"""What the stream through each door is made of."""
NAMES: Final = {Frames: "frame", Pdus: "pdu"}
"""What scenarios call them."""
