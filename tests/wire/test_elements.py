"""Data sets: pydicom as oracle, in both directions and both encodings."""

import contextlib
import io
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwedge.errors import LocalProtocolError, RemoteProtocolError
from stepwedge.wire.elements import Encapsulated, decode, encode, match, misrepresented, recode, vr_of

ENCODINGS = [pytest.param(True, id="explicit"), pytest.param(False, id="implicit")]

WORKLIST_ENTRY = {
    "SpecificCharacterSet": "ISO_IR 100",
    "AccessionNumber": "SW40718223",
    "ReferringPhysicianName": "Grün^Käthe",
    "PatientName": "Müller^Jörg",
    "PatientID": "SW1",
    "PatientBirthDate": "19700131",
    "PatientSize": "1.75",
    "StudyInstanceUID": "2.25.184093201773465019386403297655810417063.1000000000000000001",
    "ReferencedStudySequence": [],
    "RequestedProcedureDescription": "CT chest",
    "ScheduledProcedureStepSequence": [
        {
            "Modality": "CT",
            "ScheduledStationAETitle": "SW_CT1\\SW_CT2",
            "ScheduledProcedureStepStartDate": "20261124",
            "ScheduledPerformingPhysicianName": "Österreicher^Ä",
            "ScheduledProtocolCodeSequence": [{"CodeValue": "CTCHEST", "CodingSchemeDesignator": "SW"}],
        }
    ],
    "Rows": 512,
    "ImageType": "ORIGINAL\\PRIMARY\\AXIAL",
    "FrameIncrementPointer": "00181063",
    "GridFrameOffsetVector": "0\\5",
    "PixelPaddingValue": -2000,
    "PixelRepresentation": 1,
    "DisplayedAreaTopLeftHandCorner": [-1, 7],
    "RecommendedDisplayFrameRateInFloat": 2.5,
    "PixelData": bytes(range(64)),
}


def pydicom_set(elements, explicit):
    """Build the same data set with pydicom."""
    from pydicom import Dataset

    data_set = Dataset()
    for key, value in elements.items():
        setattr(data_set, key, pydicom_value(vr_of(key), value, explicit))
    return data_set


def pydicom_value(vr, value, explicit):
    if vr == "SQ":
        return [pydicom_set(item, explicit) for item in value]
    if vr == "AT":
        return int(value, 16)
    return value.split("\\") if isinstance(value, str) and "\\" in value else value


def pydicom_bytes(elements, explicit):
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import write_dataset

    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, not explicit
    data_set = pydicom_set(elements, explicit)
    if "PixelData" in data_set:
        data_set["PixelData"].VR = "OW"
    write_dataset(buffer, data_set)
    return buffer.getvalue()


@pytest.mark.parametrize("explicit", ENCODINGS)
def test_writes_what_pydicom_writes(explicit):
    assert encode(WORKLIST_ENTRY, explicit=explicit) == pydicom_bytes(WORKLIST_ENTRY, explicit)


@pytest.mark.parametrize("explicit", ENCODINGS)
def test_reads_what_pydicom_wrote(explicit):
    assert decode(pydicom_bytes(WORKLIST_ENTRY, explicit), explicit=explicit) == WORKLIST_ENTRY


@pytest.mark.parametrize("explicit", ENCODINGS)
def test_pydicom_reads_what_we_wrote(explicit):
    from pydicom import dcmread
    from pydicom.filereader import read_dataset

    assert dcmread is not None
    stream = io.BytesIO(encode(WORKLIST_ENTRY, explicit=explicit))
    found = read_dataset(stream, is_implicit_VR=not explicit, is_little_endian=True)
    assert found.PatientName == "Müller^Jörg"
    step = found.ScheduledProcedureStepSequence[0]
    assert step.ScheduledProtocolCodeSequence[0].CodeValue == "CTCHEST"
    assert step.ScheduledPerformingPhysicianName == "Österreicher^Ä"
    assert found.PixelPaddingValue == -2000


@pytest.mark.parametrize("explicit", ENCODINGS)
def test_the_other_encoding_says_the_same(explicit):
    other = recode(encode(WORKLIST_ENTRY, explicit=explicit), explicit=explicit, to_explicit=not explicit)
    assert decode(other, explicit=not explicit) == WORKLIST_ENTRY


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        ("ISO_IR 192", "山田^太郎=Ünïcode"),
        ("ISO_IR 144", "Люкceмбypг"),
        ("ISO_IR 126", "Διονυσιος"),
        ("ISO_IR 13", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
        ("\\ISO 2022 IR 87", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("\\ISO 2022 IR 149", "Hong^Gildong=洪^吉洞=홍^길동"),
        ("GB18030", "王^小东"),
    ],
)
def test_character_sets(charset, name):
    elements = {"SpecificCharacterSet": charset, "PatientName": name}
    raw = encode(elements, explicit=True)
    assert raw == pydicom_bytes(elements, explicit=True)
    assert decode(raw, explicit=True) == elements


def test_bytes_outside_the_declared_set_are_shown_not_lost_silently():
    raw = encode({"SpecificCharacterSet": "ISO_IR 100", "PatientName": "Müller"}, explicit=True)
    broken = raw.replace(b"ISO_IR 100", b"ISO_IR 6  ")
    assert decode(broken, explicit=True)["PatientName"] == "M\ufffdller"


def test_writing_outside_the_declared_set_is_our_fault():
    with pytest.raises(LocalProtocolError, match=r"PatientName.*ISO_IR 6"):
        encode({"PatientName": "Müller"}, explicit=True)


@pytest.mark.parametrize("explicit", [True, False])
def test_a_byte_that_is_no_character_can_be_told_on(explicit):
    """An archive answers with what it was sent; one odd byte in a date must not stop all of its answers."""
    raw = encode({"StudyDate": "20261124"}, explicit=explicit).replace(b"6112", b"6\xe912")
    found = decode(raw, explicit=explicit)
    assert found["StudyDate"] == "2026\N{REPLACEMENT CHARACTER}124"
    assert encode(found, explicit=explicit) == raw.replace(b"\xe9", b"?")


def test_an_unknown_keyword_names_the_closest():
    with pytest.raises(LocalProtocolError, match="did you mean PatientName"):
        encode({"PatientNme": "A"}, explicit=True)


def test_zero_length_values():
    elements = {"PatientName": "", "Rows": "", "ReferencedStudySequence": [], "PixelData": b""}
    for explicit in (True, False):
        assert decode(encode(elements, explicit=explicit), explicit=explicit) == elements


def test_private_and_unknown_elements_keep_their_bytes():
    elements = {"00090010": "STEPWEDGE", "00091001": b"\1\2"}
    for explicit in (True, False):
        assert decode(encode(elements, explicit=explicit), explicit=explicit) == elements


def test_stop_before_pixels():
    raw = encode(WORKLIST_ENTRY, explicit=True)
    assert "PixelData" not in decode(raw, explicit=True, stop_before_pixels=True)
    assert decode(raw[:-64], explicit=True, stop_before_pixels=True)["Rows"] == 512


def test_encapsulated_pixels_round_trip():
    fragments = Encapsulated(b"\xfe\xff\x00\xe0\0\0\0\0\xfe\xff\x00\xe0\4\0\0\0abcd")
    raw = encode({"PixelData": fragments}, explicit=True)
    found = decode(raw, explicit=True)["PixelData"]
    assert isinstance(found, Encapsulated)
    assert found == fragments
    assert raw.endswith(b"abcd\xfe\xff\xdd\xe0\0\0\0\0")


def test_undefined_lengths():
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import write_dataset

    data_set = pydicom_set({"ReferencedStudySequence": [{"PatientID": "1"}, {}]}, explicit=True)
    data_set["ReferencedStudySequence"].is_undefined_length = True
    for item in data_set.ReferencedStudySequence:
        item.is_undefined_length_sequence_item = True
    for explicit in (True, False):
        buffer = DicomBytesIO()
        buffer.is_little_endian, buffer.is_implicit_VR = True, not explicit
        write_dataset(buffer, data_set)
        found = decode(buffer.getvalue(), explicit=explicit)
        assert found == {"ReferencedStudySequence": [{"PatientID": "1"}, {}]}


BROKEN = {
    "ends inside a header": b"\x10\x00\x10\x00PN",
    "length beyond the end": b"\x10\x00\x10\x00PN\xff\x00AB",
    "unknown VR": b"\x10\x00\x10\x00ZZ\x02\x00AB",
    "undefined length of text": b"\x10\x00\x10\x00UT\0\0\xff\xff\xff\xffAB",
    "no item in a sequence": b"\x08\x00\x10\x11SQ\0\0\x08\0\0\0\x10\x00\x10\x00\0\0\0\0",
    "item beyond its sequence": b"\x08\x00\x10\x11SQ\0\0\x08\0\0\0\xfe\xff\x00\xe0\xff\0\0\0",
    "sequence without an end": b"\x08\x00\x10\x11SQ\0\0\xff\xff\xff\xff",
    "item without an end": b"\x08\x00\x10\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff",
    "delimiter with a length": b"\xfe\xff\x0d\xe0\x02\0\0\0AB",
    "a number where text belongs": b"\x10\x00\x20\x00US\x02\x00AB",
    "text where a sequence belongs": b"\x08\x00\x10\x11LO\x02\x00AB",
    "a character set that is a number": b"\x08\x00\x05\x00US\x02\x00AB",
    "twice": b"\x10\x00\x20\x00LO\x02\x00AB" * 2,
    "odd number": b"\x28\x00\x10\x00US\x03\x00\0\0\0",
    "fragments without an end": b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\0\0\0\0",
}


def test_an_unknown_sequence_is_read_as_implicit():
    item = encode({"PatientID": "SW1"}, explicit=False)
    sequence = b"\xfe\xff\x00\xe0" + len(item).to_bytes(4, "little") + item
    raw = b"\x08\x00\x10\x11UN\0\0" + len(sequence).to_bytes(4, "little") + sequence
    assert decode(raw, explicit=True) == {"ReferencedStudySequence": [{"PatientID": "SW1"}]}
    raw = b"\x08\x00\x10\x11UN\0\0\xff\xff\xff\xff" + sequence + b"\xfe\xff\xdd\xe0\0\0\0\0"
    assert decode(raw, explicit=True) == {"ReferencedStudySequence": [{"PatientID": "SW1"}]}


def test_a_lookup_table_may_be_sent_as_numbers():
    raw = b"\x28\x00\x06\x30US\x04\x00\1\0\2\0"
    assert decode(raw, explicit=True) == {"LUTData": b"\1\0\2\0"}


@pytest.mark.parametrize("value", ["text", 5, ["text"], {"PatientID": "1"}])
def test_a_sequence_is_a_list_of_elements(value):
    with pytest.raises(LocalProtocolError, match="ReferencedStudySequence is SQ"):
        encode({"ReferencedStudySequence": value}, explicit=True)


@pytest.mark.parametrize("raw", BROKEN.values(), ids=BROKEN.keys())
def test_broken_data_sets_are_the_peers_fault(raw):
    with pytest.raises(RemoteProtocolError):
        decode(raw, explicit=True)


def test_depth_is_bounded():
    raw = b""
    for _ in range(1000):
        raw = b"\x08\x00\x10\x11\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" + raw
    with pytest.raises(RemoteProtocolError, match="deeper"):
        decode(raw, explicit=False)


@given(st.binary(max_size=200), st.booleans())
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_read_or_refused(raw, explicit):
    with contextlib.suppress(RemoteProtocolError):
        decode(raw, explicit=explicit)


@given(st.data(), st.booleans())
@settings(max_examples=300, deadline=None)
def test_changed_data_sets_are_read_and_written_or_refused(data, explicit):
    raw = bytearray(encode(WORKLIST_ENTRY, explicit=explicit))
    at = data.draw(st.integers(0, len(raw) - 4))
    raw[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    with contextlib.suppress(RemoteProtocolError, LocalProtocolError):
        found = decode(bytes(raw), explicit=explicit)
        assert decode(encode(found, explicit=explicit), explicit=explicit)


def test_unsigned_numbers_survive_in_a_signed_image():
    raw = encode({"PixelPaddingValue": 63536}, explicit=True)
    found = decode(encode({"PixelRepresentation": 1}, explicit=True) + raw, explicit=True)
    assert decode(encode(found, explicit=True), explicit=True)["PixelPaddingValue"] == 63536


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_cut_data_sets_never_pass_as_whole(data):
    raw = encode(
        {"PatientName": "A^B", "ScheduledProcedureStepSequence": [{"Modality": "CT"}]}, explicit=True
    )
    cut = data.draw(st.integers(1, len(raw) - 1))
    try:
        found = decode(raw[:cut], explicit=True)
    except RemoteProtocolError:
        return
    assert found != decode(raw, explicit=True)


MATCHES = [
    ({"PatientID": "SW1"}, True),
    ({"PatientID": "SW2"}, False),
    ({"PatientID": "SW*"}, True),
    ({"PatientID": "SW?"}, True),
    ({"PatientID": "S?"}, False),
    ({"PatientID": ""}, True),
    ({"PatientID": "*"}, True),
    ({"PatientID": "sw1"}, False),
    ({"PatientName": "müller*"}, True),
    ({"PatientName": "Muller*"}, False),
    ({"PatientBirthDate": "19700131"}, True),
    ({"PatientBirthDate": "19700101-19701231"}, True),
    ({"PatientBirthDate": "-19691231"}, False),
    ({"PatientBirthDate": "19700131-"}, True),
    ({"StudyInstanceUID": "1.2\\" + WORKLIST_ENTRY["StudyInstanceUID"]}, True),
    ({"StudyInstanceUID": "2.25.*"}, False),
    ({"StudyInstanceUID": "1.2"}, False),
    ({"PatientSize": "1.750"}, True),
    ({"Rows": 512}, True),
    ({"Rows": 256}, False),
    ({"ImageType": "PRIMARY"}, True),
    ({"ScheduledProcedureStepSequence": []}, True),
    ({"ScheduledProcedureStepSequence": [{}]}, True),
    ({"ScheduledProcedureStepSequence": [{"Modality": "CT"}]}, True),
    ({"ScheduledProcedureStepSequence": [{"Modality": "MR"}]}, False),
    ({"ScheduledProcedureStepSequence": [{"ScheduledStationAETitle": "SW_CT2"}]}, True),
    ({"ScheduledProcedureStepSequence": [{"ScheduledProcedureStepStartDate": "20261124-20261124"}]}, True),
    ({"ScheduledProcedureStepSequence": [{"ScheduledProcedureStepStartDate": "20261125-"}]}, False),
    ({"InstitutionName": "X"}, False),
    ({"InstitutionName": ""}, True),
    ({"SpecificCharacterSet": "ISO_IR 192", "QueryRetrieveLevel": "STUDY"}, True),
]


@pytest.mark.parametrize(("identifier", "expected"), MATCHES, ids=[str(each[0]) for each in MATCHES])
def test_matching(identifier, expected):
    assert match(identifier, WORKLIST_ENTRY) is expected


@pytest.mark.parametrize(
    ("wanted", "found", "expected"),
    [
        ("0900-1000", "093000", True),
        ("0900-0930", "093059.5", True),
        ("0900-0929", "093000", False),
        ("093000", "0930", True),
        ("-0900", "10", False),
    ],
)
def test_matching_of_times(wanted, found, expected):
    assert match({"StudyTime": wanted}, {"StudyTime": found}) is expected


@pytest.mark.parametrize(
    ("wanted", "found", "expected"),
    [
        ("20261124-20261125", "20261124120000", True),
        ("20261125-", "20261124120000", False),
        ("-20261125", "20261124120000", True),
        ("20261124120000-0500", "20261124120000", True),
        ("20261124120000-0500-20261124130000-0500", "20261124123000", True),
    ],
)
def test_matching_of_moments(wanted, found, expected):
    key = "ScheduledProcedureStepStartDateTime"
    assert match({key: wanted}, {key: found}) is expected


@given(st.text("ab*?", max_size=12), st.text("abAB", max_size=12))
def test_wild_cards_mean_what_they_always_meant(wanted, found):
    """Against the plain expression; PS3.4 C.2.2.2.4: * any run of characters, ? any one."""
    plain = re.compile(wanted.replace("*", ".*").replace("?", "."), re.DOTALL)
    expected = not wanted or plain.fullmatch(found) is not None
    assert match({"SeriesDescription": wanted}, {"SeriesDescription": found}) is expected


def test_a_key_of_many_stars_is_answered_at_once():
    began = time.monotonic()
    assert not match({"PatientName": "*a" * 60 + "b"}, {"PatientName": "a" * 64})
    assert match({"PatientName": "*a" * 60}, {"PatientName": "a" * 64})
    assert time.monotonic() - began < 1


def test_elements_under_a_foreign_vr_are_named_inside_sequences_too():
    plain = encode(
        {
            "PatientName": "Doe^Jane",
            "PixelRepresentation": 1,
            "SmallestImagePixelValue": -3,
            "ScheduledProcedureStepSequence": [{"Modality": "CT", "ScheduledProcedureStepID": "S1"}],
            "RequestedProcedurePriority": "ROUTINE",
        },
        explicit=True,
    )
    assert misrepresented(plain) == []
    foreign = plain.replace(b"\x40\x00\x03\x10SH", b"\x40\x00\x03\x10CS").replace(
        b"\x40\x00\x09\x00SH", b"\x40\x00\x09\x00LO"
    )
    assert decode(foreign, explicit=True) == decode(plain, explicit=True)
    assert misrepresented(foreign) == ["ScheduledProcedureStepID", "RequestedProcedurePriority"]
    unknown = plain.replace(b"\x10\x00\x10\x00PN\x08\x00", b"\x10\x00\x10\x00UN\x00\x00\x08\x00\x00\x00")
    assert misrepresented(unknown) == [], "UN is nobody's mistake"
