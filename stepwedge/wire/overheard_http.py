"""One HTTP/1.1 connection as a third party hears it that says nothing (RFC 9112), sans-io.

Two h11 state machines stand in for the two ends: one hears the client, the other the server, and each is told what the other
end said, so that they agree on where a message ends (HEAD, early answers, pipelining, bodies that end with the connection).
Between two exchanges, a short one that leaves no doubt (:mod:`stepwedge.wire.brief_http`) costs a tenth without them; as soon as
there is any doubt, they are told what was said of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import h11

from stepwedge.errors import RemoteProtocolError
from stepwedge.wire import brief_http
from stepwedge.wire.overheard import Gathering

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stepwedge.wire.overheard import Room

CLIENT, SERVER = 0, 1
"""The two ends, in the order in which they speak."""
MOST_HEAD: Final = 64 << 10
"""Bytes of one message's head that are waited for."""
MOST_AHEAD: Final = 1 << 20
"""Bytes that a client may send ahead of the answers before its connection is read no more."""


@dataclass(slots=True)
class HttpExchange:
    """One request and its answer; header names are lower case.

    Attributes:
        status: 0 when there was no answer.
        outcome: ``lost`` or ``garbled`` when there is no whole answer, ``answered`` otherwise.
        body, answer: a :class:`~stepwedge.wire.overheard.Part` of what was too long to be held.
    """

    method: str
    target: str
    began: float
    headers: dict[bytes, bytes]
    body: bytes = b""
    status: int = 0
    answer_headers: dict[bytes, bytes] = field(default_factory=dict)
    answer: bytes = b""
    outcome: str = "answered"
    error: str = ""
    took: float = 0.0


@dataclass(frozen=True, slots=True)
class Unreadable:
    """From here on the connection cannot be followed."""

    error: str


Told = HttpExchange | Unreadable


@dataclass(slots=True)
class _Brief:
    """A short exchange under way: what was said of it so far."""

    asked: bytes
    exchange: HttpExchange
    answered: bytes = b""


class OverheardHttp:
    """Both directions of one connection."""

    def __init__(self, room: Room) -> None:
        """Hear a connection from its first byte."""
        self._room = room
        self._client = h11.Connection(h11.SERVER, MOST_HEAD)  # hears the client
        self._server = h11.Connection(h11.CLIENT, MOST_HEAD)
        self._now: HttpExchange | None = None
        self._bodies: tuple[Gathering, Gathering] | None = None
        self._asked = self._answered = False
        self._ahead = bytearray()
        self._done = False
        self._brief: _Brief | None = None

    def heard(self, side: int, data: bytes, at: float) -> Iterator[Told]:
        """Take what one end said at a time; yield what it completes."""
        if self._done:
            return
        try:
            told = self._briefly(side, data, at)
            if told is not None:
                yield from told
                return
            if side == CLIENT:
                self._ask(data, at)
            else:
                self._server.receive_data(data)
            yield from self._follow(at)
        except (h11.ProtocolError, RemoteProtocolError) as error:
            yield from self._end("garbled", str(error), at)
            yield Unreadable(str(error))

    def _briefly(self, side: int, data: bytes, at: float) -> list[Told] | None:
        """Hear a short exchange, return what is complete of it; None when it is one for the machines, which then know of it."""
        brief = self._brief
        if brief is None:
            if side == SERVER:
                return None
            idle = self._now is None and not self._ahead
            found = brief_http.request(data) if idle and not self._client.trailing_data[0] else None
            if found is None:
                return None
            self._brief = _Brief(data, HttpExchange("GET", found[0], at, found[1]))
            return []
        if side == SERVER:
            brief.answered += data
            answer = brief_http.answer(brief.answered)
            if isinstance(answer, tuple):
                self._brief, now = None, brief.exchange
                now.status, now.answer_headers, now.answer = answer
                now.took = at - now.began
                return [now]
            if answer is not None:
                return []
            brief.answered = brief.answered[: len(brief.answered) - len(data)]
        self._at_length()
        return None

    def _at_length(self) -> None:
        """Let the machines hear what was said of an exchange that is not a short one."""
        if self._brief is not None:
            brief, self._brief = self._brief, None
            self._ask(brief.asked, brief.exchange.began)
            if brief.answered:
                self._server.receive_data(brief.answered)

    def over(self, at: float) -> Iterator[Told]:
        """Take note that the connection is over, which ends an answer without a length."""
        if self._done:
            return
        try:
            self._at_length()
            if self._now is not None:
                self._server.receive_data(b"")
                yield from self._follow(at)
        except (h11.ProtocolError, RemoteProtocolError) as error:
            yield from self._end("lost", str(error), at)
        yield from self._end("lost", "the connection ended before the whole answer", at)

    def lose(self, why: str, at: float) -> Iterator[Told]:
        """Hear nothing more of it."""
        if not self._done:
            self._at_length()
            yield from self._end("garbled", why, at)
            yield Unreadable(why)

    def _ask(self, data: bytes, at: float) -> None:
        """Hear the client; what it sends ahead waits for the answer under way."""
        if self._asked:
            self._ahead += data
            if len(self._ahead) > MOST_AHEAD:
                raise RemoteProtocolError(f"more than {MOST_AHEAD} bytes were sent ahead of an answer")
            return
        self._client.receive_data(data)
        self._request(at)

    def _request(self, at: float) -> None:
        while not self._asked:
            event = self._client.next_event()
            if isinstance(event, h11.Request):
                self._now = HttpExchange(
                    event.method.decode(), event.target.decode("latin-1"), at, dict(event.headers)
                )
                self._bodies = (Gathering(self._room), Gathering(self._room))
                kept = [(name, value) for name, value in event.headers if name in {b"host", b"connection"}]
                self._server.send(
                    h11.Request(
                        method=event.method,
                        target=event.target,
                        headers=kept,
                        http_version=event.http_version,
                    )
                )
                self._server.send(h11.EndOfMessage())
            elif isinstance(event, h11.Data) and self._bodies:
                self._bodies[CLIENT].add(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                self._asked = True
            else:
                return

    def _follow(self, at: float) -> Iterator[Told]:
        """Hear the server as far as it spoke; with a whole exchange the next one begins."""
        while self._now is not None and self._bodies is not None:
            if not self._answered:
                self._response()
            if not (self._asked and self._answered):
                return
            now = self._now
            now.outcome, now.took = "answered", at - now.began
            yield from self._whole()
            if not self._done:
                self._next(at)
        if self._now is None and self._server.trailing_data[0] and not self._done:
            raise RemoteProtocolError("the server spoke without being asked")

    def _response(self) -> None:
        now, bodies = self._now, self._bodies
        assert now is not None and bodies is not None  # noqa: S101, PT018 - a request is under way
        while not self._answered:
            event = self._server.next_event()
            if isinstance(event, h11.InformationalResponse):
                if event.status_code == 101:  # noqa: PLR2004 - Switching Protocols
                    raise RemoteProtocolError("the connection turned to another protocol")
            elif isinstance(event, h11.Response):
                now.status, now.answer_headers = event.status_code, dict(event.headers)
            elif isinstance(event, h11.Data):
                bodies[SERVER].add(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                self._answered = True
            else:
                return

    def _next(self, at: float) -> None:
        """Let both machines begin the next cycle, if the connection is kept."""
        status: Any = {"status_code": 204, "headers": []}
        self._client.send(h11.Response(**status))
        self._client.send(h11.EndOfMessage())
        self._asked = self._answered = False
        if h11.MUST_CLOSE in {self._client.our_state, self._server.our_state, self._server.their_state} or (
            h11.CLOSED in self._server.states.values()
        ):
            self._done = True
            return
        self._client.start_next_cycle()
        self._server.start_next_cycle()
        ahead, self._ahead = bytes(self._ahead), bytearray()
        if ahead:
            self._client.receive_data(ahead)
        self._request(at)

    def _whole(self) -> Iterator[Told]:
        now, bodies = self._now, self._bodies
        self._now = self._bodies = None
        if now is None or bodies is None:
            return
        now.body, now.answer = (one.end() for one in bodies)
        yield now
        for one in bodies:
            self._room.give(one.held)

    def _end(self, outcome: str, error: str, at: float) -> Iterator[Told]:
        self._done = True
        if self._now is not None:
            self._now.outcome, self._now.error, self._now.took = outcome, error, at - self._now.began
        yield from self._whole()
