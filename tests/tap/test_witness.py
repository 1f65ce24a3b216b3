"""Witnesses follow the traffic: late, never in its way, and with a word when they must give up."""

from __future__ import annotations

import asyncio

import pytest

from stepwedge.evidence.journal import Journal
from stepwedge.sim.address import Directory
from stepwedge.sim.bench import Bench
from stepwedge.sim.ports import Ports
from stepwedge.sim.tap.line import ANSWER, REQUEST
from stepwedge.sim.tap.tap import Edge
from stepwedge.sim.tap.witness import Behind
from stepwedge.sim.tap.witness_dimse import DimseWitness
from stepwedge.sim.tap.witness_hl7 import Hl7Witness
from stepwedge.sim.tap.witness_web import WebWitness, opened, speaks_of
from stepwedge.wire.mllp import frame
from stepwedge.wire.overheard import Room

EDGE = Edge("ris", "pacs", "hl7")


@pytest.fixture
def bench(tmp_path):
    made = Bench(
        "pacs", "tap", {}, tmp_path / "pacs", 1, Journal(tmp_path), Directory(), Ports(tmp_path / "p.json")
    )
    yield made
    made.store.close()


class Slow:
    """A witness that remembers what it was shown."""

    def __init__(self, bench, fails=False):
        self.bench, self.fails, self.seen = bench, fails, []

    def asked(self, data, _at):
        if self.fails:
            raise ValueError("a mistake of ours")
        self.seen.append((REQUEST, data))
        return ()

    def answered(self, data, _at):
        self.seen.append((ANSWER, data))
        return ()

    def over(self, _at):
        self.seen.append("over")
        return ()

    def missed(self, why, _at):
        self.seen.append(why)
        return ()


def test_in_order_and_behind(bench, until):
    async def body():
        behind, witness = Behind(), Slow(bench)
        behind.put(witness, REQUEST, b"a")
        behind.put(witness, ANSWER, b"b")
        behind.put(witness, None, b"")
        assert witness.seen == []
        await until(lambda: len(witness.seen) == 3)
        assert witness.seen == [(REQUEST, b"a"), (ANSWER, b"b"), "over"]

    asyncio.run(body())


def test_what_waits_is_bounded_and_the_rest_is_said_to_be_missed(bench):
    async def body():
        behind, late, other = Behind(most=100), Slow(bench), Slow(bench)
        for _ in range(30):
            behind.put(late, REQUEST, bytes(10))
        behind.put(late, None, b"")
        behind.finish()
        assert late.seen[:10] == [(REQUEST, bytes(10))] * 10
        assert late.seen[10:] == ["not read: too far behind, more than 100 bytes waited to be read"]
        behind.put(other, REQUEST, bytes(10))  # room was given back
        behind.finish()
        assert other.seen == [(REQUEST, bytes(10))]

    asyncio.run(body())


def test_a_mistake_of_a_witness_is_its_own(bench):
    async def body():
        behind, wrong, good = Behind(), Slow(bench, fails=True), Slow(bench)
        behind.put(wrong, REQUEST, b"a")
        behind.put(good, REQUEST, b"a")
        behind.finish()
        behind.put(wrong, ANSWER, b"b")
        behind.finish()
        assert (wrong.seen, good.seen) == ([], [(REQUEST, b"a")])

    asyncio.run(body())


@pytest.mark.parametrize(
    "made",
    [
        lambda bench: Hl7Witness(bench, EDGE),
        lambda bench: DimseWitness(bench, EDGE, Room()),
        lambda bench: WebWitness(bench, EDGE, Room()),
    ],
)
def test_who_missed_something_says_so_and_reads_no_more(bench, made):
    witness = made(bench)
    (told,) = witness.missed("too much", 1.0)
    assert (told.kind, told.outcome, told.facts["error"]) == ("unreadable", "garbled", "too much")
    for data in (frame(b"MSH|^~\\&|A"), b"\1\0\0\0\0\1a", b"GET / HTTP/1.1\r\n\r\n"):
        assert list(witness.asked(data, 2.0)) == []
    assert list(witness.over(3.0)) == []


def web(bench, head, body, status=b"200 OK", asked=b""):
    witness = WebWitness(bench, Edge("ris", "pacs", "web"), Room(), "/dicom-web")
    request = b"POST /dicom-web/studies?limit=1 HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(
        asked
    )
    assert list(witness.asked(request + asked, 1.0)) == []
    answer = b"HTTP/1.1 %b\r\n%bContent-Length: %d\r\n\r\n" % (status, head, len(body))
    (told,) = witness.answered(answer + body, 2.0)
    return told


MODEL = b"Content-Type: application/dicom+json\r\n"


def test_bodies_whose_patients_are_known_are_kept(bench):
    body = b'[{"00100020": {"vr": "LO", "Value": ["SW12345678"]}}]'
    told = web(bench, MODEL, body)
    assert (told.kind, told.outcome, told.response.read()) == ("POST /studies", "200", body)
    assert told.keys == {"patient": ["SW12345678"]}
    assert (told.facts["path"], told.facts["query"]) == ("/studies", "limit=1")


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (b"Content-Type: text/html\r\n", b"<p>JANE DOE"),
        (MODEL, b"[{"),
        (b"Content-Type: application/json\r\n", b'{"name": "JANE DOE"}'),
        (b"", b"JANE DOE"),
        (MODEL + b"Content-Encoding: br\r\n", b"JANE DOE"),
        (
            b'Content-Type: multipart/related; type="application/dicom"; boundary=x\r\n',
            b"--x\r\n\r\nJANE DOE",
        ),
    ],
)
def test_bodies_that_nobody_here_can_read_are_counted(bench, head, body):
    told = web(bench, head, body)
    assert told.response.read() == b""
    assert told.facts["withheld"] == [0, len(body)]


def test_nobody_real_is_written_down(bench):
    told = web(bench, MODEL, b'[{"00100020": {"vr": "LO", "Value": ["4711"]}}]')
    assert told.kind == "POST /"
    assert (told.keys, told.request.read(), told.response.read()) == ({}, b"", b"")
    assert "4711" not in str(told)


def test_a_fhir_resource_is_read(bench):
    body = b'{"resourceType": "Patient", "identifier": [{"system": "urn:oid:1.2", "value": "SW12345678"}], "id": "1"}'
    assert speaks_of({b"content-type": b"application/fhir+json; charset=utf-8"}, body) is not None
    told = web(bench, b"Content-Type: application/fhir+json\r\n", body)
    assert told.response.read() == body


def test_a_body_that_grows_without_bound_is_not_opened():
    import zlib

    bomb = zlib.compress(bytes(65 << 20))
    assert opened({b"content-encoding": b"deflate"}, bomb) is None
    assert opened({b"content-encoding": b"gzip"}, b"no gzip") is None
    assert opened({b"content-encoding": b"deflate"}, zlib.compress(b"[]")) == b"[]"
