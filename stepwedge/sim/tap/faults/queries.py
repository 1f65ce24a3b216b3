"""D10 and D11: the answers to a query or retrieval end otherwise than they should, or do not end, or are called off."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from stepwedge.sim.tap.dimse import SERVICES, Messages, written
from stepwedge.sim.tap.fault import ANSWER, REQUEST, Argument
from stepwedge.wire import command as commands
from stepwedge.wire.command import RESPONSE, Field

if TYPE_CHECKING:
    from stepwedge.sim.tap.dimse import Message
    from stepwedge.sim.tap.fault import Side, Wish
    from stepwedge.sim.tap.line import Line
    from stepwedge.sim.tap.tap import Tap
    from stepwedge.wire.command import Command

PENDING, WARNED, CANCELLED = 0xFF00, 0xFF01, 0xFE00
"""Status of C-FIND (PS3.4 table C.4-1)."""
_SEVERAL: Final = tuple(name for name in SERVICES if name in {"c-find", "c-move", "c-get"})
_PACE: Final = 0.005
"""Seconds between matches that have no end."""


class Matches(Messages):
    """Changes what answers a C-FIND: a match, or the end of the list."""

    kind = "matches"
    says = "the matches of a query are called off, marked, many, without end, or their list lacks its last response"
    usual = ANSWER
    takes = (
        Argument(
            "what",
            "what becomes of them",
            "cancelled",
            "text",
            choices=("cancelled", "warned", "unfinished", "many", "endless"),
        ),
        Argument("copies", "how many of each, with many", 1000, "number", 2, 100_000),
    )

    def __init__(self, wish: Wish) -> None:
        """Repeat nothing."""
        super().__init__(wish)
        self._endless: dict[int, tuple[Line, asyncio.TimerHandle]] = {}

    def wanted(self, line: Line, side: Side, command: Command) -> bool:
        """Choose matches, or the last response."""
        del side
        if command["CommandField"] != Field.C_FIND | RESPONSE or line.number in self._endless:
            return bool(line.number in self._endless)
        last = command.get("Status") not in {PENDING, WARNED}
        return last == (self.args["what"] in {"cancelled", "unfinished"})

    def taken(self, line: Line, side: Side, command: Command) -> bool:
        """Take nothing but what follows, once there is no end."""
        return self.wanted(line, side, command) and (line.number in self._endless or self.chosen(line))

    def act(self, line: Line, side: Side, message: Message) -> None:
        """Do what the scenario wants."""
        what = self.args["what"]
        if line.number in self._endless:
            return  # what the receiver says is nobody's
        if what == "endless":
            self._once_more(line, message)
            return
        self.acted(f"matches: {what}", line, side, message.size)
        if what == "cancelled":
            line.give(side, message.changed({"Status": CANCELLED}))
        elif what == "warned":
            line.give(side, message.changed({"Status": WARNED}))
        elif what == "many":
            line.give(side, message.raw * int(self.args["copies"]))

    def _once_more(self, line: Line, message: Message) -> None:
        if line.over:
            return
        self.acted("one more match", line, ANSWER, message.size)
        line.give(ANSWER, message.raw)
        again = asyncio.get_running_loop().call_later(_PACE, self._once_more, line, message)
        self._endless[line.number] = (line, again)

    async def lift(self, tap: Tap) -> None:
        """End the lists that have no end, and their associations with them."""
        for line, again in self._endless.values():
            again.cancel()
            line.reset()
        await super().lift(tap)

    def remains(self) -> str:
        """Tell of lists that go on."""
        left = sum(not line.over for line, _ in self._endless.values())
        return f"{left} lists without end" if left else super().remains()


class Cancel(Messages):
    """Calls an operation off in the caller's place, behind the pending responses it was told."""

    kind = "cancel"
    says = "the caller calls a query or retrieval off (C-CANCEL)"
    takes = (
        Argument("service", "which operation", "c-move", "text", choices=_SEVERAL),
        Argument("pending", "behind how many pending responses; 0 is at once", 0, "number", 0, 1000),
    )

    def __init__(self, wish: Wish) -> None:
        """Count nothing."""
        super().__init__(wish)
        self._pending: dict[tuple[int, int], int] = {}

    def concerns(self, side: Side) -> bool:
        """Look at the request and at its responses."""
        return bool(side)

    def wanted(self, line: Line, side: Side, command: Command) -> bool:
        """Choose operations of the service, and the responses of those."""
        service = SERVICES[self.args["service"]]
        if side == REQUEST:
            return bool(command["CommandField"] == service)
        return (line.number, command.get("MessageIDBeingRespondedTo")) in self._pending

    def taken(self, line: Line, side: Side, command: Command) -> bool:
        """Take the operation that is due, and its responses."""
        return self.wanted(line, side, command) and (side != REQUEST or self.chosen(line))

    def act(self, line: Line, side: Side, message: Message) -> None:
        """Count the pending ones."""
        command = message.command
        number = command["MessageID"] if side == REQUEST else command["MessageIDBeingRespondedTo"]
        key = (line.number, number)
        line.give(side, message.raw)
        if side == REQUEST:
            self._pending[key] = int(self.args["pending"])
        elif command.get("Status") in {PENDING, WARNED}:
            self._pending[key] -= 1
        else:
            del self._pending[key]  # it was over before
            return
        if self._pending[key] == 0:
            del self._pending[key]
            self.acted(f"{self.args['service'].upper()} {number} called off", line, REQUEST)
            said = {
                "CommandField": int(Field.C_CANCEL),
                "MessageIDBeingRespondedTo": number,
                "CommandDataSetType": commands.NO_DATA_SET,
            }
            line.give(REQUEST, written(message.context_id, said))
