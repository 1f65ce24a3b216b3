"""What every message needs around its content: who speaks to whom, when, in which version and character set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from stepwedge.sim.charsets import Charsets, texts
from stepwedge.wire.hl7 import compose, header, null

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from stepwedge.wire.hl7 import Group, Segment
    from stepwedge.wire.hl7_build import Written

FACILITY: Final = "STEPWEDGE"
"""Facility (MSH-4, MSH-6) of all simulated systems."""


_USUAL: Final = Charsets()


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who speaks to whom.

    Attributes:
        sender: sending application (MSH-3); ``receiver`` likewise (MSH-5).
        control: message control ID (MSH-10).
        charset: MSH-18; None for the first of ``charsets`` that holds the content.
    """

    sender: str
    receiver: str
    control: str
    now: datetime
    version: str = "2.5.1"
    charset: str | None = None
    charsets: Charsets = _USUAL

    def seal(self, kind: str, segments: Sequence[Written]) -> bytes:
        """Return the message of a ``kind`` (``ORM^O01``) with these segments after MSH."""
        charset = self.charsets.for_hl7(texts(segments)) if self.charset is None else self.charset
        msh = header(
            kind,
            control=self.control,
            now=self.now,
            version=self.version,
            sender=(self.sender, FACILITY),
            receiver=(self.receiver, FACILITY),
        )
        return compose([msh, *segments], charset=charset)


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
