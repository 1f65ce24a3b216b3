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
from stepwedge.wire.command import RESPONSE, Command, Field
from stepwedge.wire.dimse import Message
from stepwedge.wire.status import SUCCESS

_P_DATA: Final = struct.Struct(">BxI")
_VALUE: Final = struct.Struct(">IBB")
_ANSWERED: Final = b"\0\0\x20\1\2\0\0\0"
"""Message ID Being Responded To (0000,0120) in a command set, before its two bytes."""
_LENGTH: Final = 4
"""Bytes of an item length, which do not count in it."""


class Unusual(Exception):
    """What came is not simply the next response; ``Replies.take()`` has it."""


class Replies:
    """What the peer says to one request.

    Args:
        context_id: the presentation context of the request.
        kind: its Command Field.
        message_id: its Message ID.
        instance: the SOP instance that a response may name; "" for none.
        max_pdu: our maximum length received.

    Attributes:
        last: the bytes of the last response.
        closed: set by the shell when nothing more will come.
    """

    def __init__(self, context_id: int, kind: Field, message_id: int, instance: str, max_pdu: int) -> None:
        self._context_id = context_id
        self._kind = kind
        self._message_id = message_id
        self._instance = instance
        self._limit = max_pdu
        self._buffer = b""
        self._at = 0
        self._pdus = 0
        self._read = 0
        self.closed = False
        self.last = b""

    def receive_data(self, data: bytes) -> None:
        """Take what arrived."""
        self._buffer = self._buffer[self._at :] + data
        self._at = 0

    @property
    def pending(self) -> int:
        """Bytes that are no whole response yet."""
        return len(self._buffer) - self._at

    def request(self, command: Command) -> Message:
        """Return the request that is answered here, of which ``command`` is what does not vary."""
        varying: Command = {"MessageID": self._message_id}
        if self._instance:
            varying["AffectedSOPInstanceUID"] = self._instance
        return Message(self._context_id, {**command, **varying})

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
            command["CommandField"] != self._kind | RESPONSE
            or command.get("MessageIDBeingRespondedTo") != self._message_id
            or "Status" not in command
            or (self._instance and command.get("AffectedSOPInstanceUID", self._instance) != self._instance)
        ):
            raise Unusual
        self.last = self._buffer[self._at : end]
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


class Usual:
    """The response of success that a peer gives to each C-STORE: the same bytes but for Message ID and instance.

    What equals it to the byte was read and judged before; everything else goes the longer way.
    """

    def __init__(self) -> None:
        self._between: tuple[bytes, bytes, bytes] | None = None
        self._named = 0
        self._command: Command = {}

    def learn(self, raw: bytes, command: Command) -> None:
        """Take note of a response that was judged: its bytes and its command set."""
        if command["Status"] != SUCCESS or not command.get("AffectedSOPInstanceUID") or not raw:
            return
        instance = _uid(command["AffectedSOPInstanceUID"])
        identified = raw.find(_ANSWERED) + len(_ANSWERED)
        named = raw.find(instance)
        if named > identified + 2 and identified >= len(_ANSWERED):
            self._between = raw[:identified], raw[identified + 2 : named], raw[named + len(instance) :]
            self._command = command
            self._named = len(instance)

    def expected(self, message_id: int, instance: str) -> bytes:
        """Return the usual response to a message, empty when there is none."""
        name = _uid(instance)
        if self._between is None or len(name) != self._named:
            return b""
        before, between, behind = self._between
        return b"".join((before, message_id.to_bytes(2, "little"), between, name, behind))

    def command(self, message_id: int, instance: str) -> Command:
        """Return the command set of the usual response."""
        varying = {"MessageIDBeingRespondedTo": message_id, "AffectedSOPInstanceUID": instance}
        return {**self._command, **varying}


def _uid(value: str) -> bytes:
    raw = value.encode("ascii")
    return raw + b"\0" if len(raw) % 2 else raw


def _command(raw: bytes) -> tuple[Command, bool]:
    """Read a command set; tell whether a data set follows."""
    try:
        command = commands.decode(raw)
        return command, commands.has_data_set(command)
    except RemoteProtocolError as error:
        raise Unusual from error
