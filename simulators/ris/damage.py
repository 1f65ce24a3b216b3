"""Worklist entries with one fault in them, as some department systems offer them, to see what scanners make of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from stepwedge.wire.elements import encode

if TYPE_CHECKING:
    from collections.abc import Callable

    from stepwedge.wire.elements import Elements

SPS: Final = "ScheduledProcedureStepSequence"


@dataclass(frozen=True, slots=True)
class Damage:
    """What is wrong with the entry of a step until it is mended."""

    step: str
    fault: str


def _with(elements: Elements, key: str, value: str) -> Elements:
    """Return elements with another value where they have the key: an answer holds what was asked for."""
    return elements | {key: value} if key in elements else elements


def _without_physician(entry: Elements) -> Elements:
    return {key: value for key, value in entry.items() if key != "ReferringPhysicianName"}


def _no_code(entry: Elements) -> Elements:
    return entry | {SPS: [_with(step, "ScheduledProcedureStepStatus", "to be done") for step in entry[SPS]]}


def _too_long(entry: Elements) -> Elements:
    return _with(entry, "RequestedProcedureDescription", "for the second time " * 5)


_CHANGES: Final[dict[str, Callable[[Elements], Elements]]] = {
    "no-physician": _without_physician,
    "not-a-code": _no_code,
    "too-long": _too_long,
}
PRIORITY: Final = b"\x40\x00\x03\x10"
"""The tag of Requested Procedure Priority, whose VR is SH (PS3.6)."""


def damaged(entry: Elements, fault: str) -> Elements:
    """Return an entry with its fault; a fault of the encoding alone changes nothing here."""
    return _CHANGES[fault](entry) if fault in _CHANGES else entry


def written(entry: Elements, priority: str) -> bytes:
    """Return an entry in explicit VR little endian, Requested Procedure Priority under the VR ``priority``."""
    data = encode(entry, explicit=True)
    return data.replace(PRIORITY + b"SH", PRIORITY + priority.encode(), 1) if priority != "SH" else data
