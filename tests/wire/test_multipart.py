"""multipart/related: any bytes, any cut, and what must not be taken for fewer parts."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwedge.errors import LocalProtocolError, RemoteProtocolError
from stepwedge.wire.multipart import Part, Reader, boundary_of, decode, encode, parameters

TYPE = 'multipart/related; type="application/dicom"; boundary=B'
bodies = st.lists(
    st.one_of(
        st.binary(max_size=50),
        st.lists(st.sampled_from([b"\r\n", b"--", b"B", b"-", b"\r", b"\n", b" ", b"x"])).map(b"".join),
    ),
    min_size=1,
    max_size=4,
)


@given(bodies)
def test_what_is_written_is_read(parts):
    body, content_type = encode(parts, "application/dicom")
    assert [(part.body, part.content_type) for part in decode(body, content_type)] == [
        (each, "application/dicom") for each in parts
    ]


@given(bodies.filter(lambda parts: not any(b"--B" in each for each in parts)))
def test_split_at_every_byte(parts):
    body, content_type = encode(parts, "application/dicom", boundary="B")
    for cut in range(len(body) + 1):
        reader, found = Reader(content_type), []
        for piece in (body[:cut], body[cut:]):
            reader.receive_data(piece)
            found += reader.parts()
        reader.end()
        assert [part.body for part in found] == parts


@given(bodies.filter(lambda parts: not any(b"--B" in each for each in parts)), st.data())
def test_a_cut_body_is_never_fewer_parts(parts, data):
    body, content_type = encode(parts, "application/dicom", boundary="B")
    cut = data.draw(st.integers(0, len(body) - 3))  # the last two are the CRLF after the closing boundary
    with pytest.raises(RemoteProtocolError):
        decode(body[:cut], content_type)


@given(st.binary(max_size=300))
def test_whatever_comes_is_parts_or_the_peers_fault(body):
    with contextlib.suppress(RemoteProtocolError):
        assert decode(body, TYPE)


def test_headers_preamble_epilogue_and_padding():
    body = b"preamble\r\n--B \t\r\nContent-Type: text/plain\r\nX-A:  b \r\n\r\nbody\r\n--B\r\n\r\nbare\r\n--B--\r\nepilogue"
    assert decode(body, TYPE) == [
        Part(b"body", "text/plain", {"content-type": "text/plain", "x-a": "b"}),
        Part(b"bare", "", {}),
    ]


def test_a_boundary_inside_a_body_is_data_unless_it_is_a_line():
    body = b"--B\r\n\r\nx--B\r\ny\r\n--Bz\r\n--B\r\n\r\nlast\r\n--B--"
    assert [part.body for part in decode(body, TYPE)] == [b"x--B\r\ny\r\n--Bz", b"last"]


@pytest.mark.parametrize(
    ("body", "match"),
    [
        (b"", "ends before the first boundary"),
        (b"--WRONG\r\n\r\nx\r\n--WRONG--", "ends before the first boundary"),
        (b"--B\r\n\r\nx", "ends inside part 1"),
        (b"--B\r\n\r\nx\r\n--B\r\n\r\ny\r\n--B", "ends inside part 2"),
        (b"--B--", "closed without a part"),
        (b"--B\r\nno empty line\r\n--B--", "no empty line"),
        (b"--B\r\nno colon\r\n\r\nx\r\n--B--", "no header"),
        (b"--B\r\nContent-Length: 3\r\n\r\nx\r\n--B--", "says 3 bytes and has 1"),
        (b"--B\n\nx\n--B--\n", "ends before the first boundary"),
        (b"x" * 50_000, "no boundary"),
    ],
)
def test_broken_bodies(body, match):
    with pytest.raises(RemoteProtocolError, match=match):
        decode(body, TYPE)


@pytest.mark.parametrize(
    ("content_type", "match"),
    [
        ("", "expected multipart/related"),
        ("application/dicom", "expected multipart/related"),
        ("multipart/related", "boundary must be"),
        ("multipart/related; boundary=", "boundary must be"),
        ('multipart/related; boundary="a', "does not end"),
        ("multipart/related; boundary=" + "x" * 71, "boundary must be"),
        ('multipart/related; boundary="é"', "boundary must be"),
        ('multipart/related; boundary="a "', "boundary must be"),
        ("multipart/related; boundary=a; boundary=b", "stands twice"),
    ],
)
def test_wrong_boundaries(content_type, match):
    with pytest.raises(RemoteProtocolError, match=match):
        boundary_of(content_type)


def test_content_types():
    assert parameters('Multipart/Related; TYPE="application/dicom+json"; boundary="a;b\\"c" ;x=y') == (
        "multipart/related",
        {"type": "application/dicom+json", "boundary": 'a;b"c', "x": "y"},
    )
    assert boundary_of('multipart/related;boundary="a b:c"') == b"a b:c"
    body, content_type = encode([b"x"], "application/dicom", boundary="a b:c")
    assert 'boundary="a b:c"' in content_type
    assert decode(body, content_type)[0].body == b"x"


def test_limits():
    body, content_type = encode([b"x" * 40_000] * 3, "application/dicom")
    with pytest.raises(RemoteProtocolError, match="more than 2 parts"):
        decode(body, content_type, count_limit=2)
    reader = Reader(content_type, part_limit=1000)
    reader.receive_data(body[:39_000])
    with pytest.raises(RemoteProtocolError, match="longer than 1000 bytes"):
        list(reader.parts())
    with pytest.raises(LocalProtocolError):
        encode([], "application/dicom")


def test_a_chosen_boundary_is_in_no_part(monkeypatch):
    words = iter(["taken", "free"])
    monkeypatch.setattr("stepwedge.wire.multipart.secrets.token_hex", lambda _: next(words))
    body, content_type = encode([b"\r\n--stepwedge.taken\r\n"], "application/dicom")
    assert boundary_of(content_type) == b"stepwedge.free"
    assert decode(body, content_type)[0].body == b"\r\n--stepwedge.taken\r\n"
