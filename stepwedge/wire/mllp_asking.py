"""One question at a time over MLLP, without a socket: an answer belongs to the message whose MSH-10 it repeats in MSA-2."""

from __future__ import annotations

from collections import deque
from typing import Final

from stepwedge.errors import LocalProtocolError, RemoteProtocolError
from stepwedge.wire.hl7 import parse
from stepwedge.wire.mllp import CLOSED, MESSAGE_LIMIT, NEED_DATA, Frame, Framer, frame

_REMEMBERED: Final = 1000


class Asking:
    """The asking side of one connection.

    An acknowledgement that comes after its question was given up is recognised by MSA-2 and kept in ``late``; an
    answer to something that was never asked is the peer's protocol error.
    """

    def __init__(self, limit: int = MESSAGE_LIMIT) -> None:
        """Start with nothing asked."""
        self._framer = Framer(limit)
        self._open = ""
        self._given_up: deque[str] = deque(maxlen=_REMEMBERED)
        self.late: deque[bytes] = deque(maxlen=_REMEMBERED)

    def ask(self, raw: bytes) -> bytes:
        """Return the bytes to send for one message."""
        if self._open:
            raise LocalProtocolError(f"HL7 message {self._open} is still unanswered on this connection")
        data = frame(raw)
        self._open = parse(raw).control
        return data

    def give_up(self) -> None:
        """Stop waiting for the open question."""
        self._given_up.append(self._open)
        self._open = ""

    def receive_data(self, data: bytes) -> bytes | None:
        """Take what came (``b""``: the peer closed) and return the answer, as soon as it is whole."""
        self._framer.receive_data(data)
        while True:
            event = self._framer.next_event()
            if event is NEED_DATA or event is CLOSED:
                return None
            assert isinstance(event, Frame)  # noqa: S101 - the only event left
            if (answer := self._match(event.payload)) is not None:
                return answer

    def _match(self, payload: bytes) -> bytes | None:
        answered = parse(payload).get("MSA-2")
        if self._open and answered == self._open:
            self._open = ""
            return payload
        if answered in self._given_up:
            self.late.append(payload)
            return None
        raise RemoteProtocolError(
            f"HL7: the peer answered MSA-2 = {answered or 'nothing'}, asked was MSH-10 = {self._open or 'nothing'} "
            "(2.5.1 section 2.9.2: MSA-2 repeats the control id of the message it answers)"
        )
