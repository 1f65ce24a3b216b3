"""D8: the result of storage commitment is not what was hoped for, or not what it should be (PS3.4 annex J)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stepwedge.errors import RemoteProtocolError
from stepwedge.sim.tap.dimse import Messages, response, written
from stepwedge.sim.tap.fault import ANSWER, Argument
from stepwedge.sim.tap.line import OTHER
from stepwedge.wire.command import RESPONSE, Field

if TYPE_CHECKING:
    from stepwedge.sim.tap.dimse import Message
    from stepwedge.sim.tap.fault import Side, Wish
    from stepwedge.sim.tap.line import Line
    from stepwedge.sim.tap.tap import Tap
    from stepwedge.wire.command import Command
    from stepwedge.wire.elements import Elements

EXIST, FAILURES = 1, 2
"""Event Type ID: request successful; failures exist (PS3.4 table J.3-2)."""
REASONS: Final = (0x0110, 0x0112, 0x0119, 0x0122, 0x0131, 0x0213)
"""Failure Reason (PS3.3 section C.14.1.1)."""


class Commitment(Messages):
    """Changes the N-EVENT-REPORT that brings the result, loses it, or lets it overtake the answer to the request."""

    kind = "commitment"
    says = "the result of storage commitment tells of failures, lacks objects, is another's, comes too early or never"
    usual = ANSWER
    takes = (
        Argument(
            "what",
            "what is wrong",
            "failed",
            "text",
            choices=("failed", "short", "stranger", "early", "never"),
        ),
        Argument("reason", "Failure Reason (PS3.3 C.14.1.1), with failed", "0112", "code"),
    )

    def __init__(self, wish: Wish) -> None:
        """Hold nothing."""
        super().__init__(wish)
        self._held: dict[tuple[int, Side], tuple[Line, bytes]] = {}

    def concerns(self, side: Side) -> bool:
        """Look both ways: on an association of its own the result comes with the request."""
        return bool(side)

    def wanted(self, line: Line, side: Side, command: Command) -> bool:
        """Choose results; and the answers to requests, where a result is to be there before."""
        del line, side
        return bool(command["CommandField"] == Field.N_EVENT_REPORT)

    def taken(self, line: Line, side: Side, command: Command) -> bool:
        """Take results that are due, and answers that they are to overtake."""
        if self.args["what"] != "early":
            return super().taken(line, side, command)
        if command["CommandField"] == Field.N_ACTION | RESPONSE:
            return self.chosen(line)
        return self.wanted(line, side, command) and (line.number, side) in self._held

    def act(self, line: Line, side: Side, message: Message) -> None:
        """Do what the scenario wants."""
        what = self.args["what"]
        if what == "early":
            self._overtake(line, side, message)
        elif what == "never":
            self.acted("result lost", line, side, message.size)
            line.give(OTHER[side], written(message.context_id, response(message.command, 0)))
        else:
            self._change(line, side, message, what)

    def _overtake(self, line: Line, side: Side, message: Message) -> None:
        if message.command["CommandField"] == Field.N_ACTION | RESPONSE:
            self._held[line.number, side] = (line, message.raw)
            return
        _, answer = self._held.pop((line.number, side))
        self.acted("result before the answer", line, side, message.size)
        line.give(side, message.raw + answer)

    def _change(self, line: Line, side: Side, message: Message, what: str) -> None:
        try:
            told = message.elements()
        except RemoteProtocolError:
            told = {}
        if not told.get("ReferencedSOPSequence"):
            line.give(side, message.raw)  # there is nothing to take away
            return
        command: Command = {}
        if what == "failed":
            command = {"EventTypeID": FAILURES}
            told = _failed(told, int(self.args["reason"], 16))
        elif what == "short":
            told = told | {"ReferencedSOPSequence": told["ReferencedSOPSequence"][1:]}
        else:
            told = told | {"TransactionUID": f"{told['TransactionUID'][:61]}.9"}
        told = {key: value for key, value in told.items() if value != []}
        self.forged.add(str(told.get("TransactionUID", "")))
        self.acted(f"result changed: {what}", line, side, message.size)
        line.give(side, message.changed(command, told))

    async def lift(self, tap: Tap) -> None:
        """Let the answers go that no result overtook."""
        for (_, side), (line, answer) in self._held.items():
            line.give(side, answer)
        self._held.clear()
        await super().lift(tap)


def _failed(told: Elements, reason: int) -> Elements:
    """Return a result in which the first object is not committed."""
    first, *others = told["ReferencedSOPSequence"]
    failed = [*told.get("FailedSOPSequence", []), first | {"FailureReason": reason}]
    return told | {"ReferencedSOPSequence": others, "FailedSOPSequence": failed}
