"""Our DICOMweb client against Orthanc's DICOMweb plug-in."""

import json
import os
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from stepwedge.errors import LinkLost
from stepwedge.wire import part10
from stepwedge.wire.dicomweb import DicomWeb
from stepwedge.wire.elements import EXPLICIT_LE, decode, encode
from stepwedge.wire.http_blocking import HttpRefused
from stepwedge.wire.results import Instance

pytestmark = pytest.mark.peer

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def instance(number, study="1.2.3"):
    uid = f"{study}.4.{number}"
    data_set = {
        "SpecificCharacterSet": "ISO_IR 100",
        "SOPClassUID": SECONDARY_CAPTURE,
        "SOPInstanceUID": uid,
        "StudyDate": "20261124",
        "AccessionNumber": "SW000123",
        "Modality": "OT",
        "PatientName": "Müller^Jörg",
        "PatientID": "SW1",
        "StudyInstanceUID": study,
        "SeriesInstanceUID": f"{study}.4",
        "InstanceNumber": str(number),
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": 2,
        "Columns": 2,
        "BitsAllocated": 8,
        "BitsStored": 8,
        "HighBit": 7,
        "PixelRepresentation": 0,
        "PixelData": b"\r\n--",
    }
    return part10.write(Instance(SECONDARY_CAPTURE, uid, EXPLICIT_LE, encode(data_set, explicit=True)))


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    if not PLUGIN.exists() or not Path("/usr/sbin/Orthanc").exists():
        pytest.skip("Orthanc with its DICOMweb plug-in is not installed")
    folder, port = tmp_path_factory.mktemp("orthanc"), free_port()
    settings = {
        "StorageDirectory": str(folder / "db"),
        "IndexDirectory": str(folder / "db"),
        "HttpPort": port,
        "DicomPort": free_port(),
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "Plugins": [str(PLUGIN)],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            ["/usr/sbin/Orthanc", str(folder / "orthanc.json")],
            stdout=log,
            stderr=log,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/system", timeout=1).close()
                break
            except OSError:
                if time.monotonic() > deadline or process.poll() is not None:
                    pytest.fail((folder / "log").read_text(errors="replace")[-2000:])
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/dicom-web"
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def web(root):
    with DicomWeb(root, timeout=10) as client:
        yield client


def test_store_search_retrieve(web):
    files = [instance(1), instance(2)]
    result = web.stow(files)
    assert result.status == 200
    assert [outcome.sop_instance for outcome in result.stored] == ["1.2.3.4.1", "1.2.3.4.2"]
    assert result.failed == ()

    (study,) = web.qido("studies", {"AccessionNumber": "SW000123"})
    assert (study["StudyInstanceUID"], study["PatientName"]) == ("1.2.3", "Müller^Jörg")
    assert study["NumberOfStudyRelatedInstances"] == "2"
    assert [
        each["SOPInstanceUID"] for each in web.qido("instances", {"PatientID": "SW1"}, study="1.2.3")
    ] == [
        "1.2.3.4.1",
        "1.2.3.4.2",
    ]
    assert web.qido("studies", {"PatientID": "nobody"}) == []

    metadata = web.metadata("1.2.3")
    assert sorted(each["InstanceNumber"] for each in metadata) == ["1", "2"]

    for scope in (("1.2.3",), ("1.2.3", "1.2.3.4")):
        got = {part10.read(each).sop_instance: part10.read(each) for each in web.wado(*scope)}
        assert sorted(got) == ["1.2.3.4.1", "1.2.3.4.2"]
    (one,) = web.wado("1.2.3", "1.2.3.4", "1.2.3.4.2")
    assert decode(part10.read(one).data, explicit=True)["PixelData"] == b"\r\n--"


def test_some_stored_and_some_not(web):
    result = web.stow([instance(1, "1.2.9"), b"this is no DICOM file"])
    assert [outcome.sop_instance for outcome in result.stored] == ["1.2.9.4.1"]
    assert result.status in {202, 400}


def test_what_is_not_there(web):
    for ask in (lambda: web.wado("9.9"), lambda: web.metadata("9.9")):
        with pytest.raises(HttpRefused) as caught:
            ask()
        assert caught.value.status == 404


def test_nobody_listens():
    with DicomWeb(f"http://127.0.0.1:{free_port()}/dicom-web") as client, pytest.raises(LinkLost):
        client.qido("studies")
