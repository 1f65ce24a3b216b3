"""Nothing identifying survives: a canary in every field, every attribute, every character set, and none of them in what is left."""

from __future__ import annotations

import base64
import json
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepwedge.evidence.exchange import Exchange
from stepwedge.lab.recording import datasets, messages
from stepwedge.lab.recording.drafts import INDEX, write
from stepwedge.lab.recording.surrogates import Surrogates
from stepwedge.sim import keys
from stepwedge.sim.tap.tap import Edge
from stepwedge.wire import hl7
from stepwedge.wire.dictionary import by_keyword
from tests.record.canaries import CHARSETS, SEGMENTS, heard, message

IDENTIFYING = {
    "Z": "PatientName PatientBirthDate PatientSex AccessionNumber PlacerOrderNumberImagingServiceRequest StudyID "
    "FillerOrderNumberImagingServiceRequest PatientID",
    "X": "IssuerOfPatientID RequestedProcedureID ScheduledProcedureStepID PerformedProcedureStepID AdmissionID DeviceSerialNumber",
    "U": "StudyInstanceUID SeriesInstanceUID SOPInstanceUID ReferencedSOPInstanceUID TransactionUID FrameOfReferenceUID",
}
"""What PS3.15 table E.1-1 (2024b) names of the attributes that are kept here, by the first of its actions."""
UNNAMED = {
    "SOPClassUID",
    "ReferencedSOPClassUID",
    "Modality",
    "ModalitiesInStudy",
    "RequestedProcedurePriority",
    "PerformedProcedureStepStatus",
    "QueryRetrieveLevel",
    "InstanceAvailability",
    "BurnedInAnnotation",
    "PhotometricInterpretation",
    "CodeValue",
    "FailureReason",
    "InstanceNumber",
    "SeriesNumber",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "BitsAllocated",
    "NumberOfStudyRelatedSeries",
    "NumberOfStudyRelatedInstances",
    "NumberOfSeriesRelatedInstances",
}
"""What is kept here and the table does not name."""


@pytest.mark.parametrize("charset", CHARSETS)
@pytest.mark.parametrize("kind", ["ADT^A04^ADT_A01", "ORM^O01", "ADT^A40", "ORU^R01", "BAR^P01"])
def test_no_canary_survives_in_a_message(aviary, kind, charset):
    raw = message(aviary, kind, charset)
    left = messages.replaced(raw, Surrogates(), "ehr", "ris")
    assert left is not None
    assert not aviary.found_in(left.raw)
    assert left.type == "^".join(kind.split("^")[:2])
    assert left["PID-3.1"].startswith("SW")
    assert left["PID-5.1"]


def test_what_may_stay_stays(aviary):
    given = {
        "PID": {8: "F"},
        "ORC": {1: "NW", 5: "SC"},
        "OBR": {4: "CTCHEST^chest of Mrs X", 24: "CT"},
        "TQ1": {9: "S"},
    }
    left = messages.replaced(message(aviary, "OMG^O19", **given), Surrogates(), "ehr", "ris")
    assert (left["PID-8"], left["ORC-1"], left["ORC-5"], left["OBR-4"], left["OBR-24"], left["TQ1-9.1"]) == (
        "F", "NW", "SC", "CTCHEST", "CT", "S",
    )  # fmt: skip


def test_equal_stays_equal_across_protocols():
    to = Surrogates()
    raw = b"MSH|^~\\&|||||||ADT^A04|1|P|2.5.1\rPID|||4711^^^KIS||DOE^JANE||19700101|F\rORC|NW|P9^KIS\r"
    left = messages.replaced(raw, to, "ehr", "ris")
    same = datasets.replaced(
        {
            "PatientID": "4711",
            "PatientName": "Doe^Jane",
            "PatientBirthDate": "19700101",
            "PlacerOrderNumberImagingServiceRequest": "P9",
        },
        to,
    )
    assert left["PID-3.1"] == same["PatientID"]
    assert f"{left['PID-5.1']}^{left['PID-5.2']}" == same["PatientName"]
    assert left["PID-7"] == same["PatientBirthDate"]
    assert left["ORC-2.1"] == same["PlacerOrderNumberImagingServiceRequest"]


@given(
    st.binary(max_size=300),
    st.sampled_from([b"", b"MSH|^~\\&|", b"MSH|^~\\&|A|B|C|D|E||ADT^A04|1|P|2.5.1\rPID|1||"]),
)
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_no_bytes_break_it(junk, head):
    left = messages.replaced(head + junk, Surrogates(), "ehr", "ris")
    assert left is None or left.type == "ADT^A04"


@given(
    st.dictionaries(
        st.sampled_from(SEGMENTS),
        st.dictionaries(st.integers(1, 60), st.text("QXZJ^~&\\. ", min_size=6, max_size=20)),
        max_size=4,
    )
)
@settings(deadline=None)
def test_whatever_is_said_only_inventions_and_closed_lists_are_left(said):
    lines = ["MSH|^~\\&|||||||ADT^A04|1|P|2.5.1"]
    for name, fields in said.items():
        lines.append("|".join([name, *(fields.get(at, "") for at in range(1, 61))]))
    try:
        hl7.parse("\r".join(lines).encode())
    except hl7.HL7Error:
        return
    left = messages.replaced("\r".join(lines).encode(), Surrogates(), "ehr", "ris")
    for name, fields in said.items():
        for value in fields.values():
            for part in filter(lambda one: len(one) > 5 and not one.isspace(), hl7_parts(value)):
                assert part not in left.raw.decode(), (name, part)


def hl7_parts(value):
    for sign in "^~&\\":
        value = value.replace(sign, "\n")
    return value.split("\n")


OPENED = {
    "ScheduledProcedureStepSequence",
    "ScheduledStepAttributesSequence",
    "RequestAttributesSequence",
    "OriginalAttributesSequence",
    "ReferencedPatientSequence",
    "ContentSequence",
    "OtherPatientIDsSequence",
}


def canary_dataset(aviary, depth=0):
    """Every attribute of the dictionary that can hold a text, private ones, and each sequence of a few with the same inside."""
    found = {}
    for keyword, (_, vr) in by_keyword().items():
        if vr in {"AE", "AS", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT", "DS", "IS", "DT", "TM"}:
            found[keyword] = aviary.text()
        elif vr == "UI":
            found[keyword] = f"1.2.{aviary.digits()}.{aviary.digits()}"
        elif vr == "DA":
            found[keyword] = aviary.date()
        elif vr in {"OB", "OW", "UN"}:
            found[keyword] = aviary.text().encode()
        elif vr == "SQ" and depth < 2 and keyword in OPENED:
            found[keyword] = [canary_dataset(aviary, depth + 2)]
    found["00091001"] = aviary.text()
    found["00091002"] = aviary.text().encode()
    found["00091003"] = [{"PatientName": aviary.text()}]
    return found


def test_no_canary_survives_in_a_data_set(aviary):
    left = datasets.replaced(canary_dataset(aviary), Surrogates())
    assert not aviary.found_in(json.dumps(left, ensure_ascii=False).encode())
    assert set(left["ScheduledProcedureStepSequence"][0]) <= set(datasets.ATTRIBUTES) | {
        "ScheduledProtocolCodeSequence"
    } | set(left)
    assert left["PatientID"].startswith("SW")


@pytest.mark.parametrize("keyword", datasets.ATTRIBUTES)
def test_no_attribute_keeps_what_is_on_no_list(aviary, keyword):
    vr = by_keyword()[keyword][1]
    value = f"1.2.{aviary.digits()}" if vr == "UI" else aviary.date() if vr == "DA" else aviary.text()
    left = datasets.replaced({keyword: value}, Surrogates()).get(keyword, "")
    assert not aviary.found_in(left.encode())


def test_what_the_standard_names_is_invented_and_the_rest_is_known_to_say_nothing():
    named = {keyword for keywords in IDENTIFYING.values() for keyword in keywords.split()}
    assert named | UNNAMED == set(datasets.ATTRIBUTES)
    to, value = Surrogates(), "19700102"  # a value that every one of them could have
    for keyword in named - {"PatientSex"}:
        assert datasets.replaced({keyword: value}, to)[keyword] != value, keyword


def dimse(recording, kind, asked, *, on=("ct", "pacs"), facts=None, outcome="0000", sop_class=""):
    found = keys.of_dimse(sop_class, "", [asked])
    told = {"sop_class": sop_class, "identifier": asked, **(facts or {})}
    exchange = Exchange(0, time.time(), 0.1, on[1], "in", "dimse", kind, on[0], outcome, found, told)
    recording.hear(exchange, Edge(*on, "dicom"))


def test_no_file_holds_a_canary(aviary, recording, tmp_path):
    for charset in CHARSETS:
        patient, order = aviary.digits(), {"ORC": {1: "NW", 2: aviary.digits()}}
        heard(recording, message(aviary, "ADT^A04", charset, patient=patient))
        heard(
            recording,
            message(aviary, "ORM^O01", charset, patient=patient, **order),
            reply=aviary.text().encode(),
        )
        heard(recording, message(aviary, "ADT^A31", charset, patient=patient), outcome=aviary.text())
        heard(recording, message(aviary, aviary.text(), charset, patient=patient))
        heard(recording, aviary.text().encode())
    for kind in ("C-FIND", "N-CREATE", "C-STORE", "N-ACTION", "N-SET", aviary.text()):
        asked = canary_dataset(aviary)
        facts = {
            "dataset": {"header": canary_dataset(aviary)},
            "answers": [canary_dataset(aviary)],
            "error": aviary.text(),
        }
        dimse(recording, kind, asked, facts=facts, sop_class=f"1.2.{aviary.digits()}")
        dimse(recording, kind, asked, on=("reader", "pacs"), facts=facts, outcome=aviary.text())
    written = write(
        recording,
        {"ehr": "ehr", "ris": "ris", "pacs": "pacs", "ct": "modality", "reader": "reader"},
        tmp_path / "day",
    )
    assert written
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {INDEX, "day-001.yaml"}
    for path in files:
        assert not aviary.found_in(path.read_bytes() + path.name.encode()), path.name


def test_a_field_that_is_let_through_is_noticed(aviary, monkeypatch):
    monkeypatch.setitem(messages.FIELDS, "NTE", {3: lambda segment, field, _: segment[str(field)]})
    assert aviary.found_in(messages.replaced(message(aviary, "ADT^A04"), Surrogates(), "ehr", "ris").raw)
    monkeypatch.setitem(datasets.ATTRIBUTES, "PatientName", lambda value, *_: value)
    assert aviary.found_in(
        json.dumps(datasets.replaced({"PatientName": aviary.text()}, Surrogates())).encode()
    )


@pytest.mark.parametrize("letters", sorted(set(CHARSETS.values())))
def test_the_search_finds_a_canary_in_every_guise(aviary, letters):
    name, number = aviary.text(letters), aviary.digits()
    for canary in (name, number, name.lower()):
        guises = [
            canary.encode(),
            canary.encode("utf-16-le"),
            b"x" + canary.encode("utf-16-be"),
            "^".join(canary).encode(),
        ]
        guises += [base64.b64encode(b"." * shift + canary.encode() + b"..") for shift in range(3)] + [
            canary.encode().hex().encode()
        ]
        for guise in guises:
            assert aviary.found_in(b" before " + guise + b" after "), (canary, guise)
    assert aviary.found_in(aviary.date().encode())
    assert not aviary.found_in(b"SW482910374655 19700101 Doe^Jane")
