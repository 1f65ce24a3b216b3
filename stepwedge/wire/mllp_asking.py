"""One question at a time over MLLP, without a socket: an answer belongs to the message whose MSH-10 it repeats in MSA-2."""

from __future__ import annotations

import operator
from collections import deque
from typing import TYPE_CHECKING, Final

from stepwedge.errors import LocalProtocolError, RemoteProtocolError
from stepwedge.wire.hl7 import control_of, parse
from stepwedge.wire.mllp import CLOSED, MESSAGE_LIMIT, NEED_DATA, Frame, Framer, frame, sole

if TYPE_CHECKING:
    from collections.abc import Callable

_REMEMBERED: Final = 1000
"""Control ids of questions that are over."""
_KEPT: Final = 32
"""Late answers; each may be as large as the message limit."""


class Asking:
    """The asking side of one connection.

    An answer that comes after its question was given up, or a further one (an application acknowledgement after CA, or
    the same one twice), is recognised by MSA-2 and kept in ``late``; an answer to what was never asked is the peer's
    protocol error.
    """

    def __init__(
        self,
        limit: int = MESSAGE_LIMIT,
        tell: Callable[[bytes], None] | None = None,
        belongs: Callable[[str, str], bool] = operator.eq,
    ) -> None:
        """Start with nothing asked; ``tell`` hears of late answers as they come.

        ``belongs`` tells whether an answer (its MSA-2) is one to a question (its MSH-10).
        """
        self._tell, self._belongs = tell, belongs
        self._framer = Framer(limit)
        self._open: str | None = None
        self._over: deque[str] = deque(maxlen=_REMEMBERED)
        self.late: deque[bytes] = deque(maxlen=_KEPT)

    def ask(self, raw: bytes) -> bytes:
        """Return the bytes to send for one message."""
        if self._open is not None:
            raise LocalProtocolError(f"HL7 message {self._open} is still unanswered on this connection")
        data = frame(raw)
        self._open = control_of(raw)
        return data

    def ask_again(self, raw: bytes) -> bytes | None:
        """Wait for a further answer to a message whose first one is here; return it when it came right behind that."""
        if self._open is not None:
            raise LocalProtocolError(f"HL7 message {self._open} is still unanswered on this connection")
        self._open = control_of(raw)
        return self._next()

    def give_up(self) -> None:
        """Stop waiting for the open question."""
        if self._open is not None:
            self._over.append(self._open)
            self._open = None

    def receive_data(self, data: bytes) -> bytes | None:
        """Take what came (``b""``: the peer closed) and return the answer, as soon as it is whole."""
        if self._framer.idle and (payload := sole(data, self._framer.limit)) is not None:
            return self._match(payload)
        self._framer.receive_data(data)
        return self._next()

    def _next(self) -> bytes | None:
        while True:
            event = self._framer.next_event()
            if event is NEED_DATA or event is CLOSED:
                return None
            assert isinstance(event, Frame)  # noqa: S101 - the only event left
            if (answer := self._match(event.payload)) is not None:
                return answer

    def _match(self, payload: bytes) -> bytes | None:
        answered = _answered(payload)
        if self._open is not None and self._belongs(answered, self._open):
            self.give_up()
            return payload
        if answered in self._over:
            self.late.append(payload)
            if self._tell is not None:
                self._tell(payload)
            return None
        asked = "nothing" if self._open is None else f"MSH-10 = {self._open!r}"
        raise RemoteProtocolError(
            f"HL7: the peer answered MSA-2 = {answered!r}, asked was {asked} "
            "(2.5.1 section 2.9.2: MSA-2 repeats the control id of the message it answers)"
        )


def _answered(payload: bytes) -> str:
    """Return MSA-2; an answer too broken to find it in is refused with what is wrong with it."""
    separator = payload[3:4]
    start = payload.find(b"\rMSA" + separator)
    if start < 0:
        return parse(payload)["MSA-2"]
    fields = payload[start + 1 :].partition(b"\r")[0].split(separator, 3)
    return fields[2].decode("latin-1") if len(fields) > 2 else ""  # noqa: PLR2004 - MSA-2, counted with the segment's name
