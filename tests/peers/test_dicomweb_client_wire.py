"""dicomweb-client as peer of our wire code: it reads what we write, we read what it writes."""

import io
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pydicom
import pytest
from dicomweb_client.api import DICOMwebClient
from pydicom.dataset import FileDataset, FileMetaDataset

from stepwedge.wire import dicomjson, multipart, part10
from stepwedge.wire.elements import decode


def instance(uid):
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    meta.MediaStorageSOPInstanceUID = uid
    meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    data_set = FileDataset(None, {}, file_meta=meta, preamble=bytes(128))
    data_set.SpecificCharacterSet = "ISO_IR 100"
    data_set.SOPClassUID, data_set.SOPInstanceUID = meta.MediaStorageSOPClassUID, uid
    data_set.StudyInstanceUID, data_set.SeriesInstanceUID = "1.2", "1.3"
    data_set.PatientName, data_set.PatientID = "Müller^Jörg", "SW1"
    data_set.Rows = data_set.Columns = 2
    data_set.BitsAllocated, data_set.SamplesPerPixel = 8, 1
    data_set.add_new(0x7FE00010, "OB", b"\r\n--")
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, data_set, enforce_file_format=True)
    return buffer.getvalue()


def read(raw):
    return pydicom.dcmread(io.BytesIO(raw))


class Service(BaseHTTPRequestHandler):
    """The smallest archive: it keeps files and answers with Stepwedge's wire code."""

    protocol_version = "HTTP/1.1"
    files: list[bytes]

    def do_GET(self):
        if "/studies/" not in self.path:
            results = [
                {
                    "StudyInstanceUID": "1.2",
                    "PatientName": "Müller^Jörg",
                    "NumberOfStudyRelatedInstances": str(len(self.files)),
                }
            ]
            self.answer(200, "application/dicom+json", dicomjson.dumps(results))
        elif self.path.endswith("/metadata"):
            read = [part10.read(each) for each in self.files]
            results = [decode(each.data, explicit=True, stop_before_pixels=True) for each in read]
            self.answer(200, "application/dicom+json", dicomjson.dumps(results))
        else:
            body, content_type = multipart.encode(self.files, "application/dicom")
            self.answer(200, content_type, body)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        parts = multipart.decode(body, self.headers["Content-Type"])
        self.files += [part.body for part in parts]
        stored = [
            {"ReferencedSOPClassUID": read.sop_class, "ReferencedSOPInstanceUID": read.sop_instance}
            for read in (part10.read(part.body) for part in parts)
        ]
        self.answer(200, "application/dicom+json", dicomjson.dumps([{"ReferencedSOPSequence": stored}])[1:-1])

    def answer(self, status, content_type, body):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def client():
    Service.files = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    thread = threading.Thread(target=server.serve_forever, args=(0.005,), daemon=True)
    thread.start()
    yield DICOMwebClient(f"http://127.0.0.1:{server.server_port}")
    server.shutdown()
    server.server_close()
    thread.join(5)


def test_store_search_and_retrieve(client):
    sent = [read(instance("1.4.1")), read(instance("1.4.2"))]
    response = client.store_instances(sent)
    assert [item.ReferencedSOPInstanceUID for item in response.ReferencedSOPSequence] == ["1.4.1", "1.4.2"]

    (study,) = map(pydicom.Dataset.from_json, client.search_for_studies())
    assert (study.StudyInstanceUID, str(study.PatientName), study.NumberOfStudyRelatedInstances) == (
        "1.2",
        "Müller^Jörg",
        2,
    )

    metadata = [pydicom.Dataset.from_json(each) for each in client.retrieve_study_metadata("1.2")]
    assert [str(each.PatientName) for each in metadata] == ["Müller^Jörg"] * 2

    for ours, theirs in zip(sent, client.retrieve_study("1.2"), strict=True):
        assert theirs.SOPInstanceUID == ours.SOPInstanceUID
        assert theirs.PixelData == ours.PixelData


def test_files_keep_every_byte(client):
    client.store_instances([read(instance("1.4.1"))])
    assert part10.read(Service.files[0]).data == part10.read(instance("1.4.1")).data
