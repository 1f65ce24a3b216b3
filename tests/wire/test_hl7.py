"""The HL7 lens, and what is composed read back through it."""

import gc
import re
from datetime import UTC, datetime, timedelta, timezone

import hl7 as python_hl7
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwedge.errors import LocalProtocolError
from stepwedge.wire import hl7
from stepwedge.wire.hl7_escape import STANDARD, Separators, escape, unescape

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
ORDER = (
    b"MSH|^~\\&|EHR|SW|RIS|SW|20261124093000||ORM^O01|C1|P|2.3.1\r"
    b"PID|1||SW1^^^STEPWEDGE&2.25.1&ISO^PI~777^^^CITY||DOE^JOHN^^^DR||19600101|M\r"
    b"ORC|NW|P1^EHR||\r"
    b"OBR|1|P1^EHR||CTCHEST^CT \\T\\ chest\r"
    b'NTE|1||""\r'
    b"ORC|NW|P2^EHR\r"
    b"OBR|2|P2^EHR||CTHEAD\r"
    b"ZDS|1.2.3^STEPWEDGE^Application^DICOM\r"
)


@pytest.fixture
def order():
    return hl7.parse(ORDER)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("MSH-1", "|"),
        ("MSH-2", "^~\\&"),
        ("MSH-3", "EHR"),
        ("MSH-9.2", "O01"),
        ("PID-3", "SW1^^^STEPWEDGE&2.25.1&ISO^PI"),
        ("PID-3.1", "SW1"),
        ("PID-3.4", "STEPWEDGE&2.25.1&ISO"),
        ("PID-3.4.1", "STEPWEDGE"),
        ("PID-3.4.3", "ISO"),
        ("PID-3[2].1", "777"),
        ("PID-3[3].1", None),
        ("PID-5.5", "DR"),
        ("PID-5.6", None),
        ("PID-8.1.1", "M"),
        ("PID-8.2", None),
        ("PID-8.1.2", None),
        ("PID-99", None),
        ("OBR-4.2", "CT & chest"),
        ("OBR[2]-4", "CTHEAD"),
        ("OBR[3]-4", None),
        ("ORC[2]-2.1", "P2"),
        ("ORC-3", None),
        ("NTE-3", '""'),
        ("ZDS-1.1", "1.2.3"),
        ("EVN-1", None),
    ],
)
def test_places(order, path, value):
    assert order.get(path) == value
    assert order[path] == (value or "")


def test_header(order):
    assert (order.type, order.control, order.version, order.charset) == ("ORM^O01", "C1", "2.3.1", "")
    assert order.raw == ORDER
    assert "ZDS" in order
    assert "MRG" not in order


def test_repetitions_and_occurrences(order):
    assert order.all("PID-3.1") == ["SW1", "777"]
    assert order.all("PID-3[2].4") == ["CITY"]
    assert order.all("OBR-4.1") == ["CTCHEST", "CTHEAD"]
    assert order.all("OBR[2]-4.1") == ["CTHEAD"]
    assert order.all("MSH-2") == ["^~\\&"]
    assert order.all("OBX-5") == []
    assert [segment["2.1"] for segment in order.each("ORC")] == ["P1", "P2"]
    assert order.each("PID")[0].all("3.4.1") == ["STEPWEDGE", "CITY"]


@given(st.text("~^&\\FSa", max_size=12), st.sampled_from(["^~\\&", "^~", "^", "~^"]))
def test_heads_are_the_first_components_of_every_repetition(text, encoding):
    raw = f"MSH|{encoding}|A|B|||20261124||ADT^A04|1|P|2.5.1\rPID|||{text}\r".replace(
        "^A04", encoding[0] + "A04"
    )
    (segment,) = hl7.parse(raw.encode()).each("PID")
    repeated = encoding[1:2]
    count = text.count(repeated) + 1 if repeated else 1
    assert segment.heads(3) == [segment.read(3, each, 1) or "" for each in range(1, count + 1)]


def test_groups(order):
    first, second = order.groups("ORC")
    assert (first["OBR-4.1"], first["NTE-3"], first.get("ZDS-1")) == ("CTCHEST", '""', None)
    assert (second["OBR-1"], second["ZDS-1.4"]) == ("2", "DICOM")
    assert order.groups("OBX") == []


@pytest.mark.parametrize(
    "path", ["", "PID-", "PID3", "pid-3", "PID-0", "PID[0]-3", "PID-3.0", "PID-3.1.1.1", "-3", "PID-x"]
)
def test_a_wrong_path_is_our_fault(order, path):
    with pytest.raises(LocalProtocolError, match="no HL7 path"):
        order.get(path)


def test_other_separators():
    raw = b"MSH$%*!@$EHR$SW$RIS$SW$20261124$$ADT%A04$C1$P$2.5.1\rPID$$$SW1%%%A@B*2$$D!S!E%J!F!!T!!R!!E!|^&~\r"
    message = hl7.parse(raw)
    assert message["PID-3[1].4.2"] == "B"
    assert message["PID-3[2]"] == "2"
    assert message["PID-5.1"] == "D%E"
    assert message["PID-5.2"] == "J$@*!|^&~"
    assert message.type == "ADT^A04"
    assert message.copy("PID-3") == "SW1^^^A&B~2"
    assert message.copy("PID-5") == r"D%E^J$@*!\F\\S\\T\\R" + "\\"


def test_separators_that_are_left_out():
    message = hl7.parse(b"MSH|^~|A|B|C|D|20261124||ADT^A04|1|P|2.3.1\rPID|||1^2~3||a&b\\T\\c\r")
    assert (message["PID-3[2].1"], message["PID-5"], message["PID-5.1.2"]) == ("3", "a&b\\T\\c", "")
    assert hl7.parse(b"MSH|^|A|B|C|D|20261124||ADT^A04|1|P|2.3.1\rPID|||1~2\r").all("PID-3") == ["1~2"]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_line_ends(end):
    raw = ORDER.replace(b"\r", end)
    for each in (raw, raw.removesuffix(end), raw + end):
        message = hl7.parse(each)
        assert [segment.name for segment in message] == [
            "MSH",
            "PID",
            "ORC",
            "OBR",
            "NTE",
            "ORC",
            "OBR",
            "ZDS",
        ]
        assert message["ZDS-1.4"] == "DICOM"
        assert message.version == "2.3.1"
        assert hl7.control_of(each) == "C1"


def test_a_line_feed_beside_carriage_returns_is_text():
    assert hl7.parse(ORDER + b"NTE|2||one\ntwo\r")["NTE[2]-3"] == "one\ntwo"


@pytest.mark.parametrize(
    ("written", "means"),
    [
        (r"\F\\S\\T\\R\\E" + "\\", "|^&~\\"),
        (r"a\X41\b", "aAb"),
        (r"\X0D0A\x", "\r\nx"),
        (r"\XC3A9" + "\\", "Ã©"),
        (r"one\.br\two", "one\ntwo"),
        (r"\H\loud\N\ quiet", "loud quiet"),
        (r"\X..\ ", r"\X..\ "),
        (r"\X4\ ", r"\X4\ "),
        (r"\Zlocal\ ", r"\Zlocal\ "),
        (r"unfinished \F", r"unfinished \F"),
        ("\\", "\\"),
        (r"C:\temp", r"C:\temp"),
        ("\\\\", "\\\\"),
        (r"\.in+4\x", r"\.in+4\x"),
    ],
)
def test_escapes(written, means):
    assert unescape(written) == means


def test_hexadecimal_is_read_in_the_message_character_set():
    raw = hl7.compose(
        [hl7.header("ADT^A08", control="1", now=NOW), ("PID", {3: "1", 5: hl7.Er7(r"\XC3A9" + "\\")})]
    )
    assert hl7.parse(raw)["PID-5"] == r"\XC3A9" + "\\"
    utf8 = raw.replace(b"|2.5.1", b"|2.5.1||||||UNICODE UTF-8")
    assert hl7.parse(utf8)["PID-5"] == "é"


texts = st.text(st.characters(exclude_categories=["Cs"]))


@given(texts)
def test_escaping_is_undone_by_unescaping(text):
    assert unescape(escape(text)) == text
    assert not set(escape(text)) & set("|^~&\r\n\x0b\x1c")


@given(texts)
def test_any_text_survives_a_message(text):
    raw = hl7.compose(
        [
            hl7.header("ORU^R01", control="1", now=NOW),
            ("OBX", {2: "FT", 5: hl7.Rep([text, [text, text], [[text, text]]])}),
        ],
        charset="UNICODE UTF-8",
    )
    segment = hl7.parse(raw).each("OBX")[0]
    assert segment["5"] == text
    assert (segment["5[2].1"], segment["5[2].2"]) == (text, text)
    assert (segment["5[3].1.1"], segment["5[3].1.2"]) == (text, text)


@given(st.text(st.sampled_from("AB^~&\\|é"), max_size=30))
def test_a_copied_field_says_the_same(text):
    own = Separators("$", "%", "*", "!", "@")
    raw = (
        b"MSH$%*!@$A$B$C$D$20261124$$ADT%A04$1$P$2.5.1$$$$$$8859/1\rPID$$$1$$"
        + text.encode("latin-1")
        + b"\r"
    )
    message = hl7.parse(raw)
    copied = hl7.parse(
        hl7.compose(
            [hl7.header("ADT^A04", control="1", now=NOW), ("PID", {5: message.copy("PID-5")})],
            charset="8859/1",
        )
    )
    assert copied["PID-5.1"] == message["PID-5.1"]
    assert own[:5] == message.separators[:5]


@given(
    st.lists(
        st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=12),
        min_size=1,
        max_size=5,
    )
)
def test_python_hl7_reads_the_same(parts):
    raw = hl7.compose(
        [hl7.header("ADT^A04", control="1", now=NOW), ("PID", {3: ["1", "x"], 5: parts})], charset="8859/1"
    )
    theirs, ours = python_hl7.parse(raw.decode("latin-1")), hl7.parse(raw)
    for number in range(1, len(parts) + 1):
        written = ours.each("PID")[0].written(5).split("^")
        if number <= len(written):
            assert theirs.unescape(written[number - 1]) == ours[f"PID-5.{number}"]
    assert str(theirs.segment("PID")(3)(1)(2)) == ours["PID-3.2"]


def test_python_hl7_finds_the_same_places(order):
    theirs = python_hl7.parse(ORDER.decode())
    for path, key in (
        ("PID-3.4.2", "PID.F3.R1.C4.S2"),
        ("PID-3[2].1", "PID.F3.R2.C1"),
        ("OBR[2]-4", "OBR2.F4"),
        ("ORC-2.2", "ORC.F2.R1.C2"),
    ):
        assert theirs[key] == order[path]


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        ("", "Mueller"),
        ("ASCII", "Mueller"),
        ("8859/1", "Müller"),
        ("8859/2", "Łukasz"),
        ("8859/3", "Ġorġ"),
        ("8859/4", "Šķēle"),
        ("8859/5", "Люкceмбypг"),
        ("8859/6", "قباني"),
        ("8859/7", "Διονυσιος"),
        ("8859/8", "שרון"),
        ("8859/9", "Çavuşoğlu"),
        ("8859/15", "Œuvre€"),
        ("UNICODE", "Müller 学"),
        ("UNICODE UTF-8", "Müller 学 Łukasz"),
        ("~ISO IR87", "山田^太郎"),
        ("ISO IR14~ISO IR87", "山田"),
        ("~ISO IR87~ISO IR159", "山田|丂"),
        ("GB 18030-2000", "王小东"),
    ],
)
def test_character_sets(charset, name):
    raw = hl7.compose(
        [hl7.header("ADT^A04", control="1", now=NOW), ("PID", {3: "1", 5: [name, "x"]})], charset=charset
    )
    message = hl7.parse(raw)
    assert (message["PID-5.1"], message["PID-5.2"], message.charset) == (name, "x", charset)


def test_what_a_character_set_lacks_is_our_fault():
    with pytest.raises(LocalProtocolError, match=re.escape("'学' (U+5B66) cannot be written in 8859/1")):
        hl7.compose([hl7.header("ADT^A04", control="1", now=NOW), ("PID", {5: "学"})], charset="8859/1")
    with pytest.raises(LocalProtocolError, match="table 0211"):
        hl7.compose([hl7.header("ADT^A04", control="1", now=NOW)], charset="EBCDIC")


def test_compose():
    raw = hl7.compose(
        [
            hl7.header(
                "OMG^O19", control="7", now=NOW, sender=("EHR", "SW"), receiver=(["RIS", "1.2", "ISO"], "")
            ),
            ("PID", {1: 1, 3: [["a", "b"], "", ""], 5: None, 6: "", 7: hl7.null}),
            ("OBX", {}),
        ],
    )
    assert raw == (
        b"MSH|^~\\&|EHR|SW|RIS^1.2^ISO||20261124093000+0000||OMG^O19^OMG_O19|7|P|2.5.1\r"
        b'PID|1||a&b||||""\r'
        b"OBX\r"
    )
    with pytest.raises(LocalProtocolError, match="starts with MSH"):
        hl7.compose([("PID", {})])


@pytest.mark.parametrize(
    ("kind", "version", "written"),
    [
        ("ADT^A04", "2.3.1", "ADT^A04"),
        ("ADT^A04", "2.5.1", "ADT^A04^ADT_A01"),
        ("ADT^A08", "2.5.1", "ADT^A08^ADT_A01"),
        ("ADT^A40", "2.5.1", "ADT^A40^ADT_A39"),
        ("ORM^O01", "2.5.1", "ORM^O01^ORM_O01"),
        ("ACK^O01", "2.5.1", "ACK^O01^ACK"),
        ("ACK", "2.5.1", "ACK"),
    ],
)
def test_message_types(kind, version, written):
    assert (
        hl7.parse(hl7.compose([hl7.header(kind, control="1", now=NOW, version=version)]))["MSH-9"] == written
    )


def test_timestamps():
    assert hl7.timestamp(NOW) == "20261124093000+0000"
    assert hl7.timestamp(NOW.replace(tzinfo=None)) == "20261124093000"
    assert (
        hl7.timestamp(NOW.replace(tzinfo=timezone(timedelta(hours=-3, minutes=-30)))) == "20261124093000-0330"
    )


def test_acknowledgement(order):
    raw = hl7.acknowledgement(order, "AA", control="A1", now=NOW)
    assert raw == b"MSH|^~\\&|RIS|SW|EHR|SW|20261124093000+0000||ACK^O01|A1|P|2.3.1\rMSA|AA|C1\r"


def test_application_reply_in_the_character_set_of_the_question():
    question = hl7.parse(
        hl7.compose(
            [hl7.header("OMG^O19", control="Q", now=NOW, sender=(["E", "1.2", "ISO"], ""))], charset="8859/1"
        )
    )
    raw = hl7.acknowledgement(
        question,
        "AA",
        control="A1",
        now=NOW,
        kind="ORG^O20",
        segments=[("ORC", {1: "OK"}), ("OBR", {4: ["x", "Schädel"]})],
    )
    answer = hl7.parse(raw)
    assert (answer.type, answer.charset, answer["MSH-9.3"]) == ("ORG^O20", "8859/1", "ORG_O20")
    assert answer["MSH-5"] == "E^1.2^ISO"
    assert [segment.name for segment in answer] == ["MSH", "MSA", "ORC", "OBR"]
    assert answer["OBR-4.2"] == "Schädel"


def test_errors_in_the_form_of_their_version():
    error = hl7.HL7Error(101, "PID[1]-3[2].4", "no assigning authority")
    for version, written in (
        ("2.3.1", b"MSA|AE|C1|no assigning authority\rERR|PID^1^3^101&Required field missing&HL70357\r"),
        (
            "2.5.1",
            b"MSA|AE|C1|no assigning authority\rERR||PID^1^3^2^4|101^Required field missing^HL70357|E||||no assigning authority\r",
        ),
    ):
        message = hl7.parse(ORDER.replace(b"2.3.1", version.encode()))
        assert hl7.acknowledgement(message, error.answer, control="1", now=NOW, error=error).endswith(written)


def test_a_message_is_not_split_before_it_is_asked():
    message = hl7.parse(ORDER)
    before = sum(isinstance(each, hl7.Segment) and each._fields is not None for each in gc.get_objects())
    assert message.each("PID")[0]._fields is None
    assert message["ORC-1"] == "NW"
    after = sum(isinstance(each, hl7.Segment) and each._fields is not None for each in gc.get_objects())
    assert after == before + 1
    assert STANDARD[:5] == message.separators[:5]
