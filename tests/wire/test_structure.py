"""Message structures: nothing said about what Stepwedge builds, a complaint about everything that is wrong."""

from datetime import UTC, datetime

import pytest

from stepwedge.wire import hl7
from stepwedge.wire.structure import _judged, complaints

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


def message(kind, version, segments):
    return hl7.compose(
        [
            hl7.header(kind, control="1", now=NOW, version=version),
            *((name, {1: "1"}) for name in segments.split()),
        ]
    )


CONFORMING = [
    ("ADT^A04", "EVN PID PV1", "2.3.1 2.5.1"),
    ("ADT^A08", "EVN PID PV1", "2.3.1 2.5.1"),
    ("ADT^A40", "EVN PID MRG", "2.3.1 2.5.1"),
    ("ADT^A40", "EVN PID PD1 MRG PV1 PID MRG", "2.3.1 2.5.1"),
    ("ORM^O01", "PID PV1 ORC OBR", "2.3.1 2.5.1"),
    ("ORM^O01", "PID PV1 ORC OBR ZDS ORC OBR ZDS", "2.3.1 2.5.1"),
    ("ORM^O01", "PID PV1 ORC OBR NTE DG1 OBX NTE ZDS", "2.3.1 2.5.1"),
    ("ORM^O01", "PID ORC", "2.3.1 2.5.1"),
    ("ORM^O01", "PID ORC RQD", "2.3.1 2.5.1"),
    ("ORR^O02", "MSA PID ORC OBR", "2.3.1 2.5.1"),
    ("ORR^O02", "MSA ERR", "2.3.1 2.5.1"),
    ("OMG^O19", "PID PV1 ORC TQ1 OBR NTE OBX", "2.5.1"),
    ("ORG^O20", "MSA PID ORC TQ1 OBR", "2.5.1"),
    ("ORG^O20", "MSA ERR", "2.5.1"),
    ("OMI^O23", "PID PV1 ORC TQ1 OBR IPC IPC ORC OBR IPC", "2.5.1"),
    ("ORI^O24", "MSA PID ORC OBR IPC", "2.5.1"),
    ("ORU^R01", "PID PV1 ORC OBR OBX OBX NTE", "2.3.1 2.5.1"),
    ("ORU^R01", "PID OBR OBX", "2.3.1 2.5.1"),
    ("ACK^A04", "MSA", "2.3.1 2.5.1"),
    ("ACK^A04", "MSA ERR", "2.3.1 2.5.1"),
]


@pytest.mark.parametrize(
    ("kind", "segments", "version"),
    [(kind, segments, version) for kind, segments, versions in CONFORMING for version in versions.split()],
)
def test_no_false_complaint(kind, segments, version):
    assert complaints(message(kind, version, segments)) == []


@pytest.mark.parametrize(
    ("kind", "version", "segments", "said"),
    [
        ("ADT^A04", "2.5.1", "PID PV1", ["EVN missing before PID (segment 2)"]),
        ("ADT^A40", "2.3.1", "PID MRG", ["EVN missing before PID (segment 2)"]),
        ("ADT^A40", "2.5.1", "EVN PID", ["MRG missing at the end"]),
        ("ADT^A04", "2.3.1", "EVN PID", ["PV1 missing at the end"]),
        ("ADT^A04", "2.3.1", "EVN", ["PID and PV1 missing at the end"]),
        ("ADT^A04", "2.5.1", "PV1", ["EVN and PID missing before PV1 (segment 2)"]),
        ("ORM^O01", "2.3.1", "PID PV1 OBR", ["ORC missing before OBR (segment 4)"]),
        (
            "ORM^O01",
            "2.3.1",
            "PID PID ORC OBR",
            ["PID (segment 3) is not allowed here; allowed: AL1, GT1, IN1, NTE, ORC, PD1, PV1"],
        ),
        ("OMI^O23", "2.5.1", "PID ORC OBR", ["IPC missing at the end"]),
        ("OMI^O23", "2.5.1", "PID ORC IPC", ["OBR missing before IPC (segment 4)"]),
        ("ORR^O02", "2.5.1", "PID ORC OBR", ["MSA missing before PID (segment 2)"]),
        ("ACK^A04", "2.5.1", "", ["MSA missing at the end"]),
        (
            "ADT^A08",
            "2.3.1",
            "PID EVN PV1",
            [
                "EVN missing before PID (segment 2)",
                "EVN (segment 3) is not allowed here; allowed: NK1, PD1, PV1",
            ],
        ),
    ],
)
def test_real_complaints(kind, version, segments, said):
    assert [text.partition(": ")[2] for text in complaints(message(kind, version, segments))] == said


def test_what_the_version_does_not_know():
    assert complaints(message("OMG^O19", "2.3.1", "PID ORC OBR")) == [
        "HL7 2.3.1 has no message structure OMG_O19"
    ]
    assert complaints(message("ADT^A04", "2.9", "EVN PID PV1")) == [
        "HL7 2.9 has no message structure ADT_A01"
    ]


def test_a_structure_that_contradicts_the_event():
    raw = message("ADT^A04", "2.5.1", "EVN PID PV1").replace(b"ADT_A01", b"ADT_A05")
    assert complaints(raw) == ["MSH-9.3 says structure ADT_A05, but ADT^A04 has ADT_A01 (HL7 table 0354)"]


def test_what_cannot_be_read_is_a_complaint():
    assert complaints(b"EVN|A04\r") == [
        "HL7 MSH: no MSH segment; the message starts b'EVN|A04\\r' (100 Segment sequence error)"
    ]


def test_choice_groups_which_hl7apy_checks_as_sequences():
    """hl7apy issue 151: its validator wants every member of a choice. When this fails, our grammar may go."""
    from hl7apy.exceptions import ValidationError
    from hl7apy.parser import parse_message

    raw = message("ORM^O01", "2.3.1", "PID PV1 ORC OBR")
    assert complaints(raw) == []
    with pytest.raises(ValidationError):
        parse_message(raw.decode(), find_groups=True).validate()


def test_the_answer_is_remembered_by_shape():
    raw = message("ORU^R01", "2.5.1", "PID OBR " + "OBX " * 50)
    complaints(raw)
    before = _judged.cache_info().hits
    complaints(raw.replace(b"OBX|1", b"OBX|2"))
    assert _judged.cache_info().hits == before + 1
