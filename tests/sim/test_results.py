"""Results side: messages conform in both versions and read back, and the structured report is one that others accept."""

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import hl7 as python_hl7
import pytest

from stepwedge.model.context import ClinicalContext, kilograms, metres
from stepwedge.model.order import Order
from stepwedge.model.patient import Patient, PersonName
from stepwedge.model.pdf import pdf
from stepwedge.sim.messages import (
    Document,
    Envelope,
    ReportEvent,
    document_message,
    order_message,
    patient_message,
    read_context,
    read_document,
    read_items,
    read_report,
    reply_segments,
    report_message,
)
from stepwedge.sim.structured_report import BASIC_TEXT_SR, basic_text_sr
from stepwedge.wire import part10
from stepwedge.wire.elements import EXPLICIT_LE, encode
from stepwedge.wire.hl7 import acknowledgement, parse
from stepwedge.wire.results import Instance
from stepwedge.wire.structure import complaints

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
ANNA = Patient("SW12345678", PersonName("Adams", "Anna"), "19700102", "F")
ORDER = Order(
    "P1", ANNA.id, "CTCHEST", "CT chest", "F1", "SW123", study="2.25.1", comments="eGFR 28\nfasting"
)
KNOWN = ClinicalContext(("Iodine", "Latex"), "pregnant", "62.1", "1.70", "MRSA", ("A2",), "VIP", "WHLC")
VERSIONS = pytest.mark.parametrize("version", ["2.3.1", "2.5.1"])


def envelope(version):
    return Envelope("SW_EHR", "SW_RIS", "SW1", NOW, version)


@VERSIONS
def test_context_travels_with_patient_and_order(version):
    told = patient_message("A08", ANNA, envelope(version), context=KNOWN)
    placed = order_message("NW", ORDER, ANNA, envelope(version), context=KNOWN)
    assert complaints(told) == complaints(placed) == []
    assert read_context(parse(placed)) == KNOWN
    assert read_context(parse(told)) == replace(KNOWN, danger="", transport="")
    assert read_context(parse(patient_message("A08", ANNA, envelope(version))), KNOWN) == KNOWN
    assert read_items(parse(placed))[0].comments == ORDER.comments
    assert str(python_hl7.parse(placed.decode()).segments("AL1")[1][3]) == "^Latex"


def test_a_number_of_another_unit_is_never_taken_for_ours():
    assert (kilograms("137", "[lb_av]"), metres("170", "cm")) == ("62.1", "1.70")
    assert (kilograms("137", "st"), metres("170", ""), kilograms("NaN", "kg"), kilograms("-1", "kg")) == (
        "",
    ) * 4


def test_an_imaging_order_of_its_placer_and_its_answer_conform():
    raw = order_message("NW", replace(ORDER, imaging=True), ANNA, envelope("2.5.1"), context=KNOWN)
    message = parse(raw)
    answer = acknowledgement(
        message,
        "AA",
        control="A1",
        now=NOW,
        segments=reply_segments("OK", ORDER, imaging=True),
        kind="ORI^O24",
    )
    assert (message.type, complaints(raw), complaints(answer)) == ("OMI^O23", [], [])
    assert (read_items(message)[0].accession, read_items(message)[0].study) == ("SW123", "2.25.1")


@VERSIONS
def test_a_report_carries_page_link_object_and_alarm(version):
    event = ReportEvent(
        "F",
        "SW123",
        "air",
        placer="P1",
        filler="F1",
        critical=True,
        sr="2.25.7",
        pdf="JVBERi0=",
        link="http://x/studies/1",
    )
    raw = report_message(event, ANNA, envelope(version))
    back = read_report(parse(raw))
    assert complaints(raw) == []
    assert (back.critical, back.sr, back.pdf, back.link) == (True, "2.25.7", "JVBERi0=", "http://x/studies/1")


@pytest.mark.parametrize("trigger", ["T02", "T04", "T06", "T10"])
def test_documents_conform_and_read_back(trigger):
    document = Document("D2", "F1", "P1", "SW123", "D1", "AU", text="one\ntwo", at="20261124093000")
    raw = document_message(trigger, document, ORDER, ANNA, envelope("2.5.1"))
    assert complaints(raw) == []
    assert read_document(parse(raw)) == document


def test_every_object_of_a_page_is_where_its_table_says():
    made = pdf([f"line {number} (\\)" for number in range(130)])
    table = int(made.rsplit(b"startxref\n", 1)[1].split()[0])
    places = [int(line.split()[0]) for line in made[table:].split(b"\n")[3:] if line.endswith(b"n ")]
    assert all(made[at:].startswith(b"%d 0 obj" % number) for number, at in enumerate(places, 1))
    assert b"/Count 3" in made


def test_dciodvfy_finds_no_error_in_a_structured_report(tmp_path):
    validator = Path(sys.executable).parent / "dciodvfy"
    if not validator.exists():
        pytest.skip("dciodvfy is not installed (extra 'conformance')")
    study = {"StudyInstanceUID": "2.25.1", "PatientName": "Adams^Anna", "PatientID": ANNA.id, "PatientSex": "F",
             "PatientBirthDate": "19700102", "StudyDate": "20261124", "StudyTime": "093000", "StudyID": "1",
             "AccessionNumber": "SW123"}  # fmt: skip
    document = basic_text_sr(
        study, text="one\ntwo", series="2.25.2", sop="2.25.3", number=2, author="READER^Rita", now=NOW, final=True,
        evidence=[{"series": "2.25.4", "sop": "2.25.5", "sop_class": "1.2.840.10008.5.1.4.1.1.2"}],
        order={"placer": "P1", "filler": "F1", "procedure": "CTCHEST"}, predecessor={"series": "2.25.2", "sop": "2.25.6"},
    )  # fmt: skip
    file = tmp_path / "sr.dcm"
    file.write_bytes(
        part10.write(Instance(BASIC_TEXT_SR, "2.25.3", EXPLICIT_LE, encode(document, explicit=True)))
    )
    done = subprocess.run([validator, str(file)], capture_output=True, text=True, check=False)
    assert "Error" not in done.stdout + done.stderr, done.stdout + done.stderr
