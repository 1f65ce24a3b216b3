"""H8 and H9: a message comes in a batch beside one that is none, or under a sequence number that cannot be its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stepwedge.sim.tap.fault import ANSWER, REQUEST, Argument
from stepwedge.sim.tap.faults.acknowledgements import message_of
from stepwedge.sim.tap.whole import Whole
from stepwedge.wire.mllp import TAIL, frame

if TYPE_CHECKING:
    from stepwedge.sim.tap.fault import Side, Wish
    from stepwedge.sim.tap.line import Line

_SEQUENCE: Final = 12
"""Where MSH-13 stands among the fields of MSH split at their separator, of which MSH-1 is the first."""


class Batched(Whole):
    """Sends a message in a batch behind one that has no type (HL7 2.5.1 section 2.10.3).

    Of a batch of answers the one to the message is handed on. Any other answer is written down and kept: it names no message that
    the sender knows, and the sender must send its message again.
    """

    kind = "batch"
    says = "a message comes in a batch, beside one that cannot be read"
    doors = ("hl7",)

    def __init__(self, wish: Wish) -> None:
        """Wait for nothing."""
        super().__init__(wish)
        self._asked: dict[int, str] = {}

    def concerns(self, side: Side) -> bool:
        """Look at messages and at their answers."""
        return bool(side)

    def unit(self, line: Line, side: Side, unit: bytes) -> None:
        """Wrap the message that is due, and unwrap its answer."""
        if side == REQUEST:
            message = message_of(unit)
            if message is None or line.number in self._asked or not self.chosen(line):
                line.give(side, unit)
                return
            self._asked[line.number] = message.control
            self.forged.add(message.control)
            line.give(side, frame(_batch(message.raw)))
        elif (control := self._asked.pop(line.number, None)) is None:
            line.give(side, unit)
        else:
            self._answered(line, control, unit)

    def _answered(self, line: Line, control: str, unit: bytes) -> None:
        answers = unit.removeprefix(b"\x0b").removesuffix(TAIL)
        parts = [b"MSH" + part for part in answers.split(b"MSH")[1:]]
        mine = [
            part
            for part in parts
            if f"|{control}".encode() in part.partition(b"\rMSA")[2].partition(b"\r")[0]
        ]
        told = ", ".join(part.partition(b"\rMSA|")[2][:2].decode("latin-1") or "nothing" for part in parts)
        self.acted(f"batch of two answered {told or 'nothing that can be read'}", line, REQUEST, len(unit))
        if mine:
            end = min(
                (at for mark in (b"BTS", b"FTS") if (at := mine[0].find(b"\r" + mark)) >= 0),
                default=len(mine[0]),
            )
            line.give(ANSWER, frame(mine[0][: end + 1]))


class Sequenced(Whole):
    """Writes a sequence number into MSH-13; a receiver that does not follow the protocol takes no notice (HL7 2.5.1 section 2.10.1)."""

    kind = "sequence"
    says = "messages come under sequence numbers with a gap, or ask where the receiver stands (0) or to begin anew (-1)"
    doors = ("hl7",)
    takes = (
        Argument("first", "the first number, -1 or 0", 1, "number", -1, 1_000_000),
        Argument("step", "from one message to the next; 1 has no gap", 2, "number", 0, 1000),
    )

    def whole(self, line: Line, unit: bytes) -> None:
        """Number the messages that are due."""
        message = message_of(unit)
        if message is None or not self.chosen(line):
            line.give(self.side, unit)
            return
        number = int(self.args["first"]) + int(self.args["step"]) * (self.hits - 1)
        head, rest = message.raw.split(b"\r", 1)
        fields = head.split(head[3:4])
        fields += [b""] * (_SEQUENCE + 1 - len(fields))
        fields[_SEQUENCE] = str(number).encode()
        self.forged.add(message.control)
        self.acted(f"{message.control} numbered {number}", line, self.side, len(unit))
        line.give(self.side, frame(head[3:4].join(fields) + b"\r" + rest))


def _batch(raw: bytes) -> bytes:
    """Write a batch file of two messages, the first of which says neither what it is nor who."""
    encoding = raw[3:8]
    bad = b"MSH" + encoding + b"||||||||||P|2.5.1"
    lines = [b"FHS" + encoding, b"BHS" + encoding, bad, raw.rstrip(b"\r"), b"BTS|2", b"FTS|1"]
    return b"\r".join(lines) + b"\r"
