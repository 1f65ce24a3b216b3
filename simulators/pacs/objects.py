"""Stored data sets on their way in and out: what the index keeps, and how the patient module is rewritten. Pure."""

from __future__ import annotations

import hashlib
import json
import math
import re
from typing import TYPE_CHECKING, Any

from stepwedge.errors import RemoteProtocolError
from stepwedge.sim import datasets
from stepwedge.wire.elements import IMPLICIT_LE, decode, encode, tag_of
from stepwedge.wire.spans import spans as spans_of
from stepwedge.wire.spans import value_at as value_of

from .query import KEPT, fitting_charset
from .state import Instance, patient_key

if TYPE_CHECKING:
    from collections.abc import Callable

PIXEL_DATA, ORIGINAL_ATTRIBUTES = 0x7FE00010, 0x04000561
_UID = re.compile(r"[0-9.]{1,64}")
_text = json.JSONEncoder(sort_keys=True, default=lambda value: hashlib.sha256(value).hexdigest()).encode
REQUIRED = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")


def read(sop_class: str, sop: str, transfer_syntax: str, data: bytes) -> Instance:
    """Make the index row of a received data set; raises RemoteProtocolError when it is not what the command said."""
    reading = datasets.read(data, transfer_syntax)
    elements = reading.header
    for key in REQUIRED:
        if not elements.get(key):
            raise RemoteProtocolError(f"the data set has no {key}")
        if not _UID.fullmatch(elements[key]):  # a leading zero is wrong, too, but harms nobody, and is met
            raise RemoteProtocolError(f"{key} is no UID (PS3.5 section 9.1)")
    if (elements["SOPClassUID"], elements["SOPInstanceUID"]) != (sop_class, sop):
        raise RemoteProtocolError("the data set is another instance than the command says")
    return Instance(
        sop=sop,
        sop_class=sop_class,
        series=elements["SeriesInstanceUID"],
        study=elements["StudyInstanceUID"],
        patient=patient_key(elements.get("PatientID", ""), elements.get("IssuerOfPatientID", "")),
        transfer_syntax=transfer_syntax,
        file=reading.sha256,
        content=content(reading),
        header={key: value for key, value in elements.items() if key in KEPT},
    )


def short(header: dict[str, Any], size: int) -> int:
    """Return how many bytes of uncompressed pixels are missing, by what the header says of them (PS3.5 section 8.1.1)."""
    said = [header.get(key) for key in ("Rows", "Columns", "SamplesPerPixel", "BitsAllocated")]
    parts = [one for one in said if isinstance(one, int) and one > 0]
    if not size or len(parts) < len(said):
        return 0
    frames = str(header.get("NumberOfFrames") or "1").strip()
    whole = math.prod(parts) * (int(frames) if frames.isdigit() else 1)
    return max(0, (whole + 7) // 8 - size)


def content(reading: datasets.Reading) -> str:
    """Return a hash over all attributes and their values, the same in implicit and explicit encoding."""
    elements = reading.header
    if reading.pixels is not None:
        elements = {**elements, datasets.PIXELS: reading.pixels}
    return hashlib.sha256(_text(elements).encode()).hexdigest()


def original(instance: Instance, changes: dict[str, Any], at: str, system: str) -> dict[str, Any]:
    """Return the item that tells which values of an object were changed, and what they were (PS3.3 C.12.1.1.9).

    Reconciling with the patient records is a coercion; the source is whoever sent the object.
    """
    return {
        "SourceOfPreviousValues": instance.sender,
        "AttributeModificationDateTime": at,
        "ModifyingSystem": system,
        "ReasonForTheAttributeModification": "COERCE",
        "ModifiedAttributesSequence": [{key: instance.header.get(key, "") for key in changes}],
    }


def rewritten(
    data: bytes,
    transfer_syntax: str,
    changes: dict[str, Any],
    pixels: Callable[[bytes], bytes],
    original: dict[str, Any] | None = None,
) -> bytes:
    """Return a data set with some top-level text attributes changed and every other byte as it was stored.

    ``original`` is added to the Original Attributes Sequence, behind the items that are there. When the new values do not fit the character set of the object, the whole header is written again in UTF-8.
    """
    explicit = transfer_syntax != IMPLICIT_LE
    spans = spans_of(data, explicit=explicit)
    at, end = spans.get(PIXEL_DATA, (len(data), len(data)))
    value_at = value_of(data, at, explicit=explicit) if at < end else end
    if (shown := pixels(data[value_at:end])) != data[value_at:end]:
        data = data[:value_at] + shown + data[end:]
    if not changes:
        return data
    if original:
        before_at, before_end = spans.get(ORIGINAL_ATTRIBUTES, (0, 0))
        before = decode(data[before_at:before_end], explicit=explicit).get("OriginalAttributesSequence") or []
        changes = changes | {"OriginalAttributesSequence": [*before, original]}
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
