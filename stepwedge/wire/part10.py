"""DICOM files (PS3.10 section 7): preamble, File Meta Information, then the data set exactly as it travels."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from stepwedge.errors import RemoteProtocolError

IMPLEMENTATION_CLASS_UID = "2.25.184093201773465019386403297655810417063.1"
IMPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2"
PREAMBLE = bytes(128) + b"DICM"
_LONG_VRS = frozenset(
    {b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"SQ", b"UC", b"UN", b"UR", b"UT", b"SV", b"UV"}
)
_META_LIMIT = 64 << 10


@dataclass(frozen=True, slots=True)
class Part10:
    """One SOP instance: what it is, how it is encoded, and its data set without group 0002."""

    sop_class: str
    sop_instance: str
    transfer_syntax: str
    dataset: bytes

    @property
    def explicit(self) -> bool:
        """Tell whether the data set carries its value representations."""
        return self.transfer_syntax != IMPLICIT_LITTLE_ENDIAN


def write(part: Part10) -> bytes:
    """Return the bytes of a DICOM file."""
    meta = b"".join(
        (
            _element(0x0001, b"OB", b"\x00\x01"),
            _uid(0x0002, part.sop_class),
            _uid(0x0003, part.sop_instance),
            _uid(0x0010, part.transfer_syntax),
            _uid(0x0012, IMPLEMENTATION_CLASS_UID),
        )
    )
    return b"".join((PREAMBLE, _element(0x0000, b"UL", struct.pack("<I", len(meta))), meta, part.dataset))


def read(data: bytes) -> Part10:
    """Take a DICOM file apart; group 0002 is read until another group begins, whatever its length claims."""
    if data[128:132] != b"DICM":
        raise RemoteProtocolError("not a DICOM file (PS3.10 section 7.1): 'DICM' is missing after 128 bytes")
    values: dict[int, bytes] = {}
    at = len(PREAMBLE)
    while data[at : at + 2] == b"\x02\x00" and at < _META_LIMIT:
        if len(data) < at + 12:
            raise RemoteProtocolError(f"File Meta Information ends at byte {len(data)} within an element")
        (number,) = struct.unpack_from("<H", data, at + 2)
        if data[at + 4 : at + 6] in _LONG_VRS:
            (length,) = struct.unpack_from("<I", data, at + 8)
            at += 12
        else:
            (length,) = struct.unpack_from("<H", data, at + 6)
            at += 8
        if length > len(data) - at:
            raise RemoteProtocolError(
                f"File Meta element (0002,{number:04x}) claims {length} bytes, more than follow"
            )
        values[number] = data[at : at + length]
        at += length
    sop_class, sop_instance, transfer_syntax = (
        _text(values.get(number, b"")) for number in (0x0002, 0x0003, 0x0010)
    )
    if not transfer_syntax:
        raise RemoteProtocolError("the file names no transfer syntax (0002,0010)")
    return Part10(sop_class, sop_instance, transfer_syntax, data[at:])


def _text(value: bytes) -> str:
    return value.decode("ascii", "replace").rstrip("\0 ")


def _uid(number: int, value: str) -> bytes:
    raw = value.encode("ascii")
    return _element(number, b"UI", raw + b"\0" if len(raw) % 2 else raw)


def _element(number: int, vr: bytes, value: bytes) -> bytes:
    long = vr in _LONG_VRS
    return struct.pack("<HH2s", 2, number, vr) + struct.pack("<xxI" if long else "<H", len(value)) + value
