"""Nonsense at the web doors: STOW-RS bodies, QIDO-RS queries, FHIR resources and HTTP itself.

Every answer has a status of its own, never 500; nothing refused is kept; what was stored or created is there after a kill. A short
slice runs always; all hundred thousand requests with ``STEPWEDGE_REQUESTS=100000 python -m pytest --junitxml`` (which notes the figures) and this file.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
from collections import Counter
from urllib.parse import urlsplit

import httpx
import pytest

from stepwedge.model.identifiers import uid
from stepwedge.wire import multipart, part10
from stepwedge.wire.elements import EXPLICIT_LE, encode
from stepwedge.wire.results import Instance

MIB = 1 << 20
ROOM = 96 * MIB
"""What libraries that are loaded when first needed (codecs, numpy) and the allocator may take, however many requests come."""
REQUESTS = int(os.environ.get("STEPWEDGE_REQUESTS", "800"))
TYPED = {"Content-Type": "application/fhir+json"}
BODY_WORDS = (
    b"\r\n--",
    b"--\r\n",
    b"Content-Length: 4294967296\r\n",
    b"\r\n\r\n",
    b"\xff\xff\xff\xff",
    b"DICM",
    b"/../..",
    b"\0",
)
JSON_WORDS = (
    b"{",
    b"[" * 60,
    b"null",
    b'"\\ud800"',
    b"1e999999",
    b"NaN",
    b'"\\u0000"',
    b',"id":"../x"',
    b'"resourceType":"Task",',
    b"-",
)
QUERY_WORDS = (
    "*",
    "%00",
    "%2e%2e%2f",
    "\\",
    "limit=-1",
    "limit=99999999999999999999",
    "offset=10000000000",
    "includefield=all",
    "fuzzymatching=true",
    "=",
    "&",
    ".",
    ",",
    "%ff",
    "StudyDate=20261301-",
    "PatientName=%5Bx",
)
HTTP_WORDS = (
    b"Transfer-Encoding: chunked\r\n",
    b"Content-Length: 4294967296\r\n",
    b"Content-Length: -1\r\n",
    b"\r\n",
    b"ffffffff\r\n",
    b"HTTP/9.9",
    b"Host: evil\r\n",
    b"X: " + b"y" * 70_000,
)
SEARCHES = {
    "identifier": "SW1|x",
    "_count": "10",
    "_sort": "-_lastUpdated",
    "birthdate": "ge1970",
    "name:exact": "Doe",
    "_include": "ServiceRequest:subject",
}


class Attack:
    """The ways to go wrong, and what was answered."""

    def __init__(self, host, small, wrong):
        self.pacs, self.ris = host.address("pacs").web, host.address("ris").fhir
        self.small, self.wrong = small, wrong
        self.dice = random.Random(5)  # noqa: S311 - the same nonsense in every run
        self.client = httpx.Client(trust_env=False, timeout=30)
        self.told, self.stored, self.made = Counter(), set(), set()
        self.number = 0

    def heard(self, what, answer):
        assert answer.status_code < 500, (
            what,
            answer.request.url,
            answer.request.content[:3000],
            answer.text,
        )
        self.told[f"{what} {answer.status_code}"] += 1

    def stow(self):
        image = self.small(self.number)
        file = part10.write(
            Instance(image["SOPClassUID"], image["SOPInstanceUID"], EXPLICIT_LE, encode(image, explicit=True))
        )
        spoil_file = self.dice.random() < 0.7
        if spoil_file:
            file = self.wrong(self.dice, file, b"", BODY_WORDS)
        body, kind = multipart.encode([file], "application/dicom")
        if not spoil_file:
            body = self.wrong(self.dice, body, b"\r\n-", BODY_WORDS)
        if self.dice.random() < 0.1:
            kind = self.wrong(self.dice, kind.encode(), b';="', (b'"', b";")).decode("latin-1")
            kind = "".join(sign for sign in kind if sign.isprintable()).strip() or "x"
        answer = self.client.post(
            f"{self.pacs}/studies", content=body, headers={"Content-Type": kind.encode("latin-1", "replace")}
        )
        self.heard("STOW", answer)
        if answer.status_code in {200, 202}:
            done = answer.json()["00081199"]["Value"]
            self.stored |= {one["00081155"]["Value"][0] for one in done}

    def qido(self):
        level = self.dice.choice(
            ("/studies", "/series", "/instances", "/studies/1.2/series", "/studies/%2e%2e", "/nonsense")
        )
        asked = "&".join(
            self.dice.choices(
                ("PatientID=SW1", "StudyDate=20260101-20261231", "00080050=SW1", *QUERY_WORDS),
                k=self.dice.randrange(1, 6),
            )
        )
        with contextlib.suppress(httpx.InvalidURL):
            self.heard("QIDO", self.client.get(f"{self.pacs}{level}?{asked}"))

    def fhir(self):
        patient = {
            "resourceType": "Patient",
            "identifier": [{"type": {"coding": [{"code": "MR"}]}, "value": f"SW{self.number:08}"}],
            "name": [{"family": "Doe", "given": ["Anna"]}],
            "birthDate": "1970-01-01",
            "gender": "female",
        }
        order = {
            "resourceType": "ServiceRequest",
            "status": "active",
            "intent": "order",
            "identifier": [{"type": {"coding": [{"code": "PLAC"}]}, "value": f"P{self.number}"}],
            "subject": {"identifier": {"value": f"SW{self.dice.randrange(200):08}"}},
            "code": {"coding": [{"code": "CTCHEST"}]},
        }
        bundle = {
            "resourceType": "Bundle",
            "type": self.dice.choice(("transaction", "batch")),
            "entry": [
                {"resource": one, "request": {"method": "POST", "url": one["resourceType"]}}
                for one in (patient, order)
            ],
        }
        one = self.dice.choice((patient, patient, order, bundle))
        raw = json.dumps(one).encode()
        if self.dice.random() < 0.8:
            raw = self.wrong(self.dice, raw, b'{,":', JSON_WORDS)
        place = "/" if one is bundle else f"/{one['resourceType']}"
        answer = self.client.post(self.ris + place, content=raw, headers=TYPED)
        self.heard("FHIR", answer)
        if answer.status_code == 201:
            self.made.add(answer.headers["location"].partition("/_history")[0])

    def search(self):
        name, value = self.dice.choice(list(SEARCHES.items()))
        asked = self.wrong(
            self.dice, f"{name}={value}".encode(), b"=:|&", (b"%00", b"&_count=99999999999999", b":not", b"|")
        )
        text = asked.decode("latin-1").replace("#", "")
        kind = self.dice.choice(("Patient", "ServiceRequest", "Task", "Appointment"))
        with contextlib.suppress(httpx.InvalidURL):
            self.heard("search", self.client.get(f"{self.ris}/{kind}?{text}"))

    def http(self):
        """Bytes that are hardly HTTP; the sender says no more and hears what comes."""
        where = urlsplit(self.dice.choice((self.pacs, self.ris)))
        good = f"POST {where.path}/studies HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}".encode()
        raw, heard = self.wrong(self.dice, good, b"\r\n: ", HTTP_WORDS), b""
        with (
            socket.create_connection((where.hostname, where.port), 30) as peer,
            contextlib.suppress(ConnectionError),
        ):
            peer.sendall(raw)
            with contextlib.suppress(
                OSError
            ):  # it has hung up already: ENOTCONN, which is no ConnectionError
                peer.shutdown(socket.SHUT_WR)
            while data := peer.recv(1 << 16):
                heard += data
        assert heard[:9] in {b"", b"HTTP/1.1 "}
        assert heard[9:10] != b"5", (raw, heard)
        self.told[f"HTTP {heard[9:12].decode() or 'closed'}"] += 1


@pytest.fixture
def small(ct_image):
    whole = ct_image(1)
    return lambda number: (
        whole
        | {
            "Rows": 4,
            "Columns": 4,
            "PixelData": bytes(32),
            "SOPInstanceUID": uid("web", number),
            "InstanceNumber": str(number),
        }
    )


@pytest.mark.timeout(2400)
def test_requests_of_nonsense_are_survived(victim, small, wrong, record_testsuite_property):
    host = victim(ris={}, pacs={})
    at_first = host.sockets()
    attack = Attack(host, small, wrong)
    floor = 0
    for number in range(REQUESTS):
        attack.number = number
        getattr(attack, attack.dice.choice(("stow", "stow", "fhir", "fhir", "qido", "search", "http")))()
        if number == REQUESTS // 4:
            floor = host.peak()
    image = small(REQUESTS)
    file = part10.write(
        Instance(image["SOPClassUID"], image["SOPInstanceUID"], EXPLICIT_LE, encode(image, explicit=True))
    )
    body, kind = multipart.encode([file], "application/dicom")
    answer = attack.client.post(f"{attack.pacs}/studies", content=body, headers={"Content-Type": kind})
    assert answer.status_code == 200
    attack.stored.add(image["SOPInstanceUID"])
    attack.client.close()
    peak = host.peak()
    grown = peak - floor
    host.settles(
        at_first + 2
    )  # both ends of the RIS's one connection to the archive, once an order was placed
    host.unharmed()
    rows = len(attack.stored) + len(attack.made)
    assert grown < ROOM + 16384 * rows, f"{grown / MIB:.1f} MiB more for {rows} rows"
    assert len(attack.stored) > 1
    assert attack.made
    host.kill()
    host.start()
    with httpx.Client(trust_env=False, timeout=30) as client:
        for sop in attack.stored:
            assert len(client.get(f"{attack.pacs}/instances?SOPInstanceUID={sop}").json()) == 1, sop
        for place in attack.made:
            assert (
                client.get(place if place.startswith("http") else f"{attack.ris}/{place}").status_code == 200
            ), place
    figures = ", ".join(f"{count} {what}" for what, count in attack.told.most_common())
    record_testsuite_property(
        "figures",
        f"{REQUESTS} requests: {figures}; {peak / MIB:.0f} MiB at most, {grown / MIB:.1f} after the first quarter",
    )
