"""DICOM files (PS3.10 section 7): preamble, file meta information, data set."""

from __future__ import annotations

import functools
import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from stepwedge.errors import RemoteProtocolError
from stepwedge.wire.elements import Elements, decode, encode
from stepwedge.wire.negotiation import IMPLEMENTATION_UID, IMPLEMENTATION_VERSION

if TYPE_CHECKING:
    from stepwedge.wire.results import Instance

_PREAMBLE: Final = bytes(128) + b"DICM"
_META: Final = 0x0002


class File(NamedTuple):
    """What a DICOM file holds; ``data`` is the encoded data set in ``transfer_syntax``."""

    sop_class: str
    sop_instance: str
    transfer_syntax: str
    data: bytes
    meta: Elements


def write(instance: Instance) -> bytes:
    """Write a file around an instance's data set."""
    return head(instance.sop_class, instance.sop_instance, instance.transfer_syntax) + instance.data


def head(sop_class: str, sop_instance: str, transfer_syntax: str) -> bytes:
    """Write what stands before the data set: preamble, prefix and file meta information."""
    before, behind = _around(sop_class, transfer_syntax)
    instance = encode({"MediaStorageSOPInstanceUID": sop_instance}, explicit=True)
    size = len(before) + len(instance) + len(behind)
    length = struct.pack("<HH2sHI", _META, 0, b"UL", 4, size)
    return b"".join((_PREAMBLE, length, before, instance, behind))


@functools.lru_cache(maxsize=256)
def _around(sop_class: str, transfer_syntax: str) -> tuple[bytes, bytes]:
    """Write what stands before and behind the SOP Instance UID: the same for every image of a series."""
    before = {"FileMetaInformationVersion": b"\0\1", "MediaStorageSOPClassUID": sop_class}
    behind = {
        "TransferSyntaxUID": transfer_syntax,
        "ImplementationClassUID": IMPLEMENTATION_UID,
        "ImplementationVersionName": IMPLEMENTATION_VERSION,
    }
    return encode(before, explicit=True), encode(behind, explicit=True)


def read(raw: bytes) -> File:
    """Read a file; what PS3.10 does not allow raises RemoteProtocolError."""
    if raw[128:132] != b"DICM":
        raise RemoteProtocolError("the file has no DICM prefix after its preamble (PS3.10 section 7.1)")
    start = len(_PREAMBLE)
    if raw[start : start + 8] != struct.pack("<HH2sH", _META, 0, b"UL", 4):
        raise RemoteProtocolError(
            "the file meta information does not start with (0002,0000) (PS3.10 section 7.1)"
        )
    end = start + 12 + int.from_bytes(raw[start + 8 : start + 12], "little")
    if not start + 12 < end <= len(raw):
        raise RemoteProtocolError("the file ends inside its file meta information (PS3.10 section 7.1)")
    meta = decode(raw[start + 12 : end], explicit=True)
    try:
        return File(
            meta["MediaStorageSOPClassUID"],
            meta["MediaStorageSOPInstanceUID"],
            meta["TransferSyntaxUID"],
            raw[end:],
            meta,
        )
    except KeyError as error:
        raise RemoteProtocolError(
            f"the file meta information lacks {error.args[0]} (PS3.10 table 7.1-1)"
        ) from error
