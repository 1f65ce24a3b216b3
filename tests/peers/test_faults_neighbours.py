"""Faults in a tap, as software sees them that is not ours: DCMTK's tools and curl call through it, Orthanc stands behind it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import urllib.request
from urllib.parse import urlsplit

import pytest

from stepwedge.sim.phantoms import pixel_hash
from stepwedge.sim.tap.countdown import After
from stepwedge.sim.tap.fault import Wish
from stepwedge.sim.tap.faults import kinds
from stepwedge.sim.tap.tap import Edge, Tap
from stepwedge.wire import part10
from stepwedge.wire.elements import EXPLICIT_LE, decode, encode
from stepwedge.wire.results import Instance

pytestmark = pytest.mark.peer


@pytest.fixture
def files(tmp_path, ct_image):
    """Write images 1..2 as DICOM files; return their paths and the images."""
    images = [ct_image(number) for number in (1, 2)]
    paths = []
    for image in images:
        data = encode(image, explicit=True)
        paths.append(tmp_path / f"{image['SOPInstanceUID']}.dcm")
        paths[-1].write_bytes(
            part10.write(Instance(image["SOPClassUID"], image["SOPInstanceUID"], EXPLICIT_LE, data))
        )
    return paths, images


@contextlib.asynccontextmanager
async def faulty(to, door, kind, *, times=0, after=0, **args):
    """Put a tap with a fault before a system."""
    tap = Tap(Edge("somebody", "pacs", door), to)
    await tap.listen()
    fault = kinds()[kind](Wish(kind, None, After(after), times, args))
    await tap.begin(fault)
    try:
        yield tap.port, fault
        assert await tap.lift() == ""
    finally:
        await tap.close()


@pytest.fixture
def sent(program, call, archive, files):
    """Let storescu send two images through a tap with a fault to our archive; return what it said and how, fault, statuses."""

    def run(kind, *options, **wish):
        async def talk():
            async with archive() as (host, entity, _):
                async with faulty((entity.host, entity.port), "dicom", kind, **wish) as (port, fault):
                    code, said = await call(
                        program("storescu"), "-v", *options, "-aec", entity.ae, "127.0.0.1", port, *files[0]
                    )
                kept = [one.outcome for one in host.journal.after(0) if one.kind == "C-STORE"]
                return code, said, fault, kept

        return asyncio.run(talk())

    return run


def test_storescu_prints_the_status(sent):
    code, said, fault, kept = sent("status", times=1, status="A700")
    assert "A700" in said.upper() or "OutOfResources" in said
    assert fault.count == 1
    assert kept in ([], ["0000"]), "the refused image never reached the archive"
    assert code != 0


def test_storescu_takes_a_warning_for_what_it_is(sent):
    _, said, fault, kept = sent("wrong-response", what="status", status="B000")
    assert "Warning" in said
    assert fault.count == 2
    assert kept == ["0000", "0000"]


def test_storescu_hears_nothing_of_a_second_copy(sent):
    code, said, fault, kept = sent("repeat", other="pixels")
    assert code == 0, said
    assert said.count("Received Store Response (Success)") == 2
    assert kept == ["0000", "C201", "0000", "C201"]
    assert fault.count == 2


def test_storescu_has_no_context_left(sent):
    code, said, fault, kept = sent("contexts", what="abstract-syntax")
    assert code != 0
    assert "No Acceptable Presentation Contexts" in said
    assert (kept, fault.count) == ([], 1)


def test_storescu_falls_back_to_implicit(sent):
    code, said, fault, kept = sent("contexts", "-d", what="implicit-only")
    assert code == 0, said
    assert kept == ["0000", "0000"]
    assert "Accepted Transfer Syntax: =LittleEndianImplicit" in said
    assert fault.count == 1


def test_storescu_is_told_that_the_house_is_full(sent):
    code, said, fault, kept = sent("full")
    assert code != 0
    assert "Association Rejected" in said
    assert "Local Limit Exceeded" in said
    assert (kept, fault.count) == ([], 1)


def test_findscu_sees_how_a_query_ended(program, call, archive, files):
    async def talk(entity, kind, **wish):
        async with faulty((entity.host, entity.port), "dicom", kind, **wish) as (port, fault):
            keys = [part for key in ("QueryRetrieveLevel=STUDY", "StudyInstanceUID") for part in ("-k", key)]
            command = (
                program("findscu"),
                "-v",
                "-S",
                "-to",
                5,
                "-td",
                2,
                "-aec",
                entity.ae,
                *keys,
                "127.0.0.1",
                port,
            )
            _, said = await call(*command)
            return said, fault.count

    async def whole():
        async with archive() as (_, entity, _):
            code, said = await call(
                program("storescu"), "-aec", entity.ae, entity.host, entity.port, *files[0]
            )
            assert code == 0, said
            return (
                await talk(entity, "matches", what="cancelled"),
                await talk(entity, "matches", what="unfinished"),
                await talk(entity, "matches", what="many", copies=50),
            )

    (cancelled, one), (unfinished, two), (many, three) = asyncio.run(whole())
    assert "Cancel" in cancelled
    assert "Timeout" in unfinished or "timeout" in unfinished
    assert many.count("Pending") >= 50
    assert (one, two, three) == (1, 1, 1)


def test_movescu_is_told_that_nobody_is_there(program, call, archive):
    async def talk():
        async with (
            archive() as (_, entity, _),
            faulty((entity.host, entity.port), "dicom", "status", service="c-move", status="A801") as (
                port,
                fault,
            ),
        ):
            keys = [
                part for key in ("QueryRetrieveLevel=STUDY", "StudyInstanceUID=1.2.3") for part in ("-k", key)
            ]
            command = (
                program("movescu"),
                "-v",
                "-S",
                "-aec",
                entity.ae,
                "-aem",
                "NOBODY",
                *keys,
                "127.0.0.1",
                port,
            )
            code, said = await call(*command)
            return code, said, fault.count

    code, said, count = asyncio.run(talk())
    assert "MoveDestinationUnknown" in said or "A801" in said.upper()
    assert count == 1
    assert code != 0


def test_curl_sees_status_retry_and_a_body_cut_off(program, call, archive, files):
    async def talk():
        async with archive() as (_, entity, web):
            code, said = await call(
                program("storescu"), "-aec", entity.ae, entity.host, entity.port, *files[0]
            )
            assert code == 0, said
            url = urlsplit(web)
            found = []
            for kind, wish in (
                ("http-status", {"status": 429, "retry": 7}),
                ("http-answer", {"what": "cut"}),
                ("http-answer", {"what": "short"}),
            ):
                async with faulty((url.hostname, url.port), "web", kind, **wish) as (port, fault):
                    address = f"http://127.0.0.1:{port}{url.path}/instances"
                    found.append((*await call(program("curl"), "-s", "-i", address), fault.count))
            return found

    (_, busy, one), (cut, _, two), (_, short, three) = asyncio.run(talk())
    assert busy.startswith("HTTP/1.1 429 Too Many Requests")
    assert "retry-after: 7" in busy
    assert cut == 18, "curl: transfer closed with outstanding read data remaining"
    assert len(json.loads(short.partition("\r\n\r\n")[2])) == 1
    assert (one, two, three) == (1, 1, 1)


def asked(url):
    with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310 - http to our own loopback
        return answer.read()


@pytest.mark.parametrize(
    ("kind", "wish", "stored"),
    [
        ("malformed", {"what": "two-bytes"}, 2),
        ("malformed", {"what": "one-byte", "times": 1, "after": 1}, 1),
        ("malformed", {"what": "wrong-context", "times": 1, "after": 1}, 1),
        ("malformed", {"what": "interleaved", "times": 1, "after": 1}, 1),
        ("malformed", {"what": "endless-length", "times": 1, "after": 1}, 1),
        ("repeat", {"other": "pixels"}, 2),
    ],
)
def test_orthanc_keeps_what_is_whole_and_first(program, call, orthanc, files, kind, wish, stored):
    root, address = orthanc
    door = address.dicom

    async def talk():
        async with faulty((door.host, door.port), "dicom", kind, **wish) as (port, fault):
            await call(
                program("storescu"),
                "-to",
                5,
                "-td",
                5,
                "-ta",
                5,
                "-aec",
                door.ae,
                "127.0.0.1",
                port,
                *files[0],
            )
            return fault

    fault = asyncio.run(talk())
    assert fault.count == wish.get("times", 2)
    held = json.loads(asked(f"{root}/instances"))
    assert len(held) == stored
    wanted = {one["SOPInstanceUID"]: pixel_hash(one["PixelData"]) for one in files[1]}
    for one in held:
        elements = decode(part10.read(asked(f"{root}/instances/{one}/file")).data, explicit=True)
        assert pixel_hash(elements["PixelData"]) == wanted[elements["SOPInstanceUID"]]
