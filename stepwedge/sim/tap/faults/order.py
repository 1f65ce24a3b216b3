"""H5 and H6: messages that arrive in another order than they were sent, and answers that come in two halves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from stepwedge.sim.tap.fault import ANSWER, REQUEST, Argument
from stepwedge.sim.tap.faults.acknowledgements import message_of
from stepwedge.sim.tap.whole import Whole
from stepwedge.wire.hl7 import acknowledgement
from stepwedge.wire.mllp import frame

if TYPE_CHECKING:
    from stepwedge.sim.tap.fault import Side, Wish
    from stepwedge.sim.tap.line import Line
    from stepwedge.sim.tap.tap import Tap
    from stepwedge.wire.hl7 import Message


@dataclass(slots=True)
class _Late:
    """A message that is overtaken: held until another was answered, then sent, until it is answered itself."""

    line: Line
    unit: bytes
    control: str
    type: str
    overtaker: str = ""
    sent: bool = False


class Reordered(Whole):
    """Acknowledges a message in the receiver's place, and brings it behind the next one, as a queue with two hands does."""

    kind = "reorder"
    says = "a message arrives behind the one that was sent after it"
    doors = ("hl7",)
    takes = (Argument("type", "which messages, such as ADT^A04; the first when empty", "", "text"),)

    def __init__(self, wish: Wish) -> None:
        """Hold nothing."""
        super().__init__(wish)
        self._late: dict[int, _Late] = {}

    def concerns(self, side: Side) -> bool:
        """Look at messages and at their answers."""
        return bool(side)

    def unit(self, line: Line, side: Side, unit: bytes) -> None:
        """Hold what is due, let the next one pass it, and keep the answer that its sender has had already."""
        message, late = message_of(unit), self._late.get(line.number)
        if message is None:
            line.give(side, unit)
        elif side == REQUEST:
            self._sent(line, message, unit, late)
        elif late is not None and message["MSA-2"] == late.control:
            del self._late[line.number]
            self.acted(
                f"{late.type} behind {late.overtaker}: {message['MSA-1']}", line, REQUEST, len(late.unit)
            )
        else:
            line.give(side, unit)
            if late is not None and late.overtaker and not late.sent:
                self._bring(late)

    def _sent(self, line: Line, message: Message, unit: bytes, late: _Late | None) -> None:
        if late is not None:
            late.overtaker = late.overtaker or message.type
        elif self.args["type"] in {"", message.type} and self.chosen(line):
            self._late[line.number] = _Late(line, unit, message.control, message.type)
            self.forged.add(message.control)
            control = f"LATE{line.number}.{self.hits}"
            line.give(
                ANSWER,
                frame(acknowledgement(message, "AA", control=control, now=datetime.now().astimezone())),
            )
            return
        line.give(REQUEST, unit)

    def _bring(self, late: _Late) -> None:
        late.sent = True
        late.line.give(REQUEST, late.unit)

    async def lift(self, tap: Tap) -> None:
        """Bring what is still held: its sender believes that it arrived, and will hear so a second time."""
        for late in self._late.values():
            if not late.sent and not late.line.over:
                self._bring(late)
        await super().lift(tap)

    def remains(self) -> str:
        """Tell of messages that the receiver will never have."""
        left = [late.control for late in self._late.values() if not late.sent]
        return f"not delivered: {', '.join(left)}" if left else super().remains()


class Committed(Whole):
    """Turns an answer into two: the receiver has the message in safe storage (CA), and what its application says, if anything."""

    kind = "commit"
    says = "the receiver commits itself (CA) first; its application answers afterwards, or never (HL7 2.9.3)"
    doors = ("hl7",)
    usual = ANSWER
    takes = (
        Argument("then", "MSA-1 of the second answer", "AA", "text", choices=("AA", "AE", "AR", "nothing")),
    )

    def whole(self, line: Line, unit: bytes) -> None:
        """Split the answer that is due."""
        answer = message_of(unit)
        if answer is None or not answer["MSA-2"] or not self.chosen(line):
            line.give(self.side, unit)
            return
        then, control = self.args["then"], answer["MSA-2"]
        self.forged.add(control)
        self.acted(f"CA to {control}, then {then}", line, self.side, len(unit))
        line.give(self.side, _coded(unit, "CA"))
        if then != "nothing":
            line.give(self.side, _coded(unit, then))


def _coded(unit: bytes, code: str) -> bytes:
    """Return an answer with another MSA-1."""
    head, name, rest = unit.partition(b"\rMSA")
    fields = rest.split(rest[:1], 2)
    fields[1] = code.encode()
    return head + name + rest[:1].join(fields)
