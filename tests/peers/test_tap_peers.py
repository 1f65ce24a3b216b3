"""Taps between programs that are not ours: DCMTK, curl and dicomweb-client on one side, Orthanc or DCMTK on the other."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from pathlib import Path

import pytest

from stepwedge.sim.host import Host, Plan
from stepwedge.wire import part10
from stepwedge.wire.elements import EXPLICIT_LE, encode
from stepwedge.wire.results import Instance

pytestmark = pytest.mark.peer
PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
STUDY_FIND = "1.2.840.10008.5.1.4.1.2.2.1"


@pytest.fixture
def file(tmp_path, ct_image):
    """Write one image as a DICOM file; return it with its path and its data set."""

    def make(number=1, **changes):
        image = ct_image(number, **changes)
        data = encode(image, explicit=True)
        path = tmp_path / f"{number}.dcm"
        path.write_bytes(
            part10.write(Instance(image["SOPClassUID"], image["SOPInstanceUID"], EXPLICIT_LE, data))
        )
        return path, image, data

    return make


@contextlib.asynccontextmanager
async def running(*command, port, folder):
    """Run a server until the block ends; give the path of what it says."""
    log = folder / "server.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(*map(str, command), stdout=output, stderr=output)
    try:
        async with asyncio.timeout(20):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    break
                except OSError:
                    assert process.returncode is None, log.read_text(errors="replace")[-2000:]
                    await asyncio.sleep(0.05)
        yield log
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


@pytest.fixture
def tapped(tmp_path, program, free_port):
    """Run a test with Orthanc as ``pacs`` behind taps of a scanner that is not ours either."""

    def run(body, **options):
        async def whole():
            orthanc, dicom, web, folder = program("Orthanc"), free_port(), free_port(), tmp_path / "orthanc"
            folder.mkdir()
            settings = {
                "StorageDirectory": str(folder / "db"),
                "IndexDirectory": str(folder / "db"),
                "DicomAet": "ORTHANC",
                "DicomPort": dicom,
                "HttpPort": web,
                "AuthenticationEnabled": False,
                "RemoteAccessAllowed": False,
                "DicomAlwaysAllowFind": True,
                "DicomAlwaysAllowGet": True,
                "DicomAlwaysAllowMove": True,
                "Plugins": [str(PLUGIN)],
                "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
                **options,
            }
            (folder / "orthanc.json").write_text(json.dumps(settings))
            plan = {
                "actors": {"ehr": {"role": "ehr", "settings": {"tells": []}}},
                "directory": {
                    "ct": {},
                    "pacs": {
                        "dicom": f"dicom://ORTHANC@127.0.0.1:{dicom}",
                        "web": f"http://127.0.0.1:{web}/dicom-web",
                    },
                },
                "taps": [{"on": "ct->pacs"}],
            }
            async with running(orthanc, folder / "orthanc.json", port=dicom, folder=folder) as log:
                host = Host(Plan.parse(plan, "test"), tmp_path / "state", 1)
                await host.start()
                ports = {one["door"]: one["port"] for one in host.taps.told()["taps"]}
                try:
                    await body(host.journal, ports, log)
                finally:
                    await host.stop()

        asyncio.run(asyncio.wait_for(whole(), 120))

    return run


async def seen(journal, true, seconds=10):
    """Wait until what is in the journal is so; return it."""
    async with asyncio.timeout(seconds):
        while not true(found := journal.after(0)):  # noqa: ASYNC110 - written in the same loop
            await asyncio.sleep(0.02)
    return found


def test_storescu_findscu_getscu(tapped, program, call, file, tmp_path):
    store, find, get, echo = map(program, ("storescu", "findscu", "getscu", "echoscu"))
    path, image, data = file()
    out = tmp_path / "got"
    out.mkdir()

    async def body(journal, ports, _log):
        at = ("-aet", "CT9", "-aec", "ORTHANC", "127.0.0.1", ports["dicom"])
        study = ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={image['StudyInstanceUID']}")
        assert (await call(echo, *at))[0] == 0
        code, said = await call(store, "-v", *at, path)
        assert code == 0, said
        assert (await call(find, "-S", *study, "-k", "PatientID", *at))[0] == 0
        assert (await call(find, "-S", "-k", "QueryRetrieveLevel=STUDY", "-k", "PatientID=SW0", *at))[0] == 0
        code, said = await call(get, "-v", "-S", *study, "-od", out, *at)
        assert code == 0, said
        told = await seen(journal, lambda all_: any(one.kind == "C-GET" for one in all_))
        kinds = [(one.kind, one.direction, one.outcome) for one in told]
        assert kinds == [
            ("C-ECHO", "in", "0000"),
            ("C-STORE", "in", "0000"),
            ("C-FIND", "in", "0000"),
            ("C-FIND", "in", "0000"),
            ("C-STORE", "out", "0000"),
            ("C-GET", "in", "0000"),
        ]
        assert {(one.actor, one.peer, one.protocol) for one in told} == {("pacs", "ct", "dimse")}
        _, stored, found, nothing, brought, got = told
        assert (stored.facts["calling"], stored.facts["called"]) == ("CT9", "ORTHANC")
        assert stored.facts["dataset"]["pixels"] == hashlib.sha256(image["PixelData"]).hexdigest()
        assert stored.facts["dataset"]["header"]["AccessionNumber"] == image["AccessionNumber"]
        assert stored.keys["study"] == [image["StudyInstanceUID"]]
        assert part10.read(stored.request.read()).data  # evidence is a DICOM file
        assert found.facts["answers"][0]["PatientID"] == "SW12345678"
        assert (found.facts["count"], nothing.facts["count"]) == (1, 0)
        assert brought.facts["dataset"]["pixels"] == stored.facts["dataset"]["pixels"]
        assert got.facts["response"]["NumberOfCompletedSuboperations"] == 1
        assert all(one.facts["tap"] == "ct->pacs dicom" for one in told)
        assert len(data) == stored.facts["dataset"]["size"]

    tapped(body)


def test_movescu_to_storescp_by_way_of_a_refusal(tapped, program, call, file, tmp_path, free_port):
    store, move, receiver = map(program, ("storescu", "movescu", "storescp"))
    path, image, _ = file()
    into, port = tmp_path / "moved", free_port()
    into.mkdir()

    async def body(journal, ports, log):
        at = ("-aet", "CT9", "-aec", "ORTHANC", "127.0.0.1", ports["dicom"])
        study = ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={image['StudyInstanceUID']}")
        assert (await call(store, *at, path))[0] == 0
        assert (await call(move, "-S", "-aem", "NOBODY", *study, *at))[0] != 0
        async with running(receiver, "-od", into, port, port=port, folder=into):
            assert (await call(move, "-S", "-aem", "MOVED", *study, *at))[0] == 0
        assert [one for one in into.iterdir() if one.suffix != ".log"]
        told = await seen(journal, lambda all_: sum(one.kind == "C-MOVE" for one in all_) == 2)
        refused, done = (one for one in told if one.kind == "C-MOVE")
        assert refused.outcome != "0000", log.read_text()
        assert done.outcome == "0000"
        assert done.facts["command"]["MoveDestination"] == "MOVED"
        assert done.facts["identifier"]["StudyInstanceUID"] == image["StudyInstanceUID"]

    tapped(body, DicomModalities={"moved": ["MOVED", "127.0.0.1", port]})


def test_associations_that_come_to_nothing(tapped, program, call):
    echo = program("echoscu")

    async def body(journal, ports, _log):
        where = ("127.0.0.1", ports["dicom"])
        assert (await call(echo, "-aec", "ELSE", *where))[0] != 0
        (rejected,) = await seen(journal, len)
        assert (rejected.kind, rejected.outcome, rejected.direction) == ("A-ASSOCIATE", "refused", "in")
        assert "called AE title not recognized" in rejected.facts["error"]
        assert (await call(echo, "--abort", "-aec", "ORTHANC", *where))[0] == 0
        _, echoed, aborted = await seen(journal, lambda all_: len(all_) == 3)
        assert (echoed.outcome, aborted.kind, aborted.outcome) == ("0000", "A-ABORT", "refused")

    tapped(body, DicomCheckCalledAet=True)


def test_nobody_real_is_written_down(tapped, program, call, file):
    store = program("storescu")
    path, *_ = file(PatientID="4711", PatientName="REAL^PERSON")

    async def body(journal, ports, _log):
        assert (await call(store, "-aec", "ORTHANC", "127.0.0.1", ports["dicom"], path))[0] == 0
        (told,) = await seen(journal, len)
        assert told.facts["refused"]
        assert told.outcome == "0000"
        assert not told.keys
        text = journal.path.read_bytes()
        assert b"4711" not in text
        assert b"PERSON" not in text
        assert not list((journal.path.parent / "blobs").iterdir())

    tapped(body)


def test_curl_and_dicomweb_client(tapped, program, call, file, tmp_path):
    curl = program("curl")
    path, image, _ = file()
    study = image["StudyInstanceUID"]

    def stow_and_wado(root):
        from dicomweb_client.api import DICOMwebClient
        from pydicom import dcmread

        client = DICOMwebClient(root)
        client.store_instances([dcmread(path)])
        got = client.retrieve_study(study)
        found = client.search_for_studies(search_filters={"PatientID": "SW12345678"})
        return len(got), len(found)

    async def body(journal, ports, _log):
        root = f"http://127.0.0.1:{ports['web']}/dicom-web"
        assert await asyncio.to_thread(stow_and_wado, root) == (1, 1)
        for query in ("PatientID=SW12345678", "PatientID=SWNOBODY"):
            code, said = await call(curl, "-sSf", f"{root}/studies?{query}", "-o", tmp_path / "out")
            assert code == 0, said
        code, said = await call(curl, "-sS", "-o", tmp_path / "out", f"{root}/studies/1.2.3/metadata")
        assert code == 0, said
        told = await seen(journal, lambda all_: len(all_) >= 6)
        short = [(one.kind, one.outcome) for one in told]
        assert short == [
            ("POST /studies", "200"),
            ("GET /studies/{}", "200"),
            ("GET /studies", "200"),
            ("GET /studies", "200"),
            ("GET /studies", "200"),
            ("GET /studies/{}/metadata", "404"),
        ]
        assert {(one.actor, one.peer, one.protocol, one.direction) for one in told} == {
            ("pacs", "ct", "web", "in")
        }
        stow, wado, qido, *_ = told
        assert stow.keys["sop"] == [image["SOPInstanceUID"]]
        assert wado.keys["sop"] == [image["SOPInstanceUID"]]
        assert wado.keys["patient"] == ["SW12345678"]
        assert wado.facts["content_encoding"] == "gzip"  # as the client asked; what is kept is what it means
        assert len(wado.response.read()) > len(image["PixelData"])
        assert qido.facts["query"] == "PatientID=SW12345678"
        assert json.loads(qido.response.read())[0]["0020000D"]["Value"] == [study]

    tapped(body)
