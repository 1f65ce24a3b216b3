"""Wrong behaviours of any system at its HL7 door, and on its way out: the stream, the answers, the values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stepwedge.model.identifiers import ISSUER
from stepwedge.sim.hl7 import MemoryHabits, SenderHabits
from stepwedge.sim.quirks import collect, quirk
from stepwedge.wire.mllp import NEED_DATA, Frame, Framer, Signal

if TYPE_CHECKING:
    from collections.abc import Callable


_NUMBER, _SEX = 3, 8
"""Fields of PID."""


class LastRead(Framer):
    """Keeps of a message what the last read brought."""

    def receive_data(self, data: bytes | memoryview) -> None:
        """Forget what came before, unless it was whole."""
        self._buffer.clear()
        self._seen = 0
        super().receive_data(data)


class FirstOfRead(Framer):
    """Takes one message of each read, and throws away what came with it."""

    def next_event(self) -> Frame | Signal:
        """Return the first message; nothing is left behind it."""
        event = super().next_event()
        if isinstance(event, Frame):
            self._buffer.clear()
            return event
        return event if self._buffer or self._ended else NEED_DATA


@quirk(
    "mllp.split_frames",
    defect="DEF-069",
    severity="S1",
    overrides=MemoryHabits.framing,
    notices="long messages, and those over slow lines, arrive nowhere (of a message in two reads the second is taken)",
)
def split_frames(_: Callable[[type[Framer]], type[Framer]], _kind: type[Framer]) -> type[Framer]:
    """Take one read for one message."""
    return LastRead


@quirk(
    "mllp.pipelined_dropped",
    defect="DEF-070",
    severity="S1",
    overrides=MemoryHabits.framing,
    notices="of messages that come close together one arrives (the first envelope of a read is taken)",
)
def pipelined_dropped(_: Callable[[type[Framer]], type[Framer]], _kind: type[Framer]) -> type[Framer]:
    """Look for one message in each read."""
    return FirstOfRead


@quirk(
    "ack.late_matches_next",
    defect="DEF-061",
    severity="S1",
    overrides=SenderHabits.belongs,
    notices="a message is marked as sent that nobody has (MSA-2 is not compared with MSH-10)",
    needs="taps",
)
def late_matches_next(_: Callable[[str, str], bool], _answered: str, _asked: str) -> bool:
    """Take whatever comes for the answer."""
    return True


@quirk(
    "order.blank_patient",
    defect="DEF-229",
    severity="S1",
    overrides=MemoryHabits.whole,
    notices="an exam stands on the list for nobody (AA to an order without PID-3)",
)
def blank_patient(original: Callable[[bytes], bytes], payload: bytes) -> bytes:
    """File what names no patient under one number for all of them."""
    lines = [line.split(b"|") for line in original(payload).split(b"\r")]
    for fields in lines:
        if fields[0] == b"PID" and len(fields) > _NUMBER and not fields[_NUMBER].partition(b"^")[0]:
            fields[_NUMBER] = f"SW00000000^^^{ISSUER}".encode()
    return b"\r".join(b"|".join(fields) for fields in lines)


@quirk(
    "patient.sex_component",
    defect="DEF-038",
    severity="S3",
    overrides=MemoryHabits.whole,
    notices="the sex is empty for patients of a system that writes it with its meaning (PID-8 F^Female)",
)
def sex_component(original: Callable[[bytes], bytes], payload: bytes) -> bytes:
    """Understand PID-8 only when it is one letter."""
    lines = [line.split(b"|") for line in original(payload).split(b"\r")]
    for fields in lines:
        if fields[0] == b"PID" and len(fields) > _SEX and b"^" in fields[_SEX]:
            fields[_SEX] = b""
    return b"\r".join(b"|".join(fields) for fields in lines)


@quirk(
    "date.invalid_da",
    defect="DEF-146",
    severity="S3",
    overrides=MemoryHabits.tolerates,
    notices="somebody is born on 29 February of a year that has none (AA to PID-7 20230229)",
)
def invalid_da(_: Callable[[str], bool], value: str) -> bool:
    """Believe every date."""
    return "is no time" in value


QUIRKS: Final = collect(globals())
