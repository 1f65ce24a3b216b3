"""Compiled messages: byte for byte what pydicom encodes, whatever the encoding, the length of PDUs and of values."""

from io import BytesIO

import pytest

from stepwedge.errors import LocalProtocolError, Refused
from stepwedge.model.identifiers import uid, uids
from stepwedge.wire import part10, pdu
from stepwedge.wire.compiled import CompiledQuery, CompiledStudy
from stepwedge.wire.dimse import Agreed, Channel, Message
from stepwedge.wire.dul import UpperLayer
from stepwedge.wire.elements import EXPLICIT_LE, IMPLICIT_LE, decode
from stepwedge.wire.places import places, text_of
from stepwedge.wire.results import Instance
from stepwedge.wire.services import WORKLIST

JPEG = "1.2.840.10008.1.2.4.50"
MODALITIES = {
    "CT": ("1.2.840.10008.5.1.4.1.1.2", 1),
    "MR": ("1.2.840.10008.5.1.4.1.1.4", 1),
    "US": ("1.2.840.10008.5.1.4.1.1.3.1", 12),
    "XA": ("1.2.840.10008.5.1.4.1.1.12.1", 30),
    "SR": ("1.2.840.10008.5.1.4.1.1.88.22", 0),
}
NAMES = (
    "SOPInstanceUID",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "InstanceNumber",
    "RequestAttributesSequence.ScheduledProcedureStepID",
)


def identifiers(number):
    return {
        "SOPInstanceUID": uid("compiled", "sop", number),
        "StudyDate": f"202611{number % 30 + 1:02}",
        "StudyTime": f"{number % 24:02}3000",
        "AccessionNumber": f"SW{number}",
        "PatientName": f"Müller^Jörg{'e' * (number % 9)}",
        "PatientID": f"SW{number:06}",
        "PatientBirthDate": "19700131",
        "StudyInstanceUID": uid("compiled", "study", number // 10),
        "SeriesInstanceUID": f"2.25.{10 ** (number % 20)}",
        "InstanceNumber": str(number),
        "RequestAttributesSequence.ScheduledProcedureStepID": f"S{number}",
    }


def dataset(modality, values, pixels, *, undefined=False):
    """Build an object with pydicom, as the oracle."""
    from pydicom import Dataset

    sop_class, frames = MODALITIES[modality]
    found = Dataset()
    found.SpecificCharacterSet = "ISO_IR 100"
    found.SOPClassUID = sop_class
    found.Modality = modality
    for name, value in values.items():
        if "." not in name:
            setattr(found, name, value)
    request, code = Dataset(), Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "CTCHEST", "SW", "CT chest"
    request.AccessionNumber = values["AccessionNumber"]
    request.StudyInstanceUID = values["StudyInstanceUID"]
    request.ScheduledProcedureStepID = values["RequestAttributesSequence.ScheduledProcedureStepID"]
    request.ScheduledProtocolCodeSequence = [code]
    found.RequestAttributesSequence = [request]
    if undefined:
        found["RequestAttributesSequence"].is_undefined_length = True
        request.is_undefined_length_sequence_item = True
    found.add_new(0x00091010, "LO" if undefined else "UN", "private" if undefined else b"private!")
    if frames:
        found.NumberOfFrames = frames
        found.Rows = found.Columns = 16
        found.add_new(0x7FE00010, "OW", pixels)
    return found


def encoded(found, transfer):
    from pydicom.filebase import DicomFileLike
    from pydicom.filewriter import write_dataset

    raw = DicomFileLike(BytesIO())
    raw.is_little_endian, raw.is_implicit_VR = True, transfer == IMPLICIT_LE
    write_dataset(raw, found)
    return raw.parent.getvalue()


def received(stream, transfer, sop_class):
    """Read a message with the association's own code."""
    channel = Channel(UpperLayer(requestor=False, max_pdu=1 << 24))
    channel.upper.state = 6
    channel.contexts[7] = Agreed(7, sop_class, transfer)
    channel.upper.receive_data(stream)
    return channel.next_event()


def as_usual(message, max_pdu, context):
    """Write a message with the association's own code."""
    channel = Channel(UpperLayer(requestor=True))
    channel.upper.state, channel.upper.send_limit = 6, max_pdu
    channel.contexts[context.id] = context
    return b"".join(channel.send_message(message))


@pytest.mark.parametrize("max_pdu", [27, 90, 4096, 16384, 131072, 0])
@pytest.mark.parametrize("transfer", [EXPLICIT_LE, IMPLICIT_LE])
@pytest.mark.parametrize("modality", MODALITIES)
def test_what_is_sent_is_what_pydicom_encodes(modality, transfer, max_pdu):
    sop_class, frames = MODALITIES[modality]
    size = 40_000 if max_pdu > 100 or not max_pdu else 333
    pixels = bytes(number % 251 for number in range((frames and size) + frames % 2))
    template = encoded(dataset(modality, identifiers(1), pixels), transfer)
    study = CompiledStudy([Instance(sop_class, identifiers(1)["SOPInstanceUID"], transfer, template)], NAMES)
    context = Agreed(7, sop_class, transfer)
    for number in (1, 2, 7, 23, 104):
        values = identifiers(number)
        buffers, total, pdus = study.message(0, [context], max_pdu).render(number, values)
        stream = b"".join(buffers)
        message = received(stream, transfer, sop_class)
        assert message.data == encoded(dataset(modality, values, pixels), transfer)
        assert message.command["AffectedSOPInstanceUID"] == values["SOPInstanceUID"]
        assert (message.command["MessageID"], message.command["CommandField"]) == (number, 1)
        assert stream == as_usual(message, max_pdu, context)
        assert (len(stream), len(list(pdu.units(buffers)))) == (total, pdus)


def test_lengths_that_are_not_defined_stay_so():
    first, second = (dataset("CT", identifiers(number), b"12", undefined=True) for number in (3, 11))
    sop_class = MODALITIES["CT"][0]
    study = CompiledStudy([Instance(sop_class, "2.25.1", EXPLICIT_LE, encoded(first, EXPLICIT_LE))], NAMES)
    buffers, _, _ = study.message(0, [Agreed(7, sop_class, EXPLICIT_LE)], 4096).render(1, identifiers(11))
    assert received(b"".join(buffers), EXPLICIT_LE, sop_class).data == encoded(second, EXPLICIT_LE)


def test_the_other_uncompressed_encoding_is_written_again():
    raw = encoded(dataset("MR", identifiers(3), b"12"), EXPLICIT_LE)
    sop_class = MODALITIES["MR"][0]
    study = CompiledStudy([Instance(sop_class, "2.25.1", EXPLICIT_LE, raw)], NAMES)
    buffers, _, _ = study.message(5, [Agreed(7, sop_class, IMPLICIT_LE)], 4096).render(1, identifiers(3))
    found = received(b"".join(buffers), IMPLICIT_LE, sop_class)
    assert text_of(found.data, "PatientID", IMPLICIT_LE) == "SW000003"


def test_pixels_are_shared_and_messages_do_not_share_what_varies():
    raw = encoded(dataset("CT", identifiers(3), bytes(1 << 20)), EXPLICIT_LE)
    sop_class = MODALITIES["CT"][0]
    message = CompiledStudy([Instance(sop_class, "2.25.1", EXPLICIT_LE, raw)], NAMES).message(
        0, [Agreed(7, sop_class, EXPLICIT_LE)], 16384
    )
    sent = [message.render(number, identifiers(number))[0] for number in (5, 6)]
    assert sum(len(buffer) for buffer in sent[0] if isinstance(buffer, bytes | bytearray)) < 4096
    assert {id(each.obj) for buffers in sent for each in buffers if isinstance(each, memoryview)} == {id(raw)}
    streams = [received(b"".join(each), EXPLICIT_LE, sop_class).command for each in sent]
    assert [each["MessageID"] for each in streams] == [5, 6]
    assert streams[0]["AffectedSOPInstanceUID"] != streams[1]["AffectedSOPInstanceUID"]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"PatientID": None}, "PatientID varies"),
        ({"SOPInstanceUID": "2.25.01"}, "no UID"),
        ({"SOPInstanceUID": "2.25." + "1" * 60}, "no UID"),
        ({"PatientName": "山田"}, "cannot be written in SpecificCharacterSet"),
    ],
)
def test_a_value_that_cannot_be_is_refused_before_anything_is_sent(values, said):
    raw = encoded(dataset("CT", identifiers(3), b"12"), EXPLICIT_LE)
    sop_class = MODALITIES["CT"][0]
    study = CompiledStudy([Instance(sop_class, "2.25.1", EXPLICIT_LE, raw)], NAMES)
    given = {name: value for name, value in (identifiers(1) | values).items() if value is not None}
    with pytest.raises(LocalProtocolError, match=said):
        study.message(0, [Agreed(1, sop_class, EXPLICIT_LE)], 4096).render(1, given)


def test_what_cannot_be_compiled_is_said():
    sop_class = MODALITIES["CT"][0]
    raw = encoded(dataset("CT", identifiers(3), b"12"), EXPLICIT_LE)
    instance = Instance(sop_class, "2.25.1", EXPLICIT_LE, raw)
    contexts = [Agreed(1, sop_class, EXPLICIT_LE)]
    with pytest.raises(LocalProtocolError, match="has no StudyID"):
        CompiledStudy([instance], ("SOPInstanceUID", "StudyID")).message(0, contexts, 4096)
    with pytest.raises(LocalProtocolError, match="must vary"):
        CompiledStudy([instance], ("PatientID",))
    with pytest.raises(Refused, match="no presentation context"):
        CompiledStudy([instance]).message(0, [Agreed(1, sop_class, JPEG)], 4096)
    with pytest.raises(LocalProtocolError, match="one instance"):
        CompiledStudy([])


def test_a_query_has_keys_of_its_own_each_time():
    identifier = {
        "PatientName": "",
        "AccessionNumber": "",
        "ScheduledProcedureStepSequence": [{"Modality": "CT", "ScheduledStationAETitle": ""}],
    }
    query = CompiledQuery(
        WORKLIST, identifier, ("AccessionNumber", "ScheduledProcedureStepSequence.ScheduledStationAETitle")
    )
    for transfer in (EXPLICIT_LE, IMPLICIT_LE):
        context = Agreed(7, WORKLIST, transfer)
        for accession in ("SW1", "", "SW12345678"):
            values = {
                "AccessionNumber": accession,
                "ScheduledProcedureStepSequence.ScheduledStationAETitle": "CT1",
            }
            buffers, _, _ = query.message([context], 4096).render(9, values)
            found = received(b"".join(buffers), transfer, WORKLIST)
            assert decode(found.data, explicit=context.explicit) == {
                **identifier,
                "AccessionNumber": accession,
                "ScheduledProcedureStepSequence": [{"Modality": "CT", "ScheduledStationAETitle": "CT1"}],
            }
            assert isinstance(found, Message)
            assert found.command["CommandField"] == 0x20
    with pytest.raises(Refused):
        query.message([], 4096)


def test_places_are_named_by_their_sequences():
    raw = encoded(dataset("CT", identifiers(3), b"12"), EXPLICIT_LE)
    names = [place.name for place in places(raw, explicit=True)]
    assert "RequestAttributesSequence.ScheduledProtocolCodeSequence.CodeValue" in names
    assert "PixelData" not in names
    assert text_of(raw, "RequestAttributesSequence.AccessionNumber", EXPLICIT_LE) == "SW3"
    assert text_of(raw, "StudyID", EXPLICIT_LE) is None


@pytest.mark.parametrize("transfer", [EXPLICIT_LE, IMPLICIT_LE])
def test_a_file_holds_the_same(transfer):
    sop_class = MODALITIES["MR"][0]
    raw = encoded(dataset("MR", identifiers(3), bytes(5000)), transfer)
    study = CompiledStudy([Instance(sop_class, "2.25.1", transfer, raw)], NAMES)
    values = identifiers(12)
    exam = {name: value for name, value in values.items() if name not in {"SOPInstanceUID", "InstanceNumber"}}
    for given, one in ((values, study), (values, study.of(exam))):
        file = part10.read(one.file(given, 7))
        assert (file.sop_class, file.sop_instance) == (sop_class, values["SOPInstanceUID"])
        assert (file.transfer_syntax, file.data) == (
            transfer,
            encoded(dataset("MR", values, bytes(5000)), transfer),
        )
    with pytest.raises(LocalProtocolError, match="varies"):
        study.file(exam)


def test_what_an_exam_has_for_good_need_not_be_said_again():
    sop_class = MODALITIES["CT"][0]
    raw = encoded(dataset("CT", identifiers(3), bytes(50_000)), EXPLICIT_LE)
    study, contexts = (
        CompiledStudy([Instance(sop_class, "2.25.1", EXPLICIT_LE, raw)], NAMES),
        [Agreed(7, sop_class, EXPLICIT_LE)],
    )
    for number in (104, 5):  # values that are longer and shorter than those of the template
        values = identifiers(number)
        own = {name: values.pop(name) for name in ("SOPInstanceUID", "InstanceNumber")}
        exam = study.of(values)
        for max_pdu in (90, 16384):
            buffers = exam.message(0, contexts, max_pdu).render(9, own)[0]
            whole = study.message(0, contexts, max_pdu).render(9, {**values, **own})[0]
            assert b"".join(buffers) == b"".join(whole)
        assert exam.message(0, contexts, 4096).names == ("SOPInstanceUID", "InstanceNumber")


def test_rows_of_uids_are_of_one_length_and_do_not_meet():
    rows = [uids("run", 1), uids("run", 2)]
    found = [next(row) for row in rows for _ in range(100)]
    assert len(set(found)) == 200
    assert {len(each) for each in found} == {len(uid("any"))}
    assert next(uids("run", 1)) == found[0]
