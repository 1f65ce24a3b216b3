"""Accept (RFC 9110 section 12.5.1) as DICOMweb uses it (PS3.18 section 8.7): media ranges with their parameters and weights."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from stepwedge.errors import RemoteProtocolError
from stepwedge.wire.multipart import parameters

if TYPE_CHECKING:
    from collections.abc import Mapping

LENGTH: Final = 8 << 10
RANGES: Final = 64
"""Bounds of one Accept header, before anything is made of it."""
_SEPARATOR: Final = re.compile(r',(?=(?:[^"\\]|\\.)*(?:"(?:[^"\\]|\\.)*"(?:[^"\\]|\\.)*)*$)')
ANY: Final = "*/*"
MULTIPART: Final = "multipart/related"


@dataclass(frozen=True, slots=True)
class Range:
    """One media range.

    Attributes:
        kind: the media type, of the parts where it is multipart/related; ``*/*`` or ``image/*`` too.
        multipart: whether it was asked for as multipart/related; ``*/*`` means either.
        transfer_syntax: the UID, ``*``, or "" when none was named.
        weight: q, from 0 (never) to 1.
    """

    kind: str
    multipart: bool = False
    transfer_syntax: str = ""
    weight: float = 1.0
    named: Mapping[str, str] = field(default_factory=dict)

    def covers(self, kind: str) -> bool:
        """Tell whether a media type is in the range."""
        if self.kind == ANY:
            return True
        whole, _, part = self.kind.partition("/")
        return self.kind == kind or (part == "*" and kind.startswith(f"{whole}/"))


def ranges(header: str) -> list[Range]:
    """Read an Accept header, heaviest first and otherwise as written; an empty one accepts anything.

    Raises:
        RemoteProtocolError: it is no Accept header, or beyond bounds.
    """
    if len(header) > LENGTH or header.count(",") >= RANGES:
        raise RemoteProtocolError(f"Accept is longer than {LENGTH} characters or {RANGES} media ranges")
    found = [_range(text) for text in _SEPARATOR.split(header) if text.strip()] or [Range(ANY)]
    return sorted(found, key=lambda one: -one.weight)


def _range(text: str) -> Range:
    kind, named = parameters(text.strip())
    if "/" not in kind:
        raise RemoteProtocolError(f"Accept: {text.strip()!r} is no media range (RFC 9110 section 12.5.1)")
    weight = named.pop("q", "1")
    try:
        heavy = float(weight)
    except ValueError:
        heavy = -1.0
    if not 0 <= heavy <= 1:
        raise RemoteProtocolError(
            f"Accept: q must be a number from 0 to 1, not {weight!r} (RFC 9110 section 12.4.2)"
        )
    syntax = named.get("transfer-syntax", "")
    if kind == MULTIPART:
        return Range(named.get("type", ANY).lower(), True, syntax, heavy, named)  # noqa: FBT003
    return Range(kind, False, syntax, heavy, named)  # noqa: FBT003


def chosen(wanted: list[Range], kind: str, *, multipart: bool) -> Range | None:
    """Return the heaviest range that covers a media type, in parts or alone; None when there is none."""
    for one in wanted:
        if one.covers(kind) and (one.multipart == multipart or one.kind == ANY):
            return one if one.weight > 0 else None
    return None
