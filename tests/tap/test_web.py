"""W1, W2, W3 and W5: requests and answers over HTTP that go wrong, as a client that is not ours meets them."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from stepwedge.sim.tap.http import Http

MATCHES = [{"0020000D": {"vr": "UI", "Value": [f"1.2.{number}"]}} for number in (1, 2, 3)]
MULTIPART = b"--x\r\nA: 1\r\n\r\n" + b"\0" * 9 + b"DICMone\r\n--x\r\n\r\nDICMtwo\r\n--x--\r\n"


class Door:
    """Answers each request with a list, and keeps what it was asked."""

    def __init__(self, chunked=False):
        self.asked, self._chunked, self._kept = [], chunked, b""

    def __call__(self, data):
        self._kept += data
        said = b""
        while b"\r\n\r\n" in self._kept:
            head, _, rest = self._kept.partition(b"\r\n\r\n")
            size = int(Http(head + b"\r\n\r\n", b"").headers.get("content-length", 0))
            if len(rest) < size:
                break
            self.asked.append((head.partition(b"\r\n")[0].decode(), rest[:size]))
            self._kept = rest[size:]
            said += self._answer()
        return said

    def _answer(self):
        body = json.dumps(MATCHES).encode()
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/dicom+json\r\n"
        if self._chunked:
            parts = b"".join(b"%x\r\n%s\r\n" % (len(one), one) for one in (body[:10], body[10:]))
            return head + b"transfer-encoding: chunked\r\n\r\n" + parts + b"0\r\n\r\n"
        return head + b"content-length: %d\r\n\r\n" % len(body) + body


@pytest.fixture
def asked(tapped):
    """Let ``body(client)`` ask through a tap with a fault; return what it returned, the door and the fault."""

    def run(kind, body, *, times=0, chunked=False, **args):
        door, found = Door(chunked), []

        async def whole(bench):
            fault = await bench.begin(kind, times=times, **args)
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{bench.tap.port}", timeout=2) as client:
                try:
                    found.append(await body(client))
                except httpx.HTTPError as trouble:
                    found.append(trouble)
                assert await bench.tap.lift() == ""
                assert (await client.get("/after")).json() == MATCHES, "the way is free again"
            found.append(fault)

        tapped(whole, door="web", answer=door)
        return found[0], door, found[1]

    return run


async def look(client):
    return await client.get("/studies?limit=3")


async def stow(client):
    kind = {"content-type": 'multipart/related; type="application/dicom"; boundary=x'}
    return await client.post("/studies", content=MULTIPART, headers=kind)


@pytest.mark.parametrize("status", [401, 403, 409, 412, 413, 503])
def test_a_status_in_the_receivers_place(asked, status):
    got, door, fault = asked("http-status", look, status=status)
    assert got.status_code == status
    assert got.headers.get("www-authenticate", "") == ("Bearer" if status == 401 else "")
    assert [one for one, _ in door.asked] == ["GET /after HTTP/1.1"]
    assert [one.what for one in fault.acts] == [f"{status} to GET /studies?limit=3"]


def test_too_many_requests_and_a_redirect(asked):
    got, _, _ = asked("http-status", look, status=429, retry=7)
    assert got.headers["retry-after"] == "7"
    got, _, _ = asked("http-status", look, status=307, location="http://elsewhere.invalid/")
    assert got.headers["location"] == "http://elsewhere.invalid/"


def test_only_those_that_are_meant(asked):
    async def both(client):
        return [(await look(client)).status_code, (await stow(client)).status_code]

    got, door, fault = asked("http-status", both, status=503, method="POST", path="/studies")
    assert got == [200, 503]
    assert len(door.asked) == 2
    assert fault.count == 1


@pytest.mark.parametrize("chunked", [False, True])
def test_a_list_lacks_its_last_entry(asked, chunked):
    got, _, fault = asked("http-answer", look, what="short", chunked=chunked)
    assert got.json() == MATCHES[:2]
    assert fault.count == 1


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_is_cut_off(asked, chunked):
    got, door, fault = asked("http-answer", look, what="cut", chunked=chunked)
    assert isinstance(got, httpx.RemoteProtocolError)
    assert len(door.asked) == 2
    assert fault.count == 1


def test_an_answer_without_a_body(asked):
    got, _, _ = asked("http-answer", look, what="empty")
    assert (got.status_code, got.content) == (200, b"")


def test_one_part_is_no_object(asked):
    got, door, fault = asked("http-request", stow, what="bad-part")
    assert got.status_code == 200
    assert door.asked[0][1] == MULTIPART.replace(b"DICMtwo", b"NONEtwo")
    assert fault.count == 1


def test_the_boundary_is_another(asked):
    _, door, fault = asked("http-request", stow, what="boundary")
    assert door.asked[0][1] == MULTIPART
    assert fault.acts[0].what == "request changed: boundary"


def test_a_request_is_cut_off(asked):
    got, door, fault = asked("http-request", stow, what="cut")
    assert isinstance(got, httpx.TransportError)
    assert MULTIPART not in [body for _, body in door.asked]
    assert fault.acts[0].bytes == len(MULTIPART) // 2


def test_a_request_is_made_twice(asked):
    got, door, fault = asked("http-twice", stow, times=1)
    assert got.json() == MATCHES
    assert [one[1] for one in door.asked] == [MULTIPART, MULTIPART, b""]
    assert [one.what for one in fault.acts] == ["repeated: 200"]


def test_bytes_one_by_one(tapped, until):
    door = Door()

    async def body(bench):
        fault = await bench.begin("http-answer", what="short")
        reader, writer = await bench.call()
        for byte in b"GET /studies HTTP/1.1\r\nhost: x\r\n\r\n":
            writer.write(bytes((byte,)))
            await asyncio.sleep(0)
        await until(lambda: fault.count == 1)
        head = await reader.readuntil(b"\r\n\r\n")
        size = int(Http(head, b"").headers["content-length"])
        assert json.loads(await reader.readexactly(size)) == MATCHES[:2]
        writer.close()

    tapped(body, door="web", answer=door)
