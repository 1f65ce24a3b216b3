"""The DICOM JSON model, with pydicom as oracle."""

import base64
import json

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwedge.errors import LocalProtocolError, RemoteProtocolError
from stepwedge.wire import dicomjson
from stepwedge.wire.dicomjson import Bulk

EVERYTHING = {
    "SpecificCharacterSet": "ISO_IR 192",
    "ImageType": "ORIGINAL\\PRIMARY\\AXIAL",
    "StudyDate": "20261124",
    "AccessionNumber": "SW1",
    "PatientName": "Müller^Jörg=山田^太郎",
    "PatientID": "SW1",
    "OtherPatientNames": "A^B\\C^D",
    "PatientComments": "one\\two",
    "PatientWeight": "70.5",
    "SeriesNumber": "3",
    "ImagePositionPatient": "-1.5\\0\\2",
    "Rows": 512,
    "PixelAspectRatio": "1\\1",
    "SimpleFrameList": [1, 2, 3],
    "RealWorldValueSlope": 0.25,
    "FrameIncrementPointer": "00181063",
    "RetrieveURL": "http://127.0.0.1/a?b=c",
    "RequestAttributesSequence": [{"ScheduledProcedureStepID": "S1"}, {"RequestedProcedureID": ""}],
    "ReferencedStudySequence": [],
    "ReferringPhysicianName": "",
    "PixelData": b"\x00\x01\x02\x03",
    "00091001": b"private",
}


def test_there_and_back():
    assert dicomjson.loads(dicomjson.dumps([EVERYTHING])) == [{**EVERYTHING, "ReferencedStudySequence": []}]


def test_pydicom_reads_the_same():
    (written,) = json.loads(dicomjson.dumps([EVERYTHING]))
    data_set = pydicom.Dataset.from_json(written)
    assert str(data_set.PatientName) == EVERYTHING["PatientName"]
    assert list(data_set.ImagePositionPatient) == [-1.5, 0, 2]
    assert data_set.Rows == 512
    assert data_set.PixelData == b"\x00\x01\x02\x03"
    assert data_set.RequestAttributesSequence[0].ScheduledProcedureStepID == "S1"
    assert dicomjson.decode(data_set.to_json_dict()) == EVERYTHING


def test_the_form_of_annex_f():
    written = dicomjson.encode(
        {
            "PatientName": "A^B==C",
            "OtherPatientIDs": "1\\\\3",
            "PatientSex": "",
            "SeriesNumber": "7",
            "PatientWeight": "1.50",
        }
    )
    assert written == {
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "A^B", "Phonetic": "C"}]},
        "00100040": {"vr": "CS"},
        "00101000": {"vr": "LO", "Value": ["1", None, "3"]},
        "00101030": {"vr": "DS", "Value": [1.5]},
        "00200011": {"vr": "IS", "Value": [7]},
    }
    assert dicomjson.decode(written)["OtherPatientIDs"] == "1\\\\3"


def test_what_is_no_number_travels_as_text():
    for value in ("1,5", "nan", "1e999"):
        written = dicomjson.encode({"PatientWeight": value})
        assert written["00101030"]["Value"] == [value]
        assert dicomjson.decode(written) == {"PatientWeight": value}


def test_bulk_data():
    written = dicomjson.encode({"PixelData": b"12"}, bulk=lambda key, data: f"http://h/{key}/{len(data)}")
    assert written == {"7FE00010": {"vr": "OW", "BulkDataURI": "http://h/PixelData/2"}}
    read = dicomjson.decode(written)["PixelData"]
    assert isinstance(read, Bulk)
    assert read == "http://h/PixelData/2"
    assert dicomjson.encode({"PixelData": read}) == written
    assert "InlineBinary" in dicomjson.encode({"PixelData": b"12"}, bulk=lambda *_: None)["7FE00010"]


def test_another_choice_of_a_contextual_vr():
    assert dicomjson.decode({"00280106": {"vr": "SS", "Value": [-5]}}) == {"SmallestImagePixelValue": -5}
    assert dicomjson.decode({"7FE00010": {"vr": "OB", "InlineBinary": "AAE="}}) == {"PixelData": b"\x00\x01"}


names = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters="\\=^"), max_size=10
)
groups = st.lists(names, min_size=1, max_size=3).map(lambda parts: "=".join(parts).rstrip("="))


@given(
    groups,
    st.lists(names, min_size=1, max_size=3),
    st.binary(max_size=20),
    st.lists(st.integers(0, 65535), max_size=3),
)
def test_any_value_there_and_back(name, texts, data, numbers):
    elements = {
        "PatientName": name,
        "OtherPatientIDs": "\\".join(texts),
        "PixelData": data,
        "SimpleFrameList": "" if not numbers else numbers[0] if len(numbers) == 1 else numbers,
    }
    assert dicomjson.loads(dicomjson.dumps([elements])) == [elements]


@pytest.mark.parametrize(
    ("body", "match"),
    [
        (b"", "no JSON"),
        (b"<xml/>", "no JSON"),
        (b'[{"00100010":', "no JSON"),
        (b'["\xe9"]', "no JSON"),
        (b"[1]", "expected an object, found int"),
        (b"null", "expected an object, found NoneType"),
        (b'[{"PatientName":{"vr":"PN"}}]', "no tag of eight hexadecimal digits"),
        (b'[{"00100010":{"vr":"PN"},"00100010":{"vr":"PN"}}]', "stands twice"),
        (b'[{"00100010":{}}]', "known vr"),
        (b'[{"00100010":{"vr":"XX"}}]', "known vr"),
        (b'[{"00100010":"x"}]', "known vr"),
        (b'[{"00100010":{"vr":"LO","Value":["x"]}}]', "vr LO, but PS3.6 says PN"),
        (b'[{"00100010":{"vr":"PN","Value":["x"]}}]', "expected dict"),
        (b'[{"00100020":{"vr":"LO","Value":"x"}}]', "expected list"),
        (b'[{"00100020":{"vr":"LO","Value":[1]}}]', "expected str"),
        (b'[{"00100020":{"vr":"LO","Value":["a\\\\b"]}}]', "backslash"),
        (b'[{"00280010":{"vr":"US","Value":["1"]}}]', "expected int"),
        (b'[{"00280010":{"vr":"US","Value":[true]}}]', "expected int"),
        (b'[{"00101030":{"vr":"DS","Value":[NaN]}}]', "no JSON number"),
        (b'[{"7FE00010":{"vr":"OW","InlineBinary":"?"}}]', "no base64"),
        (b'[{"7FE00010":{"vr":"OW","Value":[1]}}]', "not as Value"),
        (b'[{"7FE00010":{"vr":"OW","InlineBinary":"AA==","BulkDataURI":"x"}}]', "both"),
        (b'[{"7FE00010":{"vr":"OW","BulkDataURI":7}}]', "expected str"),
        (b'[{"00400275":{"vr":"SQ","Value":[null]}}]', "expected an object"),
        (b"[" * 100_000, "no JSON"),
        (b'[{"00400275":{"vr":"SQ","Value":[' * 40 + b"]}}]" * 40, "expected an object"),
    ],
)
def test_what_is_not_the_model(body, match):
    with pytest.raises(RemoteProtocolError, match=match):
        dicomjson.loads(body)


def test_depth():
    nested = {}
    for _ in range(40):
        nested = {"00400275": {"vr": "SQ", "Value": [nested]}}
    with pytest.raises(RemoteProtocolError, match="nested deeper"):
        dicomjson.decode(nested)


def test_our_own_mistakes():
    with pytest.raises(LocalProtocolError, match="must hold bytes"):
        dicomjson.encode({"PixelData": "text"})
    with pytest.raises(LocalProtocolError, match="did you mean"):
        dicomjson.encode({"PatientNam": "x"})


def test_a_lone_object_is_one_result():
    assert dicomjson.loads(b'{"00100020":{"vr":"LO","Value":["1"]}}') == [{"PatientID": "1"}]
    assert base64.b64decode(dicomjson.encode({"PixelData": b"x"})["7FE00010"]["InlineBinary"]) == b"x"
