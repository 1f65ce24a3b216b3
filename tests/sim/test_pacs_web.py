"""The archive's DICOMweb door against what clients get wrong: refused with a reason, nothing half stored, still serving."""

from __future__ import annotations

import asyncio
import contextlib

import httpx
import pytest

from stepwedge import kit
from stepwedge.sim.host import Host, Part, Plan
from stepwedge.wire import multipart, part10
from stepwedge.wire.elements import EXPLICIT_LE, encode
from stepwedge.wire.results import Instance

kit.load_simulator("pacs")
from stepwedge_simulators.pacs import web  # noqa: E402  loaded from its folder just above


@contextlib.asynccontextmanager
async def client(state):
    host = Host(Plan({"pacs": Part("pacs")}), state, 7)
    await host.start()
    try:
        async with httpx.AsyncClient(base_url=host.directory["pacs"].web, trust_env=False) as browser:
            yield browser
    finally:
        await host.stop()


def file(image, syntax=EXPLICIT_LE):
    data = encode(image, explicit=True)
    return part10.write(Instance(image["SOPClassUID"], image["SOPInstanceUID"], syntax, data))


async def stow(browser, *files, path="/studies"):
    body, content_type = multipart.encode(files, "application/dicom")
    return await browser.post(path, content=body, headers={"Content-Type": content_type})


def stored(state):
    return [path for path in (state / "pacs" / "objects").glob("*/*") if path.is_file()]


def test_one_bad_part_of_three_is_named_and_the_others_are_kept(tmp_path, ct_image):
    async def talk():
        async with client(tmp_path) as browser:
            answer = await stow(browser, file(ct_image(1)), b"not a DICOM file", file(ct_image(2)))
            assert answer.status_code == 202
            told = answer.json()
            assert len(told["00081199"]["Value"]) == 2
            (failed,) = told["00081198"]["Value"]
            assert failed["00081197"]["Value"] == [0xC000]

    asyncio.run(talk())
    assert len(stored(tmp_path)) == 2


@pytest.mark.parametrize(
    ("syntax", "change", "path", "reason"),
    [
        ("1.2.840.10008.1.2.4.100", {}, "/studies", 0xC122),
        (EXPLICIT_LE, {"PatientID": "4711"}, "/studies", 0x0124),
        (EXPLICIT_LE, {}, "/studies/1.2.3", 0x0110),
    ],
)
def test_what_is_not_kept_says_why(tmp_path, ct_image, syntax, change, path, reason):
    async def talk():
        async with client(tmp_path) as browser:
            answer = await stow(browser, file(ct_image(1) | change, syntax), path=path)
            assert answer.status_code == 409
            (failed,) = answer.json()["00081198"]["Value"]
            assert failed["00081197"]["Value"] == [reason]

    asyncio.run(talk())
    assert stored(tmp_path) == []


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json", b"{}", 415),
        ('multipart/related; type="application/dicom+json"; boundary=x', b"--x--", 415),
        ('multipart/related; type="application/dicom"', b"--x--", 400),
        ('multipart/related; type="application/dicom"; boundary=x', b"--x\r\n\r\ncut off", 400),
        ('multipart/related; type="application/dicom"; boundary=x', b"", 400),
    ],
)
def test_a_broken_body_is_refused_whole(tmp_path, content_type, body, status):
    async def talk():
        async with client(tmp_path) as browser:
            answer = await browser.post("/studies", content=body, headers={"Content-Type": content_type})
            assert answer.status_code == status
            assert answer.text

    asyncio.run(talk())
    assert stored(tmp_path) == []


def test_too_much_at_once_is_413(tmp_path, ct_image, monkeypatch):
    monkeypatch.setattr(web, "LARGEST_BODY", 10_000)

    async def talk():
        async with client(tmp_path) as browser:
            assert (await stow(browser, file(ct_image(1)))).status_code == 413

    asyncio.run(talk())


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/studies?limit=many", 400),
        ("/studies?Nonsense=1", 400),
        ("/studies?00100020=SW1", 204),
        ("/studies?ScheduledProcedureStepSequence.Modality=CT", 204),
        ("/patients", 404),
        ("/studies/1.2.3", 404),
        ("/studies/1.2.3/metadata", 404),
        ("/studies/1.2.3/series/1/instances/2/frames/1", 404),
        ("/studies/..%2F..%2Fetc%2Fpasswd", 404),
    ],
)
def test_questions_that_lead_nowhere(tmp_path, path, status):
    async def talk():
        async with client(tmp_path) as browser:
            assert (await browser.get(path)).status_code == status

    asyncio.run(talk())


def test_search_shows_what_was_asked_and_says_when_there_is_more(tmp_path, ct_image):
    async def talk():
        async with client(tmp_path) as browser:
            await stow(browser, *(file(ct_image(number)) for number in (1, 2, 3)))
            study = ct_image(1)["StudyInstanceUID"]
            answer = await browser.get(f"/studies/{study}/instances?limit=2&includefield=SliceLocation")
            assert [row["00200013"]["Value"] for row in answer.json()] == [[1], [2]]
            assert answer.json()[0]["00201041"]["Value"] == [0]
            assert "more results" in answer.headers["warning"]
            rest = await browser.get(f"/studies/{study}/instances?limit=2&offset=2")
            assert "warning" not in rest.headers
            assert len(rest.json()) == 1
            frame = await browser.get(
                f"/studies/{study}/series/{ct_image(1)['SeriesInstanceUID']}/instances/{ct_image(1)['SOPInstanceUID']}/frames/2"
            )
            assert frame.status_code == 404

    asyncio.run(talk())
