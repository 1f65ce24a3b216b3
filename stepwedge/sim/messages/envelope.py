"""What every message needs around its content: who speaks to whom, when, in which version and character set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from stepwedge.wire.hl7 import compose, header, null

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from stepwedge.wire.hl7 import Group, Segment
    from stepwedge.wire.hl7_build import Written

FACILITY: Final = "STEPWEDGE"
"""Facility (MSH-4, MSH-6) of all simulated systems."""

_CHARSETS: Final = (("ascii", ""), ("iso8859-1", "8859/1"), ("utf-8", "UNICODE UTF-8"))


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who speaks to whom.

    Attributes:
        sender: sending application (MSH-3); ``receiver`` likewise (MSH-5).
        control: message control ID (MSH-10).
        charset: MSH-18; None for the smallest that holds the content.
    """

    sender: str
    receiver: str
    control: str
    now: datetime
    version: str = "2.5.1"
    charset: str | None = None

    def seal(self, kind: str, segments: Sequence[Written]) -> bytes:
        """Return the message of a ``kind`` (``ORM^O01``) with these segments after MSH."""
        charset = smallest_charset(_texts(segments)) if self.charset is None else self.charset
        msh = header(
            kind,
            control=self.control,
            now=self.now,
            version=self.version,
            sender=(self.sender, FACILITY),
            receiver=(self.receiver, FACILITY),
        )
        return compose([msh, *segments], charset=charset)


def smallest_charset(texts: Iterable[str]) -> str:
    """Return the first of ASCII, 8859/1 and UTF-8 (HL7 table 0211) that can write all ``texts``."""
    everything = "".join(texts)
    for codec, name in _CHARSETS:
        try:
            everything.encode(codec)
        except UnicodeEncodeError:
            continue
        return name
    return _CHARSETS[-1][1]


def _texts(value: object) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from _texts(tuple(value.values()))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)


def said(group: Group | Segment, *places: str) -> str | None:
    """Return the first valued of several places; None when the sender said nothing, "" when it said *remove*.

    Absent leaves the receiver's value, the null value ``""`` removes it (ITI TF-2 appendix C).
    """
    for place in places:
        if (value := group.get(place)) is not None:
            return "" if value == null else value
    return None


def day_and_time(text: str) -> str:
    """Return a TS without fraction and offset, at most ``YYYYMMDDHHMMSS``."""
    return text.split(".", maxsplit=1)[0].split("+", maxsplit=1)[0].split("-", maxsplit=1)[0][:14]
