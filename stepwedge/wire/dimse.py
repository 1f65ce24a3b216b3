"""DIMSE messages over one association (PS3.7 section 6.3, PS3.8 annex E), sans-io."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from stepwedge.errors import LocalProtocolError, RemoteProtocolError
from stepwedge.wire import command as commands
from stepwedge.wire.dul import Data, Event, Primitive, UpperLayer
from stepwedge.wire.elements import IMPLICIT_LE, Elements, decode
from stepwedge.wire.encodings import plain
from stepwedge.wire.negotiation import ACCEPTED, Acceptance, Context, Extended, Proposal

if TYPE_CHECKING:
    from stepwedge.wire.command import Command
    from stepwedge.wire.pdu import Value

MAX_COMMAND: Final = 1 << 16
MAX_DATA: Final = 1 << 30


class Message(NamedTuple):
    """One DIMSE message: the command set and the encoded data set, if any."""

    context_id: int
    command: Command
    data: bytes = b""

    @property
    def is_response(self) -> bool:
        """Tell responses from requests; a C-CANCEL is a request."""
        return bool(self.command["CommandField"] >= commands.RESPONSE)


@dataclass(frozen=True, slots=True)
class Agreed:
    """An accepted presentation context."""

    id: int
    abstract: str
    transfer: str

    @property
    def explicit(self) -> bool:
        """Tell whether data sets carry their value representations."""
        return self.transfer != IMPLICIT_LE


@dataclass(frozen=True, slots=True)
class PeerInfo:
    """Who is at the other end of an association, and which one it is in this process.

    Attributes:
        extended: the options that were agreed on by SOP Class Extended Negotiation.
    """

    calling: str
    called: str
    host: str
    port: int
    association: int
    extended: tuple[Extended, ...] = ()

    def agreed(self, abstract: str, option: int) -> bool:
        """Tell whether an option of a SOP class, counted from 0, was agreed on."""
        return any(
            each.abstract == abstract and each.information[option : option + 1] == b"\1"
            for each in self.extended
        )


@dataclass(slots=True)
class DimseExchange:
    """One finished DIMSE operation, as its observer gets it.

    Attributes:
        direction: ``in`` when the peer asked, ``out`` when we did.
        kind: the service, such as ``C-FIND``.
        peer: the association.
        context: the presentation context; ``context.explicit`` tells how ``data`` and ``answers`` are encoded.
        request: the request's command set.
        data: the request's data set as it passed.
        answers: the data sets of pending responses (C-FIND), as they passed.
        response: the final response's command set; empty when there was none.
        response_data: the final response's data set.
        status: the final status; None when there was none.
        outcome: ``answered``, or ``lost``, ``timeout``, ``refused``, ``protocol`` when there is no final status.
        error: what went wrong, in words.
        took: seconds from the request to the final response.
    """

    direction: str
    kind: str
    peer: PeerInfo
    context: Agreed
    request: Command
    data: bytes = b""
    answers: list[bytes] = field(default_factory=list)
    response: Command = field(default_factory=dict)
    response_data: bytes = b""
    status: int | None = None
    outcome: str = "answered"
    error: str = ""
    took: float = 0.0

    def elements(self, raw: bytes, *, stop_before_pixels: bool = True) -> Elements:
        """Decode one of the data sets."""
        data, syntax = plain(raw, self.context.transfer)
        return decode(data, explicit=syntax != IMPLICIT_LE, stop_before_pixels=stop_before_pixels)


class Channel:
    """Cuts messages into P-DATA and puts them together again.

    Args:
        upper: the association's upper layer.
        max_data: bound for one data set in bytes.
    """

    def __init__(self, upper: UpperLayer, *, max_data: int = MAX_DATA) -> None:
        self.upper = upper
        self.max_data = max_data
        self.contexts: dict[int, Agreed] = {}
        self.roles: dict[str, tuple[bool, bool]] = {}
        self._proposed: tuple[Context, ...] = ()
        self._values: deque[Value] = deque()
        self._command: Command | None = None
        self._context_id = 0
        self._parts: list[memoryview] = []
        self._size = 0

    def send(self, primitive: Primitive) -> bytes:
        """Return the bytes of an association primitive, remembering what was negotiated."""
        raw = self.upper.send(primitive)
        if isinstance(primitive, Proposal):
            self._proposed = primitive.contexts
        elif isinstance(primitive, Acceptance):
            self._agree(primitive)
        return raw

    def send_message(self, message: Message) -> list[bytes | memoryview]:
        """Return the buffers of a message; the data set is not copied."""
        if message.context_id not in self.contexts:
            raise LocalProtocolError(f"presentation context {message.context_id} is not accepted")
        buffers = self.upper.send_data(message.context_id, commands.encode(message.command), is_command=True)
        if message.command["CommandDataSetType"] != commands.NO_DATA_SET:
            buffers += self.upper.send_data(message.context_id, message.data, is_command=False)
        return buffers

    @property
    def idle(self) -> bool:
        """Tell whether nothing that came waits to be taken, or to become whole."""
        return not (self._values or self._parts or self._command is not None or self.upper.pending)

    def next_event(self) -> Event | Message:
        """Return the next message or association event."""
        while True:
            while self._values:
                if (message := self._value(*self._values.popleft())) is not None:
                    return message
            event = self.upper.next_event()
            if isinstance(event, Data):
                self._values.extend(event.values)
                continue
            if isinstance(event, Proposal):
                self._proposed = event.contexts
            elif isinstance(event, Acceptance):
                self._agree(event)
            return event

    def _agree(self, acceptance: Acceptance) -> None:
        proposed = {context.id: context for context in self._proposed}
        for answer in acceptance.answers:
            context = proposed.get(answer.id)
            if context is None:
                raise self.upper.invalid(f"presentation context {answer.id} is answered but was not proposed")
            if answer.result != ACCEPTED:
                continue
            if answer.transfer not in context.transfers:
                raise self.upper.invalid(
                    f"context {answer.id} is accepted with {answer.transfer!r}, not proposed"
                )
            self.contexts[answer.id] = Agreed(answer.id, context.abstract, answer.transfer)
        self.roles = {role.abstract: (role.scu, role.scp) for role in acceptance.roles}

    def _value(
        self, context_id: int, is_command: bool, is_last: bool, fragment: memoryview
    ) -> Message | None:
        """Take one presentation data value; return the message it completes."""
        if context_id not in self.contexts:
            raise self.upper.invalid(
                f"data came for presentation context {context_id}, which is not accepted"
            )
        if (self._parts or self._command is not None) and context_id != self._context_id:
            raise self._broken(f"context {context_id} interrupts a message of context {self._context_id}")
        self._context_id = context_id
        if is_command is not (self._command is None):
            raise self._broken("a command set and a data set are interleaved (PS3.7 section 6.3)")
        self._size += len(fragment)
        if self._size > (MAX_COMMAND if is_command else self.max_data):
            raise self._broken(f"a {'command' if is_command else 'data'} set grows beyond its bound")
        self._parts.append(fragment)
        return self._complete() if is_last else None

    def _complete(self) -> Message | None:
        raw = b"".join(self._parts)
        self._parts, self._size = [], 0
        if self._command is None:
            try:
                command = commands.decode(raw)
                follows = commands.has_data_set(command)
            except RemoteProtocolError as error:
                raise self._broken(str(error)) from error
            if follows:
                self._command = command
                return None
            return Message(self._context_id, command)
        command, self._command = self._command, None
        return Message(self._context_id, command, raw)

    def _broken(self, message: str) -> RemoteProtocolError:
        """Abort as the service user: the upper layer did its part, the message is wrong."""
        self.upper.abort()
        return RemoteProtocolError(message)
