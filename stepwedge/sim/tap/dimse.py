"""What faults share that look at whole DIMSE messages (PS3.7 section 6.3): one is handed on as it came, or acted upon."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Final

from stepwedge.errors import RemoteProtocolError
from stepwedge.sim.tap.whole import Whole
from stepwedge.wire import command as commands
from stepwedge.wire import elements as datasets
from stepwedge.wire import pdu
from stepwedge.wire.command import Field

if TYPE_CHECKING:
    from stepwedge.sim.tap.fault import Side, Wish
    from stepwedge.sim.tap.line import Line
    from stepwedge.sim.tap.tap import Tap
    from stepwedge.wire.command import Command
    from stepwedge.wire.elements import Elements

DOORS: Final = ("dicom", "worklist")
SERVICES: Final = {field.service.lower(): field for field in Field if field is not Field.C_CANCEL}
"""The requests a scenario can name."""
OURS: Final = 0xE000
"""From here on are the Message IDs of requests that a tap makes in the caller's place."""
MOST: Final = 64 << 20
"""Bytes of one message that are kept; a longer one is not acted upon."""
_FRAGMENT: Final = 4096
"""Every receiver takes PDUs of this size, whatever was negotiated (DCMTK's and Orthanc's least)."""


class Message:
    """The PDUs of one DIMSE message, as far as they have come.

    Attributes:
        stray: it began before anybody looked, or cannot be read, so that nobody knows what it is.
        asked: whether it was decided if it is acted upon.
    """

    def __init__(self) -> None:
        """Have nothing."""
        self.pdus: list[bytes] = []
        self.command: Command = {}
        self.context_id = 0
        self.over = self.stray = self.asked = False
        self.size = 0
        self._parts: list[bytes] = []

    def take(self, unit: bytes) -> None:
        """Take a P-DATA-TF; raises RemoteProtocolError for what is none."""
        self.pdus.append(unit)
        self.size += len(unit)
        for value in pdu.values(unit[pdu.HEADER.size :]):
            self.context_id = value.context_id
            if value.is_command:
                self._parts.append(bytes(value.fragment))
                if value.is_last:
                    self.command = commands.decode(b"".join(self._parts))
                    self.over = not commands.has_data_set(self.command)
                continue
            self.stray |= not self.command
            self.over |= value.is_last

    @property
    def raw(self) -> bytes:
        """The message as it came."""
        return b"".join(self.pdus)

    @property
    def data(self) -> bytes:
        """The data set; empty when there is none."""
        return b"".join(
            bytes(value.fragment)
            for unit in self.pdus
            for value in pdu.values(unit[pdu.HEADER.size :])
            if not value.is_command
        )

    @property
    def explicit(self) -> bool:
        """Whether the data set names value representations; told by the two letters behind its first tag."""
        return self.data[4:6].isalpha()

    def elements(self) -> Elements:
        """Read the data set; raises RemoteProtocolError for one that is compressed as a whole or big endian."""
        return datasets.decode(self.data, explicit=self.explicit)

    def changed(self, command: Command, elements: Elements | None = None) -> bytes:
        """Write it again with other command elements, and with another data set when one is given."""
        data = self.data if elements is None else datasets.encode(elements, explicit=self.explicit)
        return written(self.context_id, self.command | command, data)


def written(context_id: int, command: Command, data: bytes = b"") -> bytes:
    """Write a message as P-DATA-TF."""
    parts: list[bytes | memoryview] = [
        *pdu.fragments(context_id, commands.encode(command), _FRAGMENT, is_command=True)
    ]
    if commands.has_data_set(command):
        parts += pdu.fragments(context_id, data, _FRAGMENT, is_command=False)
    return b"".join(parts)


def response(asked: Command, status: int) -> Command:
    """Return the command set that answers a request without a data set (PS3.7 chapters 9 and 10)."""
    about = {
        f"Affected{name}": asked.get(f"Affected{name}") or asked.get(f"Requested{name}")
        for name in ("SOPClassUID", "SOPInstanceUID")
    }
    return {
        **{name: value for name, value in about.items() if value},
        **{name: asked[name] for name in ("EventTypeID", "ActionTypeID") if name in asked},
        "CommandField": asked["CommandField"] | commands.RESPONSE,
        "MessageIDBeingRespondedTo": asked["MessageID"],
        "CommandDataSetType": commands.NO_DATA_SET,
        "Status": status,
    }


def answers(command: Command) -> int | None:
    """Return the Message ID that a response answers; None for a request."""
    if not command["CommandField"] & commands.RESPONSE:
        return None
    return int(command.get("MessageIDBeingRespondedTo", -1))


class Messages(Whole, ABC):
    """Is asked about the command of each message: to hand on its PDUs, or to keep them and say something else.

    Attributes:
        keeps: whether the data set of a message that is acted upon is kept; else it is nobody's.
    """

    doors = DOORS
    keeps: ClassVar[bool] = True

    def __init__(self, wish: Wish) -> None:
        """Have no message under way."""
        super().__init__(wish)
        self._messages: dict[tuple[int, Side], tuple[Line, Message]] = {}
        self._taken: set[tuple[int, Side]] = set()

    @abstractmethod
    def wanted(self, line: Line, side: Side, command: Command) -> bool:
        """Tell whether a message is one of those to act upon."""

    def taken(self, line: Line, side: Side, command: Command) -> bool:
        """Tell whether a message is acted upon: a wanted one, when it is due."""
        return self.wanted(line, side, command) and self.chosen(line)

    @abstractmethod
    def act(self, line: Line, side: Side, message: Message) -> None:
        """Act upon a whole message, none of which was handed on."""

    def other(self, line: Line, side: Side, unit: bytes) -> None:
        """Decide about a PDU that is no P-DATA-TF."""
        line.give(side, unit)

    def unit(self, line: Line, side: Side, unit: bytes) -> None:
        """Put messages together; a data set is kept only of those that are acted upon."""
        if unit[0] != pdu.Kind.P_DATA_TF:
            self.other(line, side, unit)
            return
        here = (line.number, side)
        _, message = self._messages.setdefault(here, (line, Message()))
        try:
            message.take(unit)
            if message.command and not message.asked and not message.stray:
                message.asked = True
                if self.taken(line, side, message.command):
                    self._taken.add(here)
        except (RemoteProtocolError, KeyError):  # the systems themselves will say what is wrong with it
            message.over = message.stray = True
        if not message.command and not message.stray:
            return  # the command goes on
        if here not in self._taken or message.size > MOST:
            self._taken.discard(here)
            line.give(side, message.raw)
            message.pdus.clear()
        elif not message.over and not self.keeps:
            message.pdus.clear()
        if message.over:
            del self._messages[here]
            if here in self._taken:
                self._taken.discard(here)
                self.act(line, side, message)

    async def lift(self, tap: Tap) -> None:
        """Let go what is not whole; a line that lacks something is reset."""
        for (number, side), (line, message) in self._messages.items():
            line.give(side, message.raw)
            if (number, side) in self._taken and not self.keeps:
                line.reset()
        self._messages.clear()
        await super().lift(tap)
