"""D5 and D6: responses that say something else than the receiver would: a status, or to another request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepwedge.sim.tap.dimse import SERVICES, Messages, response, written
from stepwedge.sim.tap.fault import ANSWER, REQUEST, Argument
from stepwedge.wire import command as commands

if TYPE_CHECKING:
    from stepwedge.sim.tap.dimse import Message
    from stepwedge.sim.tap.fault import Side
    from stepwedge.sim.tap.line import Line
    from stepwedge.wire.command import Command


class Status(Messages):
    """Answers a request in the receiver's place with a status; the receiver never hears of it."""

    kind = "status"
    says = "the receiver refuses a request, of which it never hears (PS3.7 annex C)"
    keeps = False
    takes = (
        Argument("service", "which requests", "c-store", "text", choices=tuple(SERVICES)),
        Argument("status", "the status, such as A700 (out of resources)", "A700", "code"),
    )

    def wanted(self, line: Line, side: Side, command: Command) -> bool:
        """Choose requests of the service."""
        del line, side
        return bool(command["CommandField"] == SERVICES[self.args["service"]])

    def act(self, line: Line, side: Side, message: Message) -> None:
        """Give the status."""
        del side
        asked = message.command
        status = int(self.args["status"], 16)
        self.acted(f"{status:04X} to message {asked['MessageID']}", line, REQUEST)
        line.give(ANSWER, written(message.context_id, response(asked, status)))


class OtherResponse(Messages):
    """Lets a response say that it is to another request, or about another object."""

    kind = "wrong-response"
    says = "the response is to another request, about another object, without a status, or has another one"
    usual = ANSWER
    takes = (
        Argument(
            "what",
            "what is wrong with it",
            "message-id",
            "text",
            choices=("message-id", "instance", "no-status", "status"),
        ),
        Argument("status", "the status it has then, with status", "B000", "code"),
    )

    def wanted(self, line: Line, side: Side, command: Command) -> bool:
        """Choose responses without a data set."""
        del line, side
        return bool(command["CommandField"] & commands.RESPONSE) and not commands.has_data_set(command)

    def act(self, line: Line, side: Side, message: Message) -> None:
        """Hand on a changed response."""
        del side
        answer = dict(message.command)
        if self.args["what"] == "message-id":
            answer["MessageIDBeingRespondedTo"] = (answer["MessageIDBeingRespondedTo"] + 1) % 0x10000
        elif self.args["what"] == "instance":
            answer["AffectedSOPInstanceUID"] = f"{str(answer.get('AffectedSOPInstanceUID', '1.2'))[:60]}.9"
        elif self.args["what"] == "status":
            answer["Status"] = int(self.args["status"], 16)
        else:
            answer.pop("Status", None)
        self.acted(f"response changed: {self.args['what']}", line, ANSWER)
        line.give(ANSWER, written(message.context_id, answer))
