"""D7 and D9: a request is made twice: the same, or about the same object with another content."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stepwedge.errors import RemoteProtocolError
from stepwedge.sim.tap.dimse import OURS, SERVICES, Messages, answers
from stepwedge.sim.tap.fault import Argument

if TYPE_CHECKING:
    from stepwedge.sim.tap.dimse import Message
    from stepwedge.sim.tap.fault import Side, Wish
    from stepwedge.sim.tap.line import Line
    from stepwedge.sim.tap.tap import Tap
    from stepwedge.wire.command import Command

SHOWN: Final = 64
"""Bytes of the pixels that are turned over."""


class Repeated(Messages):
    """Makes a request again before its answer is handed on; the answer to the second one is written down, and nobody's."""

    kind = "repeat"
    says = (
        "the caller makes a request twice, the second time perhaps with other pixels or for another patient"
    )
    takes = (
        Argument("service", "which requests", "c-store", "text", choices=tuple(SERVICES)),
        Argument(
            "other",
            "what differs the second time",
            "nothing",
            "text",
            choices=("nothing", "pixels", "patient"),
        ),
    )

    def __init__(self, wish: Wish) -> None:
        """Have repeated nothing."""
        super().__init__(wish)
        self._first: dict[tuple[int, int], bytes] = {}  # line and Message ID -> what is said the second time
        self._second: dict[tuple[int, int], tuple[Line, Message]] = {}  # the answer that is held until then

    def concerns(self, side: Side) -> bool:
        """Look at requests and responses."""
        return bool(side)

    def wanted(self, line: Line, side: Side, command: Command) -> bool:
        """Choose requests of the service."""
        del line
        return side == self.side and bool(command["CommandField"] == SERVICES[self.args["service"]])

    def taken(self, line: Line, side: Side, command: Command) -> bool:
        """Take what is repeated, and the answers to it."""
        asked = (line.number, answers(command))
        if side != self.side and asked[1] is not None:
            return asked in self._first or asked in self._second
        return super().taken(line, side, command)

    def act(self, line: Line, side: Side, message: Message) -> None:
        """Hand the request on; when it is answered make it again, and hand on the first answer behind the second."""
        asked = answers(message.command)
        if side == self.side:
            self._first[line.number, message.command["MessageID"]] = self.again(message)
            line.give(side, message.raw)
            return
        assert asked is not None  # noqa: S101 - taken() took no other
        if (again := self._first.pop((line.number, asked), None)) is not None:
            self._second[line.number, asked | OURS] = (line, message)
            line.give(self.side, again)
            return
        _, first = self._second.pop((line.number, asked))
        what = self.args["service"].upper()
        status = f"{message.command.get('Status', 0):04X}"
        self.acted(f"{what} repeated, {self.args['other']} else: {status}", line, self.side)
        line.give(side, first.raw)

    def again(self, message: Message) -> bytes:
        """Return what is said the second time."""
        other, number = self.args["other"], {"MessageID": message.command["MessageID"] | OURS}
        if other == "nothing":
            return message.changed(number)
        try:
            elements = message.elements()
        except RemoteProtocolError:
            return message.changed(number)
        if other == "patient":
            nobody = f"{elements.get('PatientID', '')}9"
            self.forged.add(nobody)
            return message.changed(number, elements | {"PatientID": nobody})
        pixels = elements.get("PixelData", b"")
        turned = bytes(255 - one for one in pixels[:SHOWN]) + pixels[SHOWN:]
        return message.changed(number, elements | {"PixelData": turned})

    async def lift(self, tap: Tap) -> None:
        """Reset the lines on which an answer is still held: what comes there would be nobody's."""
        for line, _ in self._second.values():
            line.reset()
        self._second.clear()
        await super().lift(tap)
