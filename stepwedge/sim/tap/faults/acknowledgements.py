"""H1, H4 and D6: answers that are no, not this message's, or given twice."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from stepwedge.sim.tap.fault import ANSWER, REQUEST, Argument
from stepwedge.sim.tap.whole import Whole
from stepwedge.wire.hl7 import HL7Error, acknowledgement, parse
from stepwedge.wire.mllp import TAIL, frame

if TYPE_CHECKING:
    from stepwedge.sim.tap.line import Line
    from stepwedge.wire.hl7 import Message

_INTERNAL = 207
"""HL7 table 0357, application internal error."""


def message_of(unit: bytes) -> Message | None:
    """Return the message in a frame, None when there is none that can be read."""
    _, start, payload = unit.partition(b"\x0b")
    if not start:
        return None
    try:
        return parse(payload.removesuffix(TAIL))
    except HL7Error:
        return None


class Refusal(Whole):
    """Answers in the receiver's place, which never hears of the message."""

    kind = "nak"
    says = "the receiver refuses the message (HL7 table 0008)"
    doors = ("hl7",)
    takes = (
        Argument("code", "MSA-1", "AE", "text", choices=("AE", "AR", "CE", "CR")),
        Argument("text", "the reason it gives", "the database is locked", "text"),
    )

    def whole(self, line: Line, unit: bytes) -> None:
        """Refuse the message that is due."""
        message = message_of(unit)
        if message is None or not self.chosen(line):
            line.give(REQUEST, unit)
            return
        why = HL7Error(_INTERNAL, "", self.args["text"])
        answer = acknowledgement(
            message,
            self.args["code"],
            control=f"NAK{line.number}.{self.hits}",
            now=datetime.now().astimezone(),
            error=why,
        )
        self.acted(f"{self.args['code']} to {message.control}", line, REQUEST, len(unit))
        line.give(ANSWER, frame(answer))


class WrongMessage(Whole):
    """Lets an answer say that it is to another message."""

    kind = "wrong-msa"
    says = "the answer is not to this message (MSA-2)"
    doors = ("hl7",)
    usual = ANSWER

    def whole(self, line: Line, unit: bytes) -> None:
        """Change MSA-2 of the answer that is due."""
        answer = message_of(unit)
        control = answer["MSA-2"].encode() if answer is not None else b""
        if not control or not self.chosen(line):
            line.give(self.side, unit)
            return
        head, name, rest = unit.partition(b"\rMSA")
        fields = rest.split(rest[:1], 3)
        fields[2] = b"X" + fields[2][1:] if fields[2][:1] != b"X" else b"Y" + fields[2][1:]
        self.forged.add(control.decode())
        self.acted(f"MSA-2 of the answer to {control.decode()} changed", line, self.side, len(unit))
        line.give(self.side, head + name + rest[:1].join(fields))


class Twice(Whole):
    """Hands a frame or PDU on twice: a message, or an answer."""

    kind = "twice"
    says = "a message or an answer arrives twice"
    doors = ("hl7",)

    def whole(self, line: Line, unit: bytes) -> None:
        """Repeat the message that is due."""
        message = message_of(unit)
        line.give(self.side, unit)
        if message is None or not self.chosen(line):
            return
        self.forged.add(message["MSA-2"] or message.control)
        self.acted("repeated", line, self.side, len(unit))
        line.give(self.side, unit)


class Junk(Whole):
    """Puts bytes between frames, which are no part of any (HL7 2.5.1 appendix C.2)."""

    kind = "junk"
    says = "line ends and other bytes stand between messages"
    doors = ("hl7",)
    takes = (Argument("bytes", "how many", 2, "number", 1, 1000),)

    def whole(self, line: Line, unit: bytes) -> None:
        """Put line ends before the message that is due."""
        if not self.chosen(line):
            line.give(self.side, unit)
            return
        junk = (b"\r\n" * int(self.args["bytes"]))[: int(self.args["bytes"])]
        self.acted("bytes put before a message", line, self.side, len(junk))
        line.give(self.side, junk + unit)
