"""Responses to one request, read with as little work as an ordinary peer needs; sans-io.

Nothing is decided here that is not exactly as PS3.7 has it. Whatever else comes (an abort, a request of the peer, an answer to
another message, a broken PDU) is *unusual*: its bytes are handed back untouched, for the upper layer and the conversation to say
what it means.
"""

from __future__ import annotations

import struct
from typing import Final

from stepwedge.errors import RemoteProtocolError
from stepwedge.wire import command as commands
from stepwedge.wire import pdu
from stepwedge.wire.command import RESPONSE, Command
from stepwedge.wire.dimse import Message

_P_DATA: Final = struct.Struct(">BxI")
_VALUE: Final = struct.Struct(">IBB")
_LENGTH: Final = 4
"""Bytes of an item length, which do not count in it."""


class Unusual(Exception):
    """What came is not simply the next response; ``Replies.take()`` has it."""


class Replies:
    """What the peer says to one request.

    Args:
        request: the request, with its Message ID, and its SOP instance if it has one.
        max_pdu: our maximum length received.
    """

    def __init__(self, request: Message, max_pdu: int) -> None:
        command = request.command
        self._context_id = request.context_id
        self._field = command["CommandField"] | RESPONSE
        self._message_id = command["MessageID"]
        self._instance = command.get("AffectedSOPInstanceUID", "")
        self._limit = max_pdu
        self._buffer = b""
        self._at = 0
        self._pdus = 0
        self._read = 0

    def receive_data(self, data: bytes) -> None:
        """Take what arrived."""
        self._buffer = self._buffer[self._at :] + data
        self._at = 0

    def take(self) -> bytes:
        """Return, once, what was not understood or not needed."""
        left, self._buffer, self._at = self._buffer[self._at :], b"", 0
        return left

    def took(self) -> tuple[int, int]:
        """Return, once, how many PDUs and bytes were read as responses."""
        counts, self._pdus, self._read = (self._pdus, self._read), 0, 0
        return counts

    def next(self) -> Message | None:
        """Return the next response, None when bytes are missing; raise Unusual when anything else came."""
        found = self._message()
        if found is None:
            return None
        command, data, end, count = found
        if (
            command["CommandField"] != self._field
            or command.get("MessageIDBeingRespondedTo") != self._message_id
            or "Status" not in command
            or (self._instance and command.get("AffectedSOPInstanceUID", self._instance) != self._instance)
        ):
            raise Unusual
        self._pdus += count
        self._read += end - self._at
        self._at = end
        return Message(self._context_id, command, data)

    def _message(self) -> tuple[Command, bytes, int, int] | None:
        """Return command set, data set, offset behind, and PDUs of one message of whole P-DATA-TF."""
        at, count = self._at, 0
        parts: list[bytes] = []
        command: Command = {}
        while (end := self._unit(at)) is not None:
            count, at = count + 1, at + _P_DATA.size
            while at < end:
                is_command, is_last, fragment, at = self._value(at, end)
                if is_command is not (not command):
                    raise Unusual
                parts.append(fragment)
                if not is_last:
                    continue
                if is_command:
                    command, follows = _command(b"".join(parts))
                    parts = []
                    if follows:
                        continue
                if at != end:
                    raise Unusual
                return command, b"".join(parts), end, count
        return None

    def _unit(self, at: int) -> int | None:
        """Return the end of the P-DATA-TF at ``at``, None when it is not whole."""
        whole = len(self._buffer)
        if whole - at < _P_DATA.size:
            return None
        kind, length = _P_DATA.unpack_from(self._buffer, at)
        if kind != pdu.Kind.P_DATA_TF or not length or length > self._limit:
            raise Unusual
        end: int = at + _P_DATA.size + length
        return end if end <= whole else None

    def _value(self, at: int, end: int) -> tuple[bool, bool, bytes, int]:
        """Return one presentation data value, command or not, last or not, and the offset behind it."""
        if end - at < _VALUE.size:
            raise Unusual
        size, context_id, control = _VALUE.unpack_from(self._buffer, at)
        start, stop = at + _VALUE.size, at + _LENGTH + size
        if not start <= stop <= end or context_id != self._context_id:
            raise Unusual
        return bool(control & pdu.COMMAND), bool(control & pdu.LAST), self._buffer[start:stop], stop


def _command(raw: bytes) -> tuple[Command, bool]:
    """Read a command set; tell whether a data set follows."""
    try:
        command = commands.decode(raw)
        return command, commands.has_data_set(command)
    except RemoteProtocolError as error:
        raise Unusual from error
