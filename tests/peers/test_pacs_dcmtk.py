"""Our archive, as DCMTK's tools see it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from stepwedge.sim.phantoms import pixel_hash
from stepwedge.wire import part10
from stepwedge.wire.elements import EXPLICIT_LE, IMPLICIT_LE, decode, encode
from stepwedge.wire.results import Instance

pytestmark = pytest.mark.peer


@pytest.fixture
def files(tmp_path, ct_image):
    """Write images 1..3 as DICOM files."""

    def make(syntax=EXPLICIT_LE, **changes):
        folder = tmp_path / "sent"
        folder.mkdir(exist_ok=True)
        paths = []
        for number in (1, 2, 3):
            image = ct_image(number, **changes)
            data = encode(image, explicit=syntax != IMPLICIT_LE)
            instance = Instance(image["SOPClassUID"], image["SOPInstanceUID"], syntax, data)
            paths.append(folder / f"{number}.dcm")
            paths[-1].write_bytes(part10.write(instance))
        return paths

    return make


def responses(folder):
    """Return the identifiers that findscu -X wrote, in order."""
    return [part10.read(path.read_bytes()) for path in sorted(Path(folder).iterdir())]


def read(folder):
    """Return the received files' elements by Instance Number."""
    found = {}
    for path in Path(folder).iterdir():
        file = part10.read(path.read_bytes())
        elements = decode(file.data, explicit=file.transfer_syntax != IMPLICIT_LE)
        found[int(elements["InstanceNumber"])] = elements
    return found


def at(entity, *options):
    """Return the arguments that name the archive."""
    return ("-aec", entity.ae, *options, entity.host, entity.port)


def test_echoscu(program, call, archive):
    tool = program("echoscu")

    async def talk():
        async with archive() as (_, entity, _):
            assert await call(tool, *at(entity)) == (0, "")
            code, said = await call(tool, "-v", *("-aec", "WRONG"), entity.host, entity.port)
            assert code != 0
            assert "Called AE Title Not Recognized" in said

    asyncio.run(talk())


@pytest.mark.parametrize(("syntax", "option"), [(EXPLICIT_LE, "-xe"), (IMPLICIT_LE, "-xi")])
def test_storescu_then_findscu_at_every_level(program, call, archive, files, tmp_path, syntax, option):
    store, find = program("storescu"), program("findscu")

    async def ask(entity, level, *keys):
        folder = tempfile.mkdtemp(dir=tmp_path)
        given = [part for key in keys for part in ("-k", key)]
        code, said = await call(find, level, "-X", "-od", folder, *given, *at(entity))
        assert code == 0, said
        return responses(folder)

    async def talk():
        async with archive() as (_, entity, _):
            for _ in range(2):  # the second time everything is there already, and that is no error
                code, said = await call(store, option, *at(entity), *files(syntax))
                assert code == 0, said
            (study,) = await ask(
                entity,
                "-S",
                "QueryRetrieveLevel=STUDY",
                "AccessionNumber=SW00012345",
                "StudyInstanceUID",
                "PatientName",
                "ModalitiesInStudy",
                "NumberOfStudyRelatedInstances",
            )
            told = decode(study.data, explicit=study.transfer_syntax != IMPLICIT_LE)
            assert told["NumberOfStudyRelatedInstances"] == "3"
            assert told["ModalitiesInStudy"] == "CT"
            assert told["PatientName"] == "MÜLLER^Jörg"
            uid = f"StudyInstanceUID={told['StudyInstanceUID']}"
            assert len(await ask(entity, "-P", "QueryRetrieveLevel=PATIENT", "PatientID=SW1234*")) == 1
            assert len(await ask(entity, "-S", "QueryRetrieveLevel=SERIES", uid, "SeriesInstanceUID")) == 1
            (series,) = await ask(
                entity, "-S", "QueryRetrieveLevel=SERIES", uid, "SeriesInstanceUID", "Modality=CT"
            )
            name = decode(series.data, explicit=series.transfer_syntax != IMPLICIT_LE)["SeriesInstanceUID"]
            images = await ask(
                entity, "-S", "QueryRetrieveLevel=IMAGE", uid, f"SeriesInstanceUID={name}", "SOPInstanceUID"
            )
            assert len(images) == 3
            assert await ask(entity, "-S", "QueryRetrieveLevel=STUDY", "PatientID=SW00000000") == []

    asyncio.run(talk())


def test_movescu_brings_the_same_pixels(program, call, archive, files, tmp_path, ct_image, free_port):
    store, move = program("storescu"), program("movescu")
    port = free_port()

    async def talk():
        async with archive(destinations=[f"dicom://DCMTK@127.0.0.1:{port}"]) as (_, entity, _):
            assert (await call(store, *at(entity), *files()))[0] == 0
            (tmp_path / "moved").mkdir()
            uid = ct_image(1)["StudyInstanceUID"]
            keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={uid}")
            code, said = await call(
                move,
                "-v",
                "-S",
                "-aet",
                "DCMTK",
                "-aem",
                "DCMTK",
                "+P",
                port,
                "-od",
                tmp_path / "moved",
                *keys,
                *at(entity),
            )
            assert code == 0, said
            code, said = await call(move, "-v", "-S", "-aem", "NOBODY", *keys, *at(entity))
            assert "MoveDestinationUnknown" in said.replace(" ", "")

    asyncio.run(talk())
    assert_intact(read(tmp_path / "moved"), ct_image)


def test_getscu_brings_the_same_pixels(program, call, archive, files, tmp_path, ct_image):
    store, get = program("storescu"), program("getscu")

    async def talk():
        async with archive() as (_, entity, _):
            assert (await call(store, *at(entity), *files()))[0] == 0
            (tmp_path / "got").mkdir()
            uid = ct_image(1)["StudyInstanceUID"]
            keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={uid}")
            code, said = await call(get, "-S", "-od", tmp_path / "got", *keys, *at(entity))
            assert code == 0, said

    asyncio.run(talk())
    assert_intact(read(tmp_path / "got"), ct_image)


def test_dciodvfy_accepts_what_comes_back_after_a_rename(program, call, archive, files, tmp_path, ct_image):
    store, get = program("storescu"), program("getscu")
    validator = Path(sys.executable).parent / "dciodvfy"
    if not validator.exists():
        pytest.skip("dciodvfy is not installed (extra 'conformance')")

    async def talk():
        async with archive() as (host, entity, _):
            assert (await call(store, *at(entity), *files()))[0] == 0
            pacs = host.simulators["pacs"]
            with pacs.bench.change(pacs.state):
                pacs.state.update("SW12345678", "STEPWEDGE", {"name": "ŁUKASZ^Zoë"})
            (tmp_path / "got").mkdir()
            uid = ct_image(1)["StudyInstanceUID"]
            keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={uid}")
            assert (await call(get, "-S", "-od", tmp_path / "got", *keys, *at(entity)))[0] == 0

    asyncio.run(talk())
    for path in (tmp_path / "got").iterdir():
        done = subprocess.run([validator, str(path)], capture_output=True, text=True, check=False)
        assert "Error" not in done.stdout + done.stderr, done.stderr
    assert {elements["PatientName"] for elements in read(tmp_path / "got").values()} == {"ŁUKASZ^Zoë"}


def assert_intact(found, ct_image):
    assert sorted(found) == [1, 2, 3]
    for number, elements in found.items():
        assert pixel_hash(elements["PixelData"]) == pixel_hash(ct_image(number)["PixelData"])
        assert elements == ct_image(number)
