"""Which representation of an object a DICOMweb client gets for what it accepts (PS3.18 section 8.7). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from stepwedge.wire.accept import ANY, Range
from stepwedge.wire.elements import EXPLICIT_LE, IMPLICIT_LE
from stepwedge.wire.encodings import BIG_ENDIAN
from stepwedge.wire.pixels import convertible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

DICOM: Final = "application/dicom"
OCTETS: Final = "application/octet-stream"
STREAMS: Final = {
    # PS3.18 tables 8.7.3-4 and 8.7.3-5: media type of compressed frames, its default transfer syntax first.
    "image/jp2": ("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"),
    "image/jpeg": (
        "1.2.840.10008.1.2.4.70",
        "1.2.840.10008.1.2.4.50",
        "1.2.840.10008.1.2.4.51",
        "1.2.840.10008.1.2.4.57",
    ),
    "image/jls": ("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81"),
    "image/dicom-rle": ("1.2.840.10008.1.2.5",),
}
FORBIDDEN: Final = frozenset({IMPLICIT_LE, BIG_ENDIAN})
"""Transfer syntaxes that DICOMweb does not use (PS3.18 section 8.7.3.5.2)."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What is sent: media type, transfer syntax, and whether in parts."""

    kind: str
    transfer_syntax: str
    multipart: bool = True


def of_object(wanted: Iterable[Range], stored: str, *, alone: bool) -> Choice | None:
    """Choose for a whole object; ``alone`` when it is the only one, so that it need not come in parts.

    Without a transfer syntax explicit little endian is meant; ``*`` is what is stored.
    """
    for one in wanted:
        if one.weight <= 0 or not one.covers(DICOM):
            continue
        in_parts = one.multipart or one.kind == ANY
        if not in_parts and not alone:
            continue
        if (syntax := _available(one.transfer_syntax or EXPLICIT_LE, stored)) is not None:
            return Choice(DICOM, syntax, in_parts)
    return None


def of_frames(wanted: Iterable[Range], stored: str, *, alone: bool) -> Choice | None:
    """Choose for frames and bulk pixels: decoded as octets, or one of the compressed image types."""
    for one in wanted:
        if one.weight <= 0 or not (one.multipart or one.kind == ANY or alone):
            continue
        for kind, syntax in _offers(one, stored):
            if one.covers(kind) and (found := _available(syntax, stored)) is not None:
                return Choice(kind, found, one.multipart or one.kind == ANY)
    return None


def _offers(one: Range, stored: str) -> Iterator[tuple[str, str]]:
    """Yield what a range may mean, the best first: named, as stored, decoded, then each type's default."""
    named = one.transfer_syntax
    if named == "*":
        yield kind_of(stored), stored
    elif named:
        yield kind_of(named), named
    if named in {"", "*"}:
        yield OCTETS, EXPLICIT_LE
        for kind, syntaxes in STREAMS.items():
            if one.kind == kind and stored in syntaxes:
                yield kind, stored
            yield kind, syntaxes[0]


def kind_of(transfer_syntax: str) -> str:
    """Return the media type of frames in a transfer syntax."""
    return next((kind for kind, syntaxes in STREAMS.items() if transfer_syntax in syntaxes), OCTETS)


def _available(wanted: str, stored: str) -> str | None:
    """Return the transfer syntax that a wish leads to, or None when the object cannot be had in it without loss."""
    if wanted == "*":
        return EXPLICIT_LE if stored in FORBIDDEN else stored
    if wanted in FORBIDDEN or not wanted:
        return None
    return wanted if wanted == stored or wanted in convertible(stored) else None
