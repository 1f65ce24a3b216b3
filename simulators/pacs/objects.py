"""Stored data sets on their way in and out: what the index keeps, and how the patient module is rewritten. Pure."""

from __future__ import annotations

import hashlib
import json
import struct
from typing import TYPE_CHECKING, Any

from stepwedge.errors import RemoteProtocolError
from stepwedge.wire.elements import IMPLICIT_LE, LONG, UNDEFINED, decode, encode, tag_of

from .query import KEPT, fitting_charset
from .state import Instance, patient_key

if TYPE_CHECKING:
    from collections.abc import Callable

ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
PIXEL_DATA = 0x7FE00010
REQUIRED = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")


def read(sop_class: str, sop: str, transfer_syntax: str, data: bytes) -> Instance:
    """Make the index row of a received data set; raises RemoteProtocolError when it is not what the command said."""
    elements = decode(data, explicit=transfer_syntax != IMPLICIT_LE)
    for key in REQUIRED:
        if not elements.get(key):
            raise RemoteProtocolError(f"the data set has no {key}")
    if (elements["SOPClassUID"], elements["SOPInstanceUID"]) != (sop_class, sop):
        raise RemoteProtocolError("the data set is another instance than the command says")
    return Instance(
        sop=sop,
        sop_class=sop_class,
        series=elements["SeriesInstanceUID"],
        study=elements["StudyInstanceUID"],
        patient=patient_key(elements.get("PatientID", ""), elements.get("IssuerOfPatientID", "")),
        transfer_syntax=transfer_syntax,
        file="",
        content=content(elements),
        header={key: value for key, value in elements.items() if key in KEPT},
    )


def content(elements: dict[str, Any]) -> str:
    """Return a hash over all attributes and their values, the same in implicit and explicit encoding."""
    text = json.dumps(elements, sort_keys=True, default=lambda value: hashlib.sha256(value).hexdigest())
    return hashlib.sha256(text.encode()).hexdigest()


def rewritten(
    data: bytes, transfer_syntax: str, changes: dict[str, Any], pixels: Callable[[bytes], bytes]
) -> bytes:
    """Return a data set with some top-level text attributes changed and every other byte as it was stored.

    When the new values do not fit the character set of the object, the whole header is written again in UTF-8.
    """
    explicit = transfer_syntax != IMPLICIT_LE
    spans = _spans(data, explicit)
    at, end = spans.get(PIXEL_DATA, (len(data), len(data)))
    value_at = at + _header_length(data, at, explicit) if at < end else end
    if (shown := pixels(data[value_at:end])) != data[value_at:end]:
        data = data[:value_at] + shown + data[end:]
    if not changes:
        return data
    charset_at, charset_end = spans.get(0x00080005, (0, 0))
    charset = str(decode(data[charset_at:charset_end], explicit=explicit).get("SpecificCharacterSet", ""))
    if fitting_charset(changes, charset) not in {"", charset}:
        header = decode(data[:at], explicit=explicit) | changes | {"SpecificCharacterSet": "ISO_IR 192"}
        return encode(header, explicit=explicit) + data[at:]
    return _spliced(data, explicit, spans, changes, charset)


def _spliced(
    data: bytes, explicit: bool, spans: dict[int, tuple[int, int]], changes: dict[str, Any], charset: str
) -> bytes:
    """Put changed elements in the place of the old ones, in order of their tags."""
    charset_only = encode({"SpecificCharacterSet": charset}, explicit=explicit)
    pieces = {tag: data[start:end] for tag, (start, end) in spans.items()}
    for key, value in changes.items():
        written = encode({"SpecificCharacterSet": charset, key: value}, explicit=explicit)
        pieces[tag_of(key)] = written[len(charset_only) :]
    return b"".join(pieces[tag] for tag in sorted(pieces))


def _spans(data: bytes, explicit: bool) -> dict[int, tuple[int, int]]:
    """Return where each top-level element begins and ends."""
    spans: dict[int, tuple[int, int]] = {}
    at = 0
    while at < len(data):
        tag, end = _element_end(data, at, explicit)
        spans[tag] = (at, end)
        at = end
    return spans


def _header_length(data: bytes, at: int, explicit: bool) -> int:
    return 12 if explicit and data[at + 4 : at + 6] in LONG else 8


def _element_end(data: bytes, at: int, explicit: bool) -> tuple[int, int]:
    """Return the tag of the element at an offset, and where it ends."""
    group, number = struct.unpack_from("<HH", data, at)
    tag = group << 16 | number
    if not explicit or group == ITEM >> 16:
        (length,) = struct.unpack_from("<I", data, at + 4)
        start = at + 8
    elif data[at + 4 : at + 6] in LONG:
        (length,) = struct.unpack_from("<I", data, at + 8)
        start = at + 12
    else:
        (length,) = struct.unpack_from("<H", data, at + 6)
        start = at + 8
    if length != UNDEFINED:
        return tag, start + length
    # Only sequences, items, and encapsulated pixel data may have no length; an unknown sequence (UN) is in
    # implicit encoding inside (PS3.5 section 6.2.2).
    inner = explicit and not (tag != ITEM and data[at + 4 : at + 6] == b"UN")
    closing = ITEM_END if tag == ITEM else SEQUENCE_END
    while start < len(data):
        found, end = _element_end(data, start, inner)
        start = end
        if found == closing:
            return tag, end
    raise RemoteProtocolError(f"element ({tag >> 16:04X},{tag & 0xFFFF:04X}) has no end")
