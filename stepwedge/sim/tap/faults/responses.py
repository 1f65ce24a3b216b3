"""D5 and D6: responses that say something else than the receiver would: a status, or to another request."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from stepwedge.errors import RemoteProtocolError
from stepwedge.sim.tap.fault import ANSWER, REQUEST, Argument
from stepwedge.sim.tap.whole import Whole
from stepwedge.wire import command as commands
from stepwedge.wire import pdu
from stepwedge.wire.command import Field

if TYPE_CHECKING:
    from stepwedge.sim.tap.fault import Wish
    from stepwedge.sim.tap.line import Line

_FRAGMENT = 16384
_SERVICES = {field.service.lower(): field for field in Field if field is not Field.C_CANCEL}


class Message:
    """The PDUs of one DIMSE message, as far as they have come."""

    def __init__(self) -> None:
        """Have nothing."""
        self.pdus: list[bytes] = []
        self.command: dict[str, Any] | None = None
        self.context_id = 0
        self.over = False
        self._parts: list[bytes] = []

    def take(self, unit: bytes) -> None:
        """Take a P-DATA-TF; raises RemoteProtocolError for what is none."""
        self.pdus.append(unit)
        for value in pdu.values(unit[pdu.HEADER.size :]):
            self.context_id = value.context_id
            if value.is_command:
                self._parts.append(bytes(value.fragment))
                if value.is_last:
                    self.command = commands.decode(b"".join(self._parts))
                    self.over = not commands.has_data_set(self.command)
            elif value.is_last:
                self.over = True


def written(context_id: int, command: dict[str, Any]) -> bytes:
    """Write a command set as P-DATA-TF."""
    return b"".join(pdu.fragments(context_id, commands.encode(command), _FRAGMENT, is_command=True))


class Messages(Whole, ABC):
    """Is asked about the command of each message: to hand on its PDUs, or to keep them and say something else."""

    doors = ("dicom", "worklist")

    def __init__(self, wish: Wish) -> None:
        """Have no message under way."""
        super().__init__(wish)
        self._messages: dict[int, Message] = {}
        self._taken: set[int] = set()

    @abstractmethod
    def wanted(self, command: dict[str, Any]) -> bool:
        """Tell whether a message is one of those to act upon."""

    @abstractmethod
    def act(self, line: Line, message: Message) -> None:
        """Act upon a whole message, none of which was handed on."""

    def whole(self, line: Line, unit: bytes) -> None:
        """Put messages together; a data set is kept only of those that are acted upon."""
        if unit[0] != pdu.Kind.P_DATA_TF:
            line.give(self.side, unit)
            return
        message = self._messages.setdefault(line.number, Message())
        try:
            message.take(unit)
        except RemoteProtocolError:
            self._pass(line, message)
            del self._messages[line.number]
            return
        if message.command is None:
            return  # the command goes on
        if line.number not in self._taken:
            if self.wanted(message.command) and self.chosen(line):
                self._taken.add(line.number)
            else:
                self._pass(line, message)
        if line.number in self._taken:
            if not message.over:
                message.pdus.clear()  # the data set of a request that is answered here is nobody's
                return
            self._taken.discard(line.number)
            self.act(line, message)
        if message.over:
            del self._messages[line.number]

    def _pass(self, line: Line, message: Message) -> None:
        line.give(self.side, b"".join(message.pdus))
        message.pdus.clear()


class Status(Messages):
    """Answers a request in the receiver's place with a status; the receiver never hears of it."""

    kind = "status"
    says = "the receiver refuses a request, or takes it with a warning (PS3.7 annex C)"
    takes = (
        Argument("service", "which requests", "c-store", "text", choices=tuple(_SERVICES)),
        Argument("status", "the status, such as 42752 (A700, out of resources)", 0xA700, "number", 1, 0xFFFF),
    )

    def wanted(self, command: dict[str, Any]) -> bool:
        """Choose requests of the service."""
        return bool(command["CommandField"] == _SERVICES[self.args["service"]])

    def act(self, line: Line, message: Message) -> None:
        """Give the status."""
        asked = message.command or {}
        same = ("AffectedSOPClassUID", "AffectedSOPInstanceUID")
        status = int(self.args["status"])
        answer = {
            **{name: asked[name] for name in same if name in asked},
            "CommandField": asked["CommandField"] | commands.RESPONSE,
            "MessageIDBeingRespondedTo": asked["MessageID"],
            "CommandDataSetType": commands.NO_DATA_SET,
            "Status": status,
        }
        self.acted(f"{status:04X} to message {asked['MessageID']}", line, REQUEST)
        line.give(ANSWER, written(message.context_id, answer))


class OtherResponse(Messages):
    """Lets a response say that it is to another request, or about another object."""

    kind = "wrong-response"
    says = "the response is to another request (D6)"
    usual = ANSWER
    takes = (
        Argument(
            "what",
            "what is wrong with it",
            "message-id",
            "text",
            choices=("message-id", "instance", "no-status"),
        ),
    )

    def wanted(self, command: dict[str, Any]) -> bool:
        """Choose responses without a data set."""
        return bool(command["CommandField"] & commands.RESPONSE) and not commands.has_data_set(command)

    def act(self, line: Line, message: Message) -> None:
        """Hand on a changed response."""
        answer = dict(message.command or {})
        if self.args["what"] == "message-id":
            answer["MessageIDBeingRespondedTo"] = (answer["MessageIDBeingRespondedTo"] + 1) % 0x10000
        elif self.args["what"] == "instance":
            answer["AffectedSOPInstanceUID"] = f"{str(answer.get('AffectedSOPInstanceUID', '1.2'))[:60]}.9"
        else:
            answer.pop("Status", None)
        self.acted(f"response changed: {self.args['what']}", line, ANSWER)
        line.give(ANSWER, written(message.context_id, answer))
