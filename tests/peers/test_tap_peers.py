"""Taps between programs that are not ours: DCMTK, curl and dicomweb-client on one side, Orthanc or DCMTK on the other."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import re
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
def tapped(tmp_path, program, free_port, papers):
    """Run a test with Orthanc as ``pacs`` behind taps of a scanner that is not ours either."""

    def run(body, *, tls=False, tap=None, **options):
        async def whole():
            orthanc, dicom, web, folder = program("Orthanc"), free_port(), free_port(), tmp_path / "orthanc"
            folder.mkdir()
            settings = {
                "StorageDirectory": str(folder / "db"),
                "IndexDirectory": str(folder / "db"),
                "DicomAet": "ORTHANC",
                "DicomPort": dicom,
                "HttpPort": web,
                "HttpServerEnabled": not tls,
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
                    "modality": {},
                    "pacs": {
                        "dicom": f"dicom{'s' * tls}://ORTHANC@127.0.0.1:{dicom}",
                        "web": f"http{'s' * tls}://127.0.0.1:{web}/dicom-web",
                    },
                },
                "taps": [{"on": "ct->pacs", **(tap or {})}],
            }
            async with running(orthanc, folder / "orthanc.json", port=dicom, folder=folder) as log:
                host = Host(Plan.parse(plan, "test"), tmp_path / "state", 1)
                await host.start()
                ports = {one["door"]: one["port"] for one in host.taps.told()["taps"]}
                try:
                    async with (
                        web_server(program("openssl"), papers, web, folder)
                        if tls
                        else contextlib.nullcontext()
                    ):
                        await body(host.journal, ports, log)
                finally:
                    await host.stop()

        asyncio.run(asyncio.wait_for(whole(), 60))

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
        code, stored_said = await call(store, "-d", *at, path)
        assert code == 0, stored_said
        code, found_said = await call(find, "-d", "-S", *study, "-k", "PatientID", *at)
        assert code == 0, found_said
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
        # DCMTK's own account of the same operations
        rows = re.findall(
            r"^D: (Affected SOP Instance UID|DIMSE Status|Message ID)\s*: (\S+)", stored_said, re.MULTILINE
        )
        command, response = stored.facts["command"], stored.facts["response"]
        assert rows[:2] == [
            ("Message ID", str(command["MessageID"])),
            ("Affected SOP Instance UID", stored.facts["sop"]),
        ]
        assert ("DIMSE Status", f"0x{response['Status']:04x}:") in rows
        pending = found_said.count("DIMSE Status                  : 0xff00")
        assert pending == found.facts["count"] == len(found.facts["answers"])

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


@pytest.fixture
def secured(papers):
    """Return what lets Orthanc speak TLS at its DICOM door, as its own options."""
    return {
        "DicomTlsEnabled": True,
        "DicomTlsCertificate": str(papers / "pacs.pem"),
        "DicomTlsPrivateKey": str(papers / "pacs.key"),
        "DicomTlsTrustedCertificates": str(papers / "ca.pem"),
    }


@contextlib.asynccontextmanager
async def web_server(openssl, papers, port, folder):
    """Let ``openssl s_server -HTTP`` answer /dicom-web/studies: Debian's Orthanc 1.10 dies of its first HTTPS connection."""
    body = b'[{"00100020": {"vr": "LO", "Value": ["SW12345678"]}}]'
    (folder / "dicom-web").mkdir()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/dicom+json\r\nConnection: close\r\n\r\n"
    (folder / "dicom-web/studies").write_bytes(head + body)
    options = (
        "-cert",
        papers / "pacs.pem",
        "-cert_chain",
        papers / "pacs.pem",
        "-key",
        papers / "pacs.key",
        "-HTTP",
        "-quiet",
    )
    command = (openssl, "s_server", "-accept", port, *options)
    process = await asyncio.create_subprocess_exec(
        *map(str, command), cwd=folder, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(10):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    break
                await asyncio.sleep(0.05)
        yield
    finally:
        process.terminate()
        await process.wait()


def dcmtk(papers, name="probe"):
    return ("+tls", papers / f"{name}.key", papers / f"{name}.pem", "+cf", papers / "ca.pem")


def test_tls_that_passes_is_not_read_and_its_hellos_are(tapped, program, call, dial, papers, secured):
    echo, curl = map(program, ("echoscu", "curl"))

    async def body(journal, ports, _log):
        there = ("-aec", "ORTHANC", "127.0.0.1", ports["dicom"])
        code, said = await call(echo, *dcmtk(papers), *there)
        assert code == 0, said
        told = await seen(journal, len)
        assert [(one.kind, one.outcome, one.protocol, one.actor) for one in told] == [
            ("TLS", "sealed", "dimse", "pacs")
        ]
        facts = told[0].facts["tls"]
        assert facts["version"] in {"TLS 1.2", "TLS 1.3"}
        assert facts["version"] in facts["offered"]
        assert "alert" not in facts

        root = f"https://localhost:{ports['web']}/dicom-web/studies"
        code, said = await call(curl, "-sSf", "--tls-max", "1.2", "--cacert", papers / "ca.pem", root)
        assert code == 0, said
        _, web = await seen(journal, lambda all_: len(all_) == 2)
        assert (web.kind, web.protocol, web.facts["tls"]["sni"]) == ("TLS", "web", "localhost")
        assert web.facts["tls"]["version"] == "TLS 1.2"
        assert len(web.facts["tls"]["certificate"]) == 64

        options = ("-tls1_2", "-cipher", "NULL-SHA256:@SECLEVEL=0", "-servername", "pacs.example")
        await dial(ports["web"], *options)  # nothing in common: one side says so in the clear
        _, _, refused = await seen(journal, lambda all_: len(all_) == 3)
        assert (refused.outcome, refused.facts["tls"]["alert"]) == ("refused", "handshake_failure")
        assert refused.facts["tls"]["sni"] == "pacs.example"

    tapped(body, tls=True, **secured)


def test_tls_that_ends_in_the_tap_is_read(tapped, program, call, papers, secured, file):
    store, curl = map(program, ("storescu", "curl"))
    path, image, _ = file()

    async def body(journal, ports, _log):
        there = ("-aec", "ORTHANC", "127.0.0.1", ports["dicom"])
        code, said = await call(store, *dcmtk(papers), *there, path)
        assert code == 0, said
        (stored,) = await seen(journal, len)
        assert (stored.kind, stored.outcome, stored.peer) == ("C-STORE", "0000", "modality")
        assert stored.facts["dataset"]["pixels"] == hashlib.sha256(image["PixelData"]).hexdigest()

        root = f"https://localhost:{ports['web']}/dicom-web/studies"
        shown = ("--cacert", papers / "ca.pem", "--cert", papers / "probe.pem", "--key", papers / "probe.key")
        code, said = await call(curl, "-sSf", *shown, root)
        assert code == 0, said
        assert "SW12345678" in said
        _, asked = await seen(journal, lambda all_: len(all_) == 2)
        assert (asked.kind, asked.outcome) == ("GET /studies", "200")
        assert asked.keys["patient"] == ["SW12345678"]

        assert (await call(curl, "-sS", "--cacert", papers / "ca.pem", root))[0] != 0  # it shows nothing
        assert (await call(store, *dcmtk(papers, "bad/expired"), *there, path))[0] != 0
        *_, nobody, expired = await seen(journal, lambda all_: len(all_) == 4)
        assert [(one.kind, one.outcome) for one in (nobody, expired)] == [("TLS", "refused")] * 2
        assert "expired" in expired.facts["error"]

    tap = {"on": "modality->pacs", "terminate": {"folder": str(papers)}}
    tapped(body, tls=True, tap=tap, **secured)


def test_what_a_callee_behind_a_tap_refuses_is_told(tapped, program, call, papers, secured):
    echo = program("echoscu")

    async def body(journal, ports, _log):
        code, _ = await call(echo, *dcmtk(papers), "-aec", "ORTHANC", "127.0.0.1", ports["dicom"])
        assert code != 0
        (told,) = await seen(journal, len)
        assert (told.kind, told.outcome, told.peer) == ("TLS", "refused", "modality")

    tap = {"on": "modality->pacs", "terminate": {"folder": str(papers)}}
    secured["DicomTlsCertificate"] = str(papers / "bad/wrong-name.pem")
    secured["DicomTlsPrivateKey"] = str(papers / "bad/wrong-name.key")
    tapped(body, tls=True, tap=tap, **secured)
