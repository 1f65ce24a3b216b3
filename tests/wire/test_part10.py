"""DICOM files: pydicom as oracle."""

import io

import pytest

from stepwedge.errors import RemoteProtocolError
from stepwedge.wire import part10
from stepwedge.wire.elements import EXPLICIT_LE, encode
from stepwedge.wire.results import Instance

CT = "1.2.840.10008.5.1.4.1.1.2"
INSTANCE = Instance(
    CT, "2.25.1", EXPLICIT_LE, encode({"SOPClassUID": CT, "PatientName": "A^B"}, explicit=True)
)


def test_pydicom_reads_what_we_wrote():
    from pydicom import dcmread

    found = dcmread(io.BytesIO(part10.write(INSTANCE)))
    assert found.file_meta.TransferSyntaxUID == EXPLICIT_LE
    assert found.file_meta.MediaStorageSOPInstanceUID == "2.25.1"
    assert found.PatientName == "A^B"


def test_round_trip():
    found = part10.read(part10.write(INSTANCE))
    assert (found.sop_class, found.sop_instance, found.transfer_syntax, found.data) == (
        INSTANCE.sop_class,
        INSTANCE.sop_instance,
        INSTANCE.transfer_syntax,
        INSTANCE.data,
    )


GOOD = part10.write(INSTANCE)


@pytest.mark.parametrize(
    "raw",
    [b"", GOOD[:100], GOOD[128:], GOOD[:140], GOOD[:160], GOOD.replace(b"DICM", b"DICO"), b"MZ" + bytes(200)],
)
def test_broken_files_are_refused(raw):
    with pytest.raises(RemoteProtocolError):
        part10.read(raw)
