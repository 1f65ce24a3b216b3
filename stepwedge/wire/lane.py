"""The fast lane of an association: compiled messages out by vectored writes, their responses in, with hardly a word of Python.

::

    study = CompiledStudy(instances)                        # once, for all associations
    with Association.open(...) as association:
        lane = Lane(association)
        for number in range(200):
            result = lane.store(study, exam | {"SOPInstanceUID": mint.uid("instance"), "InstanceNumber": str(number + 1)}, number)

It gives what :class:`~stepwedge.wire.dimse_blocking.Association` gives, and raises what it raises; both may be used in turns.
Anything but a plain response is left to the association to understand. Works under gevent unchanged. Not for two threads at once.
"""

from __future__ import annotations

import ssl
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from stepwedge.errors import RemoteProtocolError
from stepwedge.wire import pdu
from stepwedge.wire import status as codes
from stepwedge.wire.command import Field
from stepwedge.wire.compiled import INSTANCE
from stepwedge.wire.dimse_blocking import behind
from stepwedge.wire.elements import IMPLICIT_LE, decode
from stepwedge.wire.places import text_of
from stepwedge.wire.replies import Replies, Unusual, Usual
from stepwedge.wire.results import Result
from stepwedge.wire.services import MAX_ANSWERS
from stepwedge.wire.sockets import acknowledge, kept_by_kernel

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator, Mapping

    from stepwedge.wire.compiled import Buffer, CompiledMessage, CompiledQuery, CompiledStudy
    from stepwedge.wire.dimse import Message
    from stepwedge.wire.dimse_blocking import Association
    from stepwedge.wire.elements import Elements

_READ: Final = 1 << 16
_GATHERED: Final = 1024
"""Buffers of one call (IOV_MAX of Linux and macOS)."""
_JOINED: Final = 1 << 20
"""Bytes joined for one call where several buffers cannot be sent at once (TLS)."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a C-FIND returned: the matches as they came, in order, and the final status."""

    status: int
    comment: str
    transfer: str
    raw: list[bytes] = field(repr=False)

    @property
    def category(self) -> str:
        """Success, failure, cancel or unknown; anything but success means that matches may be missing."""
        return codes.category("C-FIND", self.status)

    def __len__(self) -> int:
        return len(self.raw)

    def text(self, number: int, name: str) -> str | None:
        """Return one value of one match, as :func:`stepwedge.wire.places.text_of` reads it; None when it has none."""
        return text_of(self.raw[number], name, self.transfer)

    def __getitem__(self, number: int) -> Elements:
        """Decode one match."""
        return decode(self.raw[number], explicit=self.transfer != IMPLICIT_LE)


class Lane:
    """Sends compiled messages on one association.

    On an association that was opened as ``ordinary`` each P-DATA-TF is a write of its own, and no socket option is touched.
    """

    def __init__(self, association: Association) -> None:
        self.association = association
        self._channel = association.channel
        self._contexts = tuple(self._channel.contexts.values())
        self._max_pdu = self._channel.upper.send_limit
        self._receive_limit = self._channel.upper.receive_limit
        self._usual = Usual()
        self._study: CompiledStudy | None = None
        self._messages: dict[int, CompiledMessage] = {}
        self._kept = kept_by_kernel(association.link, association.timeout)

    def store(self, study: CompiledStudy, values: Mapping[str, str], number: int = 0) -> Result:
        """C-STORE instance ``number`` of a study, counted round and round, with these values in it.

        Raises:
            LinkLost, NoAnswer, Refused, RemoteProtocolError: there was no answer; the association is over.
            LocalProtocolError: a value is missing or cannot be written.
        """
        message = self._message(study, number % len(study.instances))
        message_id = self._ask(message, values)
        instance = (
            values[INSTANCE] if INSTANCE in message.names else message.command["AffectedSOPInstanceUID"]
        )
        heard, expected = b"", self._usual.expected(message_id, instance)
        if self._channel.idle and expected:
            heard = self._read_as_far_as(expected)
            if heard == expected:
                self._channel.upper.received.whole(1, len(heard))
                return Result("C-STORE", codes.SUCCESS, "", self._usual.command(message_id, instance))
        replies = Replies(message.context.id, Field.C_STORE, message_id, instance, self._receive_limit)
        replies.receive_data(heard)
        response = self._hear(replies, message)
        self._end(replies)
        command = response.command
        self._usual.learn(replies.last, command)
        return Result("C-STORE", command["Status"], command.get("ErrorComment", ""), command)

    def find(self, query: CompiledQuery, values: Mapping[str, str]) -> Found:
        """C-FIND with these keys; raises as :meth:`store` does."""
        message = query.message(self._contexts, self._max_pdu)
        message_id = self._ask(message, values)
        replies = Replies(message.context.id, Field.C_FIND, message_id, "", self._receive_limit)
        raw: list[bytes] = []
        while True:
            response = self._hear(replies, message)
            status = response.command["Status"]
            if codes.category("C-FIND", status) != "pending":
                self._end(replies)
                return Found(status, response.command.get("ErrorComment", ""), message.context.transfer, raw)
            raw.append(response.data)
            if not response.data or len(raw) > MAX_ANSWERS:
                self.association.abort()
                raise RemoteProtocolError(
                    f"more than {MAX_ANSWERS} matches and no final C-FIND response"
                    if response.data
                    else "a pending C-FIND response holds no identifier (PS3.4 C.4.1.1.4)"
                )

    # --- one request -------------------------------------------------------------------------------------------------

    def _message(self, study: CompiledStudy, number: int) -> CompiledMessage:
        """Remember the instances of one study as compiled for this association."""
        if study is not self._study:
            self._study, self._messages = study, {}
        if (message := self._messages.get(number)) is None:
            message = self._messages[number] = study.message(number, self._contexts, self._max_pdu)
        return message

    def _ask(self, message: CompiledMessage, values: Mapping[str, str]) -> int:
        """Send a request; return its Message ID."""
        message_id = self.association.next_id()
        buffers, size, pdus = message.render(message_id, values)
        self._write(buffers, size)
        self._channel.upper.sent.whole(pdus, size)
        return message_id

    def _hear(self, replies: Replies, message: CompiledMessage) -> Message:
        """Return the next response; let the association understand whatever is more than that."""
        response = None
        deadline = time.monotonic() + self.association.timeout
        try:
            while self._channel.idle and (response := replies.next()) is None:
                if replies.pending and not self.association.ordinary:
                    acknowledge(self.association.link)
                if not (data := self._read(deadline)):
                    replies.closed = True
                    break
                replies.receive_data(data)
            if response is not None:
                return response
        except Unusual:
            pass
        self._end(replies)
        return self.association.hear(replies.request(message.command))

    def _end(self, replies: Replies) -> None:
        """Account for what was read, and leave what is more to the association."""
        upper = self._channel.upper
        upper.received.whole(*replies.took())
        if left := replies.take():
            upper.receive_data(left)
        if replies.closed:
            upper.receive_data(b"")

    # --- bytes -------------------------------------------------------------------------------------------------------

    def _write(self, buffers: list[Buffer], size: int) -> None:
        link, timeout = self.association.link, self.association.timeout
        if link.gettimeout() != (wanted := None if timeout == self._kept else timeout):
            link.settimeout(wanted)
        gone = 0
        try:
            if wanted is None and not self.association.ordinary and len(buffers) <= _GATHERED:
                gone = link.sendmsg(buffers)  # all of it, but for a peer that is slow to take it
                if gone == size:
                    return
            for count in self._sending(link, behind(buffers, gone), time.monotonic() + timeout):
                gone += count
        except OSError as error:
            sent = self._channel.upper.sent
            for unit in pdu.units(buffers):
                sent.pdu(len(unit))
            sent.wrote(gone)
            raise self.association.failed(error) from error

    def _sending(self, link: socket.socket, buffers: list[Buffer], deadline: float) -> Iterator[int]:
        """Send all; yield how much went out each time."""
        if self.association.ordinary:
            for unit in pdu.units(buffers):
                link.sendall(unit)
                yield len(unit)
        elif isinstance(link, ssl.SSLSocket):
            for joined in _joined(buffers):
                link.sendall(joined)
                yield len(joined)
        else:
            yield from _gathering(link, buffers, deadline)

    def _read_as_far_as(self, expected: bytes) -> bytes:
        """Read what may become the expected bytes; stop at once where it cannot."""
        deadline = time.monotonic() + self.association.timeout
        heard = self._read(deadline)
        while heard and len(heard) < len(expected) and expected.startswith(heard):
            if not self.association.ordinary:
                acknowledge(self.association.link)
            if not (more := self._read(deadline)):
                break
            heard += more
        return heard

    def _read(self, deadline: float) -> bytes:
        link = self.association.link
        try:
            if time.monotonic() > deadline:
                raise TimeoutError
            return link.recv(_READ)
        except OSError as error:
            raise self.association.failed(error) from error


def _gathering(link: socket.socket, buffers: list[Buffer], deadline: float) -> Iterator[int]:
    """Send several buffers with one call, again and again until all are gone; yield how much went out each time."""
    at, whole = 0, len(buffers)
    while at < whole:
        count = left = link.sendmsg(buffers[at : at + _GATHERED] if at or whole > _GATHERED else buffers)
        yield count
        while at < whole and left >= len(buffers[at]):
            left -= len(buffers[at])
            at += 1
        if left:
            buffers[at] = memoryview(buffers[at])[left:]
        if at < whole and time.monotonic() > deadline:
            raise TimeoutError


def _joined(buffers: list[Buffer]) -> Iterator[bytes]:
    """Join buffers to pieces of about a megabyte."""
    first = size = 0
    for number, buffer in enumerate(buffers, 1):
        size += len(buffer)
        if size >= _JOINED or number == len(buffers):
            yield b"".join(buffers[first:number])
            first, size = number, 0
