"""DCMTK as peer: its tools drive our server, our client drives its servers."""

import contextlib
import os
import socket
import subprocess
import time
from pathlib import Path

import pytest

from stepwedge.wire import part10
from stepwedge.wire.dimse_blocking import Association
from stepwedge.wire.elements import EXPLICIT_LE, IMPLICIT_LE, decode, encode
from stepwedge.wire.results import Instance
from stepwedge.wire.services import STUDY_FIND, STUDY_GET, STUDY_MOVE, VERIFICATION, WORKLIST

CT = "1.2.840.10008.5.1.4.1.1.2"


@pytest.fixture(autouse=True)
def dcmtk(program, monkeypatch):
    """Find DCMTK's tools before those of the same name that pynetdicom brings."""
    folder = Path(program("echoscu")).parent
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def tool(*arguments, expect=0):
    done = subprocess.run(
        list(map(str, arguments)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "TCP_NODELAY": "1"},
        errors="replace",
    )
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout + done.stderr


def image(number, size=40_000):
    elements = {
        "SOPClassUID": CT,
        "SOPInstanceUID": f"2.25.{number}",
        "StudyDate": "20261124",
        "StudyTime": "093000",
        "AccessionNumber": "SW1",
        "Modality": "CT",
        "PatientName": "Muster^Max",
        "PatientID": "SW1",
        "StudyInstanceUID": "2.25.9",
        "SeriesInstanceUID": "2.25.8",
        "StudyID": "1",
        "SeriesNumber": "1",
        "InstanceNumber": str(number),
        "PixelData": bytes(size),
    }
    return Instance(CT, f"2.25.{number}", EXPLICIT_LE, encode(elements, explicit=True))


@pytest.fixture
def images(tmp_path):
    """Write three instances as files."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.dcm").write_bytes(part10.write(image(number)))
    return folder


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as placeholder:
        return placeholder.getsockname()[1]


@contextlib.contextmanager
def running(*arguments, port):
    """Run a DCMTK server until the block ends."""
    process = subprocess.Popen(
        list(map(str, arguments)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "TCP_NODELAY": "1"},
    )
    try:
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert process.poll() is None, process.stdout.read()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield process
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


def test_echoscu(station):
    archive = station()
    said = tool("echoscu", "-v", "-aec", "ARCHIVE", "127.0.0.1", archive.port)
    assert "Received Echo Response (Success)" in said


def test_echoscu_learns_why_it_is_rejected(station):
    archive = station()
    said = tool("echoscu", "-v", "-aec", "OTHER", "127.0.0.1", archive.port, expect=1)
    assert "Called AE Title Not Recognized" in said


def test_storescu(station, images):
    archive = station()
    tool("storescu", "-aec", "ARCHIVE", "+sd", "127.0.0.1", archive.port, images)
    assert {uid: held.load() for uid, held in archive.provider.held.items()} == {
        f"2.25.{number}": image(number).data for number in range(3)
    }


def test_storescu_with_implicit_only_and_the_largest_pdu(station, images):
    archive = station()
    tool("storescu", "-xi", "-pdu", 131072, "-aec", "ARCHIVE", "+sd", "127.0.0.1", archive.port, images)
    held = archive.provider.held["2.25.0"]
    assert held.transfer_syntax == IMPLICIT_LE
    assert decode(held.load(), explicit=False) == decode(image(0).data, explicit=True)


def test_storescu_learns_a_failure(station, images):
    archive = station()
    archive.provider.failing = {"C-STORE": (0xA700, "disk full")}
    said = tool("storescu", "-v", "-aec", "ARCHIVE", "+sd", "127.0.0.1", archive.port, images, expect=0xA7)
    assert "OutOfResources" in said


def test_findscu(station, images, tmp_path):
    archive = station()
    tool("storescu", "-aec", "ARCHIVE", "+sd", "127.0.0.1", archive.port, images)
    said = tool(
        "findscu", "-S", "-X", "-od", tmp_path, "-aec", "ARCHIVE", "127.0.0.1", archive.port,
        "-k", "QueryRetrieveLevel=IMAGE", "-k", "PatientName=Must*", "-k", "SOPInstanceUID",
    )  # fmt: skip
    assert len(list(tmp_path.glob("rsp*.dcm"))) == 3, said
    shown = "".join(tool("dcmdump", path) for path in tmp_path.glob("rsp*.dcm"))
    assert all(f"[2.25.{number}]" in shown for number in range(3))


def test_findscu_of_a_worklist_and_cancel(station):
    archive = station()

    async def many(*_):
        import asyncio

        for number in range(10_000):
            yield {"PatientID": f"SW{number}", "ScheduledProcedureStepSequence": [{"Modality": "CT"}]}
            await asyncio.sleep(0)

    archive.provider.on_find = many
    said = tool(
        "findscu", "-v", "-W", "--cancel", 2, "-aec", "ARCHIVE", "127.0.0.1", archive.port,
        "-k", "PatientID", "-k", "ScheduledProcedureStepSequence[0].Modality=CT",
    )  # fmt: skip
    assert "Cancel" in said
    assert said.count("Find Response: ") < 10_000
    assert archive.exchanges[-1].status == 0xFE00
    assert archive.exchanges[-1].context.abstract == WORKLIST


def test_movescu(station, images, tmp_path):
    archive = station()
    port = free_port()
    archive.provider.destinations["MOVESCU"] = port
    tool("storescu", "-aec", "ARCHIVE", "+sd", "127.0.0.1", archive.port, images)
    folder = tmp_path / "moved"
    folder.mkdir()
    tool(
        "movescu", "-S", "-aet", "MOVESCU", "-aem", "MOVESCU", "-aec", "ARCHIVE", "+P", port, "-od", folder,
        "127.0.0.1", archive.port, "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=2.25.9",
    )  # fmt: skip
    assert len(list(folder.iterdir())) == 3


def test_getscu(station, images, tmp_path):
    archive = station()
    tool("storescu", "-aec", "ARCHIVE", "+sd", "127.0.0.1", archive.port, images)
    folder = tmp_path / "got"
    folder.mkdir()
    tool(
        "getscu", "-S", "-aec", "ARCHIVE", "-od", folder, "127.0.0.1", archive.port,
        "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=2.25.9",
    )  # fmt: skip
    found = [part10.read(path.read_bytes()) for path in folder.iterdir()]
    assert sorted(each.sop_instance for each in found) == ["2.25.0", "2.25.1", "2.25.2"]


def test_our_client_into_storescp(tmp_path):
    port = free_port()
    with (
        running("storescp", "-od", tmp_path, "+B", "-aet", "STORESCP", port, port=port),
        Association.open(
            "127.0.0.1",
            port,
            calling="SW_CT1",
            called="STORESCP",
            contexts=[VERIFICATION, (CT, [EXPLICIT_LE])],
            timeout=10,
        ) as association,
    ):
        assert association.echo().status == 0
        for number in range(3):
            assert (
                association.store(CT, f"2.25.{number}", EXPLICIT_LE, image(number, 500_000).data).status == 0
            )
    files = [part10.read(path.read_bytes()) for path in tmp_path.iterdir()]
    assert {each.sop_instance: each.data for each in files} == {
        f"2.25.{number}": image(number, 500_000).data for number in range(3)
    }


def test_our_client_into_dcmqrscp(station, tmp_path):
    port, reader = free_port(), station("READER")
    store = tmp_path / "db"
    store.mkdir()
    configuration = tmp_path / "dcmqrscp.cfg"
    configuration.write_text(
        f"""
NetworkTCPPort  = {port}
MaxPDUSize      = 16384
MaxAssociations = 16
HostTable BEGIN
reader = (READER, 127.0.0.1, {reader.port})
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
QRSCP {store} RW (200, 1024mb) ANY
AETable END
"""
    )
    study = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "2.25.9"}

    def associate(*contexts, scp_of=()):
        return Association.open(
            "127.0.0.1",
            port,
            calling="SW_READER",
            called="QRSCP",
            contexts=contexts,
            scp_of=scp_of,
            timeout=20,
        )

    with running("dcmqrscp", "-c", configuration, port=port):
        with associate(CT, STUDY_FIND, STUDY_MOVE) as association:
            for number in range(3):
                assert association.store(CT, f"2.25.{number}", EXPLICIT_LE, image(number).data).status == 0
            answers = association.find(STUDY_FIND, {**study, "PatientID": "SW1"})
            assert [each["StudyInstanceUID"] for each in answers] == ["2.25.9"]
            moved = association.move(STUDY_MOVE, study, "READER")
            assert (moved.status, moved.completed) == (0, 3)
            assert association.move(STUDY_MOVE, study, "NOBODY").category == "failure"
        with associate(CT, STUDY_GET, scp_of=[CT]) as association:
            got = association.get(STUDY_GET, study)
    assert (got.status, got.completed, len(got.instances)) == (0, 3, 3)
    assert sorted(reader.provider.held) == ["2.25.0", "2.25.1", "2.25.2"]
    assert sorted(each.sop_instance for each in got.instances) == ["2.25.0", "2.25.1", "2.25.2"]
