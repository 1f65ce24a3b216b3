"""An HTTP/1.1 connection heard by a third: every exchange once, however its bytes are cut and its messages framed."""

from __future__ import annotations

import random

import pytest

from stepwedge.wire.overheard import Part, Room
from stepwedge.wire.overheard_http import CLIENT, MOST_AHEAD, SERVER, OverheardHttp, Unreadable

GET = b"GET /studies?PatientID=SW1 HTTP/1.1\r\nHost: pacs\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"


def heard(said, room=None, cut=lambda data: [data]):
    connection, told = OverheardHttp(room or Room()), []
    for at, (side, data) in enumerate(said, 1):
        for piece in cut(data):
            told += connection.heard(side, piece, float(at))
    return [*told, *connection.over(float(len(said) + 1))]


def short(told):
    return [
        (one.method, one.target, one.status, one.outcome, bytes(one.body), bytes(one.answer)) for one in told
    ]


POST = (
    b"POST /studies HTTP/1.1\r\nHost: pacs\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"
    b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: 1\r\n\r\n"
)
TALK = [
    (CLIENT, GET),
    (SERVER, OK),
    (CLIENT, POST),
    (SERVER, b"HTTP/1.1 100 Continue\r\n\r\n"),
    (
        SERVER,
        b"HTTP/1.1 409 Conflict\r\nTransfer-Encoding: chunked\r\nX-Twice: a\r\n\r\n4\r\nwell\r\n0\r\n\r\n",
    ),
    (CLIENT, b"HEAD /studies HTTP/1.1\r\nHost: pacs\r\n\r\n"),
    (SERVER, b"HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n"),
    (CLIENT, b"DELETE /x HTTP/1.1\r\nHost: pacs\r\n\r\n"),
    (SERVER, b"HTTP/1.1 204 No Content\r\n\r\n"),
    (CLIENT, b"GET /last HTTP/1.1\r\nHost: pacs\r\n\r\n"),
    (SERVER, b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end"),
]
TOLD = [
    ("GET", "/studies?PatientID=SW1", 200, "answered", b"", b"[]"),
    ("POST", "/studies", 409, "answered", b"abcde", b"well"),
    ("HEAD", "/studies", 200, "answered", b"", b""),
    ("DELETE", "/x", 204, "answered", b"", b""),
    ("GET", "/last", 200, "answered", b"", b"until the end"),
]


def test_every_exchange_of_a_connection_that_is_kept():
    told = heard(TALK)
    assert short(told) == TOLD
    assert told[1].answer_headers[b"x-twice"] == b"a"
    assert (told[1].began, told[1].took) == (3.0, 2.0)


@pytest.mark.parametrize("seed", range(5))
def test_how_bytes_are_cut_changes_nothing(seed):
    rng = random.Random(seed)  # noqa: S311 - it must be repeatable, not secret

    def cut(data):
        while data:
            size = rng.randrange(1, 9)
            yield data[:size]
            data = data[size:]

    assert short(heard(TALK, cut=cut)) == TOLD


def test_requests_that_are_sent_ahead():
    told = heard([(CLIENT, GET * 3), (SERVER, OK), (CLIENT, GET), (SERVER, OK * 2), (SERVER, OK)])
    assert [one.status for one in told] == [200] * 4


def test_an_answer_before_the_request_is_whole():
    asked = b"POST /a HTTP/1.1\r\nHost: pacs\r\nContent-Length: 4\r\n\r\n"
    refused = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"
    told = heard([(CLIENT, asked), (SERVER, refused), (CLIENT, b"1234" + GET), (SERVER, OK)])
    assert [(one.status, one.body) for one in told] == [(413, b"1234"), (200, b"")]


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        ([(CLIENT, GET)], "lost"),
        ([(CLIENT, GET[:-5])], None),
        ([(CLIENT, GET), (SERVER, OK[:-1])], "lost"),
        ([(CLIENT, POST[:-10])], "lost"),
        ([(CLIENT, GET), (SERVER, b"HTTP/1.1 banana\r\n\r\n")], "garbled"),
        ([(CLIENT, GET), (SERVER, b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n")], "garbled"),
    ],
)
def test_what_has_no_whole_answer(said, outcome):
    told = [one for one in heard(said) if not isinstance(one, Unreadable)]
    assert [one.outcome for one in told] == ([outcome] if outcome else [])
    assert all(one.error for one in told)


@pytest.mark.parametrize(
    "said",
    [
        [(CLIENT, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 9)],
        [(CLIENT, b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n")],
        [(SERVER, OK)],
        [(CLIENT, GET), (SERVER, OK), (SERVER, OK)],
        [(CLIENT, b"GET /" + b"x" * 100_000)],
        [(CLIENT, GET), (CLIENT, bytes(MOST_AHEAD + 1))],
    ],
)
def test_what_cannot_be_followed_is_said_once(said):
    connection, told = OverheardHttp(Room()), []
    for side, data in said:
        told += connection.heard(side, data, 0.0)
    assert [type(one) for one in told if isinstance(one, Unreadable)] == [Unreadable]
    assert list(connection.heard(CLIENT, GET, 0.0)) == []
    assert list(connection.over(0.0)) == []


def test_bodies_too_long_to_hold_are_hashed_and_room_is_given_back():
    room = Room(5000, each=3000)
    asked = b"PUT /a HTTP/1.1\r\nHost: pacs\r\nContent-Length: 4000\r\n\r\n" + bytes(4000)
    told = heard([(CLIENT, asked), (SERVER, OK), (CLIENT, GET), (SERVER, OK), (CLIENT, asked[:-1])], room)
    assert isinstance(told[0].body, Part)
    assert told[0].body.size == 4000
    assert [one.outcome for one in told] == ["answered", "answered", "lost"]
    assert room.left == 5000


def test_thousands_of_broken_streams_raise_nothing():
    rng = random.Random(7)  # noqa: S311 - it must be repeatable, not secret
    for _ in range(3000):
        said = []
        for side, data in TALK:
            broken = bytearray(data)
            if rng.random() < 0.2:
                broken[rng.randrange(len(broken))] = rng.randrange(256)
            said.append((side, bytes(broken)))
        room = Room()
        heard(said, room)
        assert room.left == Room().left
