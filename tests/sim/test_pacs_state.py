"""The archive's pure part: filing, merging, querying, rewriting, promising."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from stepwedge import kit
from stepwedge.errors import RemoteProtocolError
from stepwedge.model.patient import Patient, PersonName
from stepwedge.sim.messages import Envelope, patient_message
from stepwedge.wire.elements import EXPLICIT_LE, IMPLICIT_LE, decode, encode
from stepwedge.wire.hl7 import HL7Error, parse

pacs = kit.load_simulator("pacs")
from stepwedge_simulators.pacs import hl7, objects, query  # noqa: E402  loaded from its folder just above
from stepwedge_simulators.pacs.habits import PacsHabits  # noqa: E402
from stepwedge_simulators.pacs.state import CONFLICT, Archive, Expected, patient_key  # noqa: E402

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


@pytest.fixture
def archive():
    return Archive(7, "pacs", PacsHabits())


@pytest.fixture
def filed(archive, ct_image):
    """Put images 1..3 of one study into the archive and return their rows."""
    return [put(archive, ct_image(number)) for number in (1, 2, 3)]


def read(elements, syntax=EXPLICIT_LE):
    data = encode(elements, explicit=syntax != IMPLICIT_LE)
    return replace(objects.read(elements["SOPClassUID"], elements["SOPInstanceUID"], syntax, data), at="now")


def put(archive, elements, syntax=EXPLICIT_LE):
    row = read(elements, syntax)
    assert archive.file(row, "now").status == 0
    return row


def adt(event, patient, prior=""):
    return parse(patient_message(event, patient, Envelope("EHR", "PACS", "1", NOW), prior=prior))


def test_the_same_object_again_is_one_object_in_whatever_encoding(archive, ct_image):
    image = ct_image(1)
    put(archive, image)
    assert archive.file(read(image), "now").fate == "same"
    assert archive.file(read(image, IMPLICIT_LE), "now").fate == "same"
    assert len(archive.instances) == 1
    assert [note.kind for note in archive.exceptions()] == ["unscheduled"]


@pytest.mark.parametrize("change", [{"PixelData": b"\1\0" * 128 * 128}, {"PatientID": "SW99999999"}])
def test_other_content_under_a_known_uid_is_refused_and_noted(archive, ct_image, change):
    image = ct_image(1)
    kept = put(archive, image)
    filing = archive.file(read(image | change), "now")
    assert filing.status == CONFLICT
    assert archive.instances[kept.sop] == kept
    assert "duplicate" in [note.kind for note in archive.exceptions()]


def test_an_announced_study_is_no_exception(archive, filed):
    archive.expected["SW00012345"] = Expected("SW00012345", filed[0].patient)
    assert list(archive.exceptions()) == []


@pytest.mark.parametrize(
    "change",
    [{"SOPInstanceUID": "1.2.3"}, {"StudyInstanceUID": ""}, {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.4"}],
)
def test_what_is_not_what_the_command_said_cannot_be_filed(ct_image, change):
    image = ct_image(1)
    data = encode(image | change, explicit=True)
    with pytest.raises(RemoteProtocolError):
        objects.read(image["SOPClassUID"], image["SOPInstanceUID"], EXPLICIT_LE, data)


def test_counts_at_every_level(archive, filed):
    (study,) = query.select(archive, "STUDY", {"AccessionNumber": "SW00012345"})
    assert study["NumberOfStudyRelatedInstances"] == "3"
    assert study["NumberOfStudyRelatedSeries"] == "1"
    assert study["ModalitiesInStudy"] == "CT"
    (series,) = query.select(archive, "SERIES", {"StudyInstanceUID": filed[0].study})
    assert series["NumberOfSeriesRelatedInstances"] == "3"
    images = query.select(archive, "IMAGE", {"StudyInstanceUID": filed[0].study, "SOPInstanceUID": ""})
    assert [row["InstanceNumber"] for row in images] == ["1", "2", "3"]
    (patient,) = query.select(archive, "PATIENT", {"PatientID": "SW12345678"})
    assert patient["NumberOfPatientRelatedStudies"] == "1"


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        ({"PatientID": "SW12345678"}, 1),
        ({"PatientID": "SW*"}, 1),
        ({"PatientID": "SW1234567"}, 0),
        ({"PatientName": "müller*"}, 1),
        ({"StudyDate": "20261101-"}, 1),
        ({"StudyDate": "-20261101"}, 0),
        ({"ModalitiesInStudy": "CT"}, 1),
        ({"ModalitiesInStudy": "MR"}, 0),
        ({"StudyInstanceUID": "1.2.3"}, 0),
        ({}, 1),
    ],
)
def test_study_matching(archive, filed, keys, found):
    assert len(query.select(archive, "STUDY", keys)) == found


def test_an_answer_holds_what_was_asked_and_declares_its_character_set(archive, filed):
    keys = {"QueryRetrieveLevel": "STUDY", "PatientName": "", "AccessionNumber": "SW00012345", "StudyID": ""}
    (row,) = query.select(archive, "STUDY", keys)
    told = query.answer(row, keys, "STUDY", "SW_PACS")
    assert told == {
        "QueryRetrieveLevel": "STUDY",
        "PatientName": "MÜLLER^Jörg",
        "AccessionNumber": "SW00012345",
        "StudyID": "RP1",
        "RetrieveAETitle": "SW_PACS",
        "SpecificCharacterSet": "ISO_IR 100",
    }
    assert decode(encode(told, explicit=False), explicit=False) == told


def test_a_new_name_beyond_the_objects_character_set_makes_answer_and_object_utf8(archive, ct_image):
    row = put(archive, ct_image(1))
    archive.update("SW12345678", "STEPWEDGE", {"name": "ŁUKASZ^Zoë"})
    (found,) = query.select(archive, "STUDY", {"PatientID": "SW12345678"})
    assert (
        query.with_charset({"PatientName": found["PatientName"]}, found)["SpecificCharacterSet"]
        == "ISO_IR 192"
    )
    data = encode(ct_image(1), explicit=True)
    out = decode(
        objects.rewritten(data, EXPLICIT_LE, archive.corrections(row), lambda pixels: pixels), explicit=True
    )
    assert (out["PatientName"], out["SpecificCharacterSet"]) == ("ŁUKASZ^Zoë", "ISO_IR 192")
    assert out["PixelData"] == ct_image(1)["PixelData"]


@pytest.mark.parametrize("syntax", [EXPLICIT_LE, IMPLICIT_LE])
def test_rewriting_changes_the_patient_and_not_one_other_byte(archive, ct_image, syntax):
    image = ct_image(1) | {"00091001": b"private!", "00090010": "ACME"}
    row = put(archive, image, syntax)
    data = encode(image, explicit=syntax != IMPLICIT_LE)
    same = objects.rewritten(data, syntax, archive.corrections(row), lambda pixels: pixels)
    assert same == data
    archive.update("SW12345678", "STEPWEDGE", {"name": "NEU^Name", "birth_date": "", "sex": None})
    out = objects.rewritten(data, syntax, archive.corrections(row), lambda pixels: pixels)
    expected = encode(
        image | {"PatientName": "NEU^Name", "PatientBirthDate": ""}, explicit=syntax != IMPLICIT_LE
    )
    assert out == expected


def test_rewriting_walks_over_sequences_without_length(archive, ct_image):
    from io import BytesIO

    import pydicom

    image = ct_image(1)
    dataset = pydicom.dcmread(BytesIO(encode(image, explicit=True)), force=True)
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset["RequestAttributesSequence"].is_undefined_length = True
    dataset.RequestAttributesSequence[0].is_undefined_length_sequence_item = True
    buffer = BytesIO()
    pydicom.dcmwrite(buffer, dataset, implicit_vr=False, little_endian=True)
    data = buffer.getvalue()
    assert b"\xfe\xff\xdd\xe0" in data
    out = objects.rewritten(data, EXPLICIT_LE, {"PatientName": "A^B"}, lambda pixels: pixels)
    assert decode(out, explicit=True) == image | {"PatientName": "A^B"}


def test_merge_moves_everything_and_hides_the_prior(archive, filed):
    hl7.register(archive, adt("A04", Patient("SW12345678", PersonName("MÜLLER", "Jörg"))), NOW)
    survivor = Patient("SW11111111", PersonName("MÜLLER", "Jürgen"), "19700101", "M")
    hl7.merge(archive, adt("A40", survivor, prior="SW12345678"), NOW)
    assert query.select(archive, "PATIENT", {"PatientID": "SW12345678"}) == []
    assert query.select(archive, "STUDY", {"PatientID": "SW12345678"}) == []
    (patient,) = query.select(archive, "PATIENT", {"PatientID": "SW11111111"})
    assert patient["NumberOfPatientRelatedStudies"] == "1"
    (study,) = query.select(archive, "STUDY", {"PatientID": "SW11111111"})
    assert study["PatientName"] == "MÜLLER^Jürgen"
    assert archive.corrections(filed[0])["PatientID"] == "SW11111111"


def test_images_that_come_for_the_prior_after_the_merge_belong_to_the_survivor(archive, ct_image):
    archive.update("SW12345678", "STEPWEDGE", {"name": "A^B"})
    archive.update("SW11111111", "STEPWEDGE", {"name": "C^D"})
    assert archive.merge(patient_key("SW11111111"), patient_key("SW12345678")) == ""
    put(archive, ct_image(1))
    (study,) = query.select(archive, "STUDY", {"PatientID": "SW11111111"})
    assert study["PatientName"] == "C^D"


def test_an_unknown_prior_changes_nothing_and_is_no_error(archive, filed):
    hl7.merge(archive, adt("A40", Patient("SW11111111", PersonName("A", "B")), prior="SW22222222"), NOW)
    assert "SW22222222^^^STEPWEDGE" not in archive.people
    assert len(query.select(archive, "STUDY", {"PatientID": "SW12345678"})) == 1


def test_merging_in_a_circle_is_refused_and_nobody_vanishes(archive):
    for number in ("SW1", "SW2"):
        archive.update(number, "STEPWEDGE", {"name": number})
    hl7.merge(archive, adt("A40", Patient("SW1", PersonName("A")), prior="SW2"), NOW)
    for survivor, prior in (("SW2", "SW1"), ("SW1", "SW1")):
        with pytest.raises(HL7Error, match="itself"):
            hl7.merge(archive, adt("A40", Patient(survivor, PersonName("A")), prior=prior), NOW)
    assert archive.survivor(patient_key("SW2")).id == "SW1"
    hl7.merge(
        archive, adt("A40", Patient("SW1", PersonName("A")), prior="SW2"), NOW
    )  # said twice is no error
    for survivor, prior in (("SW3", "SW2"), ("SW2", "SW3")):
        archive.update("SW3", "STEPWEDGE", {"name": "C"})
        with pytest.raises(HL7Error, match="merged away"):
            hl7.merge(archive, adt("A40", Patient(survivor, PersonName("A")), prior=prior), NOW)


def test_images_of_another_patient_in_one_study_stand_on_the_exception_list(archive, ct_image):
    put(archive, ct_image(1))
    put(archive, ct_image(2, PatientID="SW99999999"))
    assert "two patients" in [note.kind for note in archive.exceptions()]


def test_nothing_named_is_nothing_retrieved():
    assert query.problem("STUDY", {}, "STUDY", retrieval=True)
    assert query.problem("PATIENT", {"StudyInstanceUID": "1.2"}, "PATIENT", retrieval=True)
    assert not query.problem("STUDY", {"StudyInstanceUID": "1.2"}, "STUDY", retrieval=True)


def test_commitment_is_honest_about_missing_wrong_and_lost(archive, filed):
    references = [
        (filed[0].sop_class, filed[0].sop),
        (filed[1].sop_class, filed[1].sop),
        ("1.2.3", filed[2].sop),
        ("1.2.3", "9.9"),
    ]
    made = archive.promise("1.9", "SW_CT1", references, frozenset({filed[1].sop}))
    assert made.committed == (references[0],)
    assert [(one.sop, one.reason) for one in made.failed] == [
        (filed[1].sop, 0x0112),
        (filed[2].sop, 0x0119),
        ("9.9", 0x0112),
    ]


@pytest.mark.parametrize(
    ("level", "keys", "model", "allowed"),
    [
        ("PATIENT", {}, "PATIENT", True),
        ("PATIENT", {}, "STUDY", False),
        ("SERIES", {}, "STUDY", False),
        ("SERIES", {"StudyInstanceUID": "1.2"}, "STUDY", True),
        ("IMAGE", {"StudyInstanceUID": "1.2"}, "STUDY", False),
        ("FRAME", {}, "STUDY", False),
    ],
)
def test_hierarchical_queries_need_the_keys_above(level, keys, model, allowed):
    assert (query.problem(level, keys, model) == "") == allowed


def test_every_quirk_replaces_a_habit_and_names_a_defect():
    for quirk in pacs.QUIRKS.values():
        assert hasattr(PacsHabits, quirk.habit.rpartition(".")[2]), quirk.name
        assert quirk.defect == "not listed" or quirk.defect.startswith("DEF-")
        assert quirk.notices
