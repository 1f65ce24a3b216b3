"""Every HL7 input that RIS and PACS see go wrong: refused with table 0357 code and place, or taken on purpose."""

import contextlib
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwedge.wire import hl7
from stepwedge.wire.hl7_values import check, moment

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
GOOD = (
    b"MSH|^~\\&|EHR|SW|RIS|SW|20261124093000||ADT^A04^ADT_A01|C1|P|2.5.1||||||8859/1\r"
    b"EVN|A04|20261124\rPID|1||SW1^^^STEPWEDGE||DOE^J||19600101|M\rPV1|1|O\r"
)


def with_header(**fields):
    """Return GOOD with some MSH fields replaced, given as f9=b"..."."""
    head, _, rest = GOOD.partition(b"\r")
    parts = head.split(b"|")
    for name, value in fields.items():
        parts[int(name[1:]) - 1] = value
    return b"|".join(parts) + b"\r" + rest


def with_segment(line):
    return GOOD + line + b"\r"


def with_pid(line):
    return GOOD.replace(b"PID|1||SW1^^^STEPWEDGE||DOE^J||19600101|M", line)


REFUSED = {
    "nothing": (b"", 100, "MSH"),
    "no MSH": (b"EVN|A04\rPID|1\r", 100, "MSH"),
    "MSH not first": (b"EVN|A04\r" + GOOD, 100, "MSH"),
    "MSH alone": (b"MSH", 102, "MSH-1"),
    "a letter separates": (b"MSHx^~\\&x", 102, "MSH-1"),
    "no encoding characters": (GOOD.replace(b"|^~\\&|", b"||"), 101, "MSH-2"),
    "too many encoding characters": (GOOD.replace(b"|^~\\&|", b"|^~\\&#@|"), 102, "MSH-2"),
    "repeated encoding characters": (GOOD.replace(b"|^~\\&|", b"|^^\\&|"), 102, "MSH-2"),
    "field separator among them": (b"MSH|^~\\" + b"\x41|", 102, "MSH-2"),
    "byte order mark": (b"\xef\xbb\xbf" + GOOD, 100, "MSH"),
    "a batch": (b"FHS|^~\\&|\rBHS|^~\\&|\r" + GOOD + b"BTS|2\rFTS|1\r", 100, ""),
    "two messages in one frame": (GOOD + GOOD, 100, "MSH[2]"),
    "no type": (with_header(f9=b""), 101, "MSH-9"),
    "no control id": (with_header(f10=b""), 101, "MSH-10"),
    "control id of 21": (with_header(f10=b"C" * 21), 102, "MSH-10"),
    "control id of 200 in 2.7": (with_header(f10=b"C" * 200, f12=b"2.7"), 102, "MSH-10"),
    "no processing id": (with_header(f11=b""), 101, "MSH-11"),
    "unknown processing id": (with_header(f11=b"X"), 202, "MSH-11"),
    "no version": (with_header(f12=b""), 101, "MSH-12"),
    "unknown version": (with_header(f12=b"3.0"), 203, "MSH-12"),
    "unknown character set": (with_header(f18=b"EBCDIC"), 103, "MSH-18"),
    "UTF-16 over MLLP": (with_header(f18=b"UNICODE UTF-16"), 103, "MSH-18"),
    "lone E9 in UTF-8": (with_header(f18=b"UNICODE UTF-8").replace(b"DOE", b"Ren\xe9"), 102, "PID[1]-5"),
    "E9 in ASCII": (with_header(f18=b"").replace(b"DOE", b"Ren\xe9"), 102, "PID[1]-5"),
    "broken ISO IR87": (
        with_header(f18=b"~ISO IR87").replace(b"DOE", b"\x1b$B\xe9\xe9\x1b(B"),
        102,
        "PID[1]-5",
    ),
    "embedded VT": (with_pid(b"PID|1||SW1||A\x0bB"), 102, "PID[1]-5"),
    "embedded FS": (with_segment(b"OBX|1|TX|a||x\x1cy"), 102, "OBX[1]-5"),
    "embedded NUL": (with_pid(b"PID|1||SW1||A\x00B"), 102, "PID[1]-5"),
    "no segment": (with_segment(b"hello world"), 100, ""),
    "lower case segment": (with_segment(b"nte|1||x"), 100, ""),
    "not HL7 at all": (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 100, "MSH"),
}

WRONG_VALUES = {
    "no patient id": (with_pid(b"PID|1||||DOE^J"), 101, "PID[1]-3"),
    "only an assigning authority": (with_pid(b"PID|1||^^^STEPWEDGE||DOE^J"), 101, "PID[1]-3"),
    "two patients": (with_segment(b"PID|2||SW2||ROE"), 100, "PID[2]"),
    "born on 30 February": (with_pid(b"PID|1||SW1||DOE||20260230"), 102, "PID[1]-7"),
    "born in words": (with_pid(b"PID|1||SW1||DOE||1 May 1960"), 102, "PID[1]-7"),
    "sent at 24:00": (with_header(f7=b"202611242400"), 102, "MSH[1]-7"),
    "no value type": (with_segment(b"OBX|1||a||x"), 101, "OBX[1]-2"),
    "unknown value type": (with_segment(b"OBX|1|QQ|a||x"), 103, "OBX[1]-2"),
    "a text that says it is a number": (with_segment(b"OBX|1|NM|a||7~seven"), 102, "OBX[1]-5[2]"),
    "a time that says it is a date": (with_segment(b"OBX|1|DT|a||202611240930"), 102, "OBX[1]-5[1]"),
    "minute 61": (with_segment(b"OBX|1|TM|a||0961"), 102, "OBX[1]-5[1]"),
    "ED without its five components": (with_segment(b"OBX|1|ED|a||JVBERi0="), 102, "OBX[1]-5[1]"),
    "merged into itself": (
        GOOD.replace(b"A04^ADT_A01", b"A40^ADT_A39").replace(b"PV1|1|O", b"MRG|SW1^^^STEPWEDGE"),
        205,
        "MRG[1]-1",
    ),
}

TAKEN = {
    "LF for CR": GOOD.replace(b"\r", b"\n"),
    "CRLF for CR": GOOD.replace(b"\r", b"\r\n"),
    "no CR at the end": GOOD.rstrip(b"\r"),
    "empty segments": GOOD.replace(b"\rPID", b"\r\r\rPID"),
    "short MSH-2": GOOD.replace(b"|^~\\&|", b"|^~|"),
    "the truncation character of 2.7": GOOD.replace(b"|^~\\&|", b"|^~\\&#|"),
    "control id of 20": with_header(f10=b"C" * 20),
    "control id of 199 in 2.7": with_header(f10=b"C" * 199, f12=b"2.7"),
    "production in a test": with_header(f11=b"P"),
    "processing mode": with_header(f11=b"T^A"),
    **{f"version {version}": with_header(f12=version.encode()) for version in sorted(hl7.VERSIONS)},
    "unknown event, for the receiver to judge": with_header(f9=b"ADT^Z99"),
    "Z-segment": with_segment(b"ZDS|1.2.3^STEPWEDGE^Application^DICOM"),
    "20 patient ids": with_pid(
        b"PID|1||" + b"~".join(b"SW%d^^^A" % number for number in range(20)) + b"||DOE"
    ),
    "no assigning authority": with_pid(b"PID|1||SW1||DOE"),
    "HL7 null": with_pid(b'PID|1||SW1||DOE||""|""'),
    "time of 24 characters": with_header(f7=b"20261124093000.1234+0100"),
    "field of 64 kB": with_segment(b"NTE|1||" + b"x" * 65536),
    "100000 segments": GOOD + b"NTE|1||x\r" * 100_000,
    "10 MB of base64": with_segment(b"OBX|1|ED|a||^AP^PDF^Base64^" + b"QUJD" * (10 << 18)),
    "formula": with_pid(b"PID|1||SW1||=cmd\\F\\' /C calc'!A0"),
    "markup": with_pid(b"PID|1||SW1||<script>alert(1)</script>"),
    "SQL": with_pid(b"PID|1||SW1||'; DROP TABLE patients;--"),
    "LDAP": with_pid(b"PID|1||SW1||*)(uid=*"),
    "line break by escape": with_pid(b"PID|1||SW1||DOE\\X0D\\MSH\\F\\x"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    raw, code, location = REFUSED[name]
    with pytest.raises(hl7.HL7Error) as caught:
        hl7.parse(raw)
    assert (caught.value.code, caught.value.location) == (code, location), str(caught.value)
    assert answerable(caught.value)


@pytest.mark.parametrize("name", WRONG_VALUES)
def test_wrong_values(name):
    raw, code, location = WRONG_VALUES[name]
    message = hl7.parse(raw)
    with pytest.raises(hl7.HL7Error) as caught:
        check(message)
    assert (caught.value.code, caught.value.location) == (code, location), str(caught.value)


def answerable(error):
    """An answer can always be made, and says what is wrong in its own version."""
    raw = hl7.acknowledgement(error.about, error.answer, control="1", now=NOW, error=error)
    answer = hl7.parse(raw)
    assert answer["MSA-1"] == error.answer
    assert answer["ERR-1.4.1" if answer.version < "2.5" else "ERR-3.1"] == str(error.code)
    if error.about is not None and error.about.control.isascii():
        assert answer["MSA-2"] == error.about.control
    return answer


@pytest.mark.parametrize("name", TAKEN)
def test_taken(name):
    message = hl7.parse(TAKEN[name])
    check(message)
    assert message["PID-3.1"].startswith("SW")


bytes_of_messages = st.lists(
    st.one_of(
        st.sampled_from(
            [
                b"MSH|^~\\&|",
                b"|",
                b"^",
                b"\\",
                b"\r",
                b"\n",
                b"PID",
                b"OBX|1|NM|a||",
                b"\x00",
                b"\xe9",
                b"ADT^A04",
                b"8859/1",
            ]
        ),
        st.binary(max_size=8),
    )
).map(b"".join)


@given(bytes_of_messages, st.integers(0, len(GOOD)))
def test_whatever_comes_is_read_or_can_be_answered(odd, at):
    for raw in (odd, b"MSH" + odd, GOOD[:at] + odd + GOOD[at:], GOOD + odd):
        try:
            message = hl7.parse(raw)
        except hl7.HL7Error as error:
            answerable(error)
        else:
            for segment in message:
                assert all(
                    isinstance(text, str) for text in (segment["5.1.1"], segment.copy(3), *segment.all("3"))
                )
            with contextlib.suppress(hl7.HL7Error):
                check(message)


def test_rejections_and_errors():
    rejected = [code for code in hl7.CONDITIONS if hl7.HL7Error(code, "", "x").answer == "AR"]
    assert rejected == [200, 201, 202, 203, 206, 207]


def test_injection_stays_text():
    assert hl7.parse(TAKEN["formula"])["PID-5"] == "=cmd|' /C calc'!A0"
    broken = hl7.parse(TAKEN["line break by escape"])
    assert broken["PID-5"] == "DOE\rMSH|x"
    again = hl7.compose([hl7.header("ADT^A04", control="1", now=NOW), ("PID", {5: broken["PID-5"]})])
    assert len(hl7.parse(again).segments) == 2


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("2026", datetime(2026, 1, 1)),  # noqa: DTZ001
        ("202611", datetime(2026, 11, 1)),  # noqa: DTZ001
        ("20261124", datetime(2026, 11, 24)),  # noqa: DTZ001
        ("202611240930", datetime(2026, 11, 24, 9, 30)),  # noqa: DTZ001
        ("20261124093015.1234+0100", datetime(2026, 11, 24, 9, 30, 15, 123400, timezone(timedelta(hours=1)))),
        (
            "20261124093015-0330",
            datetime(2026, 11, 24, 9, 30, 15, 0, timezone(-timedelta(hours=3, minutes=30))),
        ),
    ],
)
def test_moments(text, means):
    assert moment(text) == means


@pytest.mark.parametrize(
    "text",
    ["", "26", "20260230", "20261301", "202611242400", "20261124096100", "2026-11-24", "٢٠٢٦", "2026+9999"],
)
def test_no_moments(text):
    with pytest.raises(hl7.HL7Error):
        moment(text, "PID-7")
