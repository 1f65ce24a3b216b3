"""Short exchanges are told exactly as the state machines tell them, however their bytes arrive."""

from __future__ import annotations

import pytest

from stepwedge.wire import brief_http
from stepwedge.wire.overheard import Room
from stepwedge.wire.overheard_http import CLIENT, SERVER, OverheardHttp

HOST = b"Host: a\r\n"
ASK = b"GET /studies?PatientID=1 HTTP/1.1\r\n" + HOST + b"Accept: x\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n"
ASKED = [
    ASK,
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
    b"HEAD / HTTP/1.1\r\n" + HOST + b"\r\n",
    b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\n\r\nab",
    b"GET / HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\n\r\nab",
    b"GET / HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + HOST + b"A: b\r\n folded\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + HOST + b"X:  \xe4 y\t \r\nX: two\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: b\r\nEmpty:\r\nconnection: Keep-Alive\r\n\r\n",
    ASK + ASK,
    b"nonsense\r\n\r\n",
]
ANSWERED = [
    OK + b"12345",
    OK + b"1234",
    OK + b"123456",
    OK.replace(b"Length: 5", b"Length: 0"),
    OK.replace(b"Length: 5", b"Length: five") + b"12345",
    OK.replace(b" OK", b" ") + b"12345",
    OK.replace(b" OK", b"") + b"12345",
    OK.replace(b"HTTP/1.1", b"HTTP/1.0") + b"12345",
    OK.replace(b"Content-Type", b"Connection").replace(b"text/plain", b"close") + b"12345",
    b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"12345",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nx",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n\r\nto the end",
    b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000,
    b"nonsense\r\n\r\n",
    b"",
]


def told(asked, answered, size, end="over"):
    """Hear two exchanges in pieces of a size, then the end; return all that is told."""
    connection, found, at = OverheardHttp(Room()), [], 0.0
    for side, said in ((CLIENT, asked), (SERVER, answered), (CLIENT, ASK), (SERVER, OK + b"again")):
        for start in range(0, len(said), size):
            at += 1.0
            found += connection.heard(side, said[start : start + size], at)
    found += connection.over(at + 1.0) if end == "over" else connection.lose("too much", at + 1.0)
    return found


@pytest.mark.parametrize("answered", ANSWERED)
@pytest.mark.parametrize("asked", ASKED)
def test_it_is_told_as_the_machines_tell_it(asked, answered, monkeypatch):
    sizes = [1 << 20, 70, 7] if len(answered) < 1000 else [1 << 20, 30_000]
    cases = [(size, end) for size in sizes for end in ("over", "lose")]
    brief = [told(asked, answered, *case) for case in cases]
    monkeypatch.setattr(brief_http, "request", lambda _: None)
    assert brief == [told(asked, answered, *case) for case in cases]


def test_a_search_needs_no_machine(monkeypatch):
    monkeypatch.setattr(OverheardHttp, "_ask", None)
    one, two = told(ASK, OK + b"12345", 1 << 20)
    assert (one.status, one.answer, one.took, two.answer) == (200, b"12345", 1.0, b"again")
    assert brief_http.answer(OK + b"123") == 2
