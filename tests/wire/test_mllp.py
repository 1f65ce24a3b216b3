"""MLLP frames, however the bytes arrive."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwedge.errors import LocalProtocolError, RemoteProtocolError
from stepwedge.wire.mllp import CLOSED, JUNK_LIMIT, NEED_DATA, Frame, Framer, frame, sole

payloads = st.binary(max_size=60).map(lambda raw: raw.translate(None, b"\x0b\x1c"))


def take(framer):
    found = []
    while isinstance(event := framer.next_event(), Frame):
        found.append(event)
    return found, event


def feed(data, limit=1 << 20):
    framer = Framer(limit)
    framer.receive_data(data)
    return take(framer)


@given(st.lists(payloads, min_size=1, max_size=4))
def test_frames_split_at_every_byte(messages):
    stream = b"".join(map(frame, messages))
    for cut in range(len(stream) + 1):
        framer, found = Framer(), []
        for piece in (stream[:cut], stream[cut:]):
            if piece:
                framer.receive_data(piece)
            found += take(framer)[0]
        assert [each.payload for each in found] == messages


@given(st.lists(payloads, min_size=1, max_size=4))
def test_one_byte_at_a_time(messages):
    framer, found = Framer(), []
    for byte in b"".join(map(frame, messages)):
        framer.receive_data(bytes([byte]))
        found += take(framer)[0]
    assert [each.payload for each in found] == messages


@given(st.binary(max_size=200), st.integers(0, 200))
def test_whatever_comes_is_frames_or_the_peers_fault(data, cut):
    framer = Framer(limit=64)
    try:
        for piece in (data[:cut], data[cut:], b""):
            framer.receive_data(piece)
            take(framer)
    except RemoteProtocolError:
        with pytest.raises(RemoteProtocolError):
            framer.next_event()


def test_several_frames_in_one_read():
    found, event = feed(frame(b"MSH|1") + frame(b"MSH|2") + b"\x0bMSH|")
    assert [each.payload for each in found] == [b"MSH|1", b"MSH|2"]
    assert event is NEED_DATA


def test_an_empty_frame_is_a_frame():
    assert feed(frame(b""))[0] == [Frame(b"")]


def test_junk_before_a_frame_is_kept_as_evidence():
    found, _ = feed(b"\r\nhello" + frame(b"MSH|1"))
    assert found == [Frame(b"MSH|1", b"\r\nhello")]


def test_a_peer_that_speaks_something_else_is_named():
    with pytest.raises(RemoteProtocolError, match="does not speak MLLP"):
        feed(b"\x16\x03\x01" * JUNK_LIMIT)


def test_a_start_inside_a_frame_is_a_missing_end():
    with pytest.raises(RemoteProtocolError, match="never ended"):
        feed(b"\x0bMSH|1\r\x0bMSH|2\x1c\r")


@pytest.mark.parametrize("tail", [b"\x1c\n", b"\x1cMSH", b"\x1c\x1c\r"])
def test_an_end_without_cr(tail):
    with pytest.raises(RemoteProtocolError, match="not by 0x0D"):
        feed(b"\x0bMSH|1" + tail)


def test_ten_megabytes_pass_and_the_limit_holds():
    body = b"MSH|" + b"A" * (10 << 20)
    assert feed(frame(body), limit=16 << 20)[0][0].payload == body
    with pytest.raises(RemoteProtocolError, match="longer than the limit of 1000 bytes"):
        feed(b"\x0b" + b"A" * 1001, limit=1000)
    with pytest.raises(RemoteProtocolError, match="longer than the limit of 1000 bytes"):
        feed(frame(b"A" * 1001), limit=1000)
    assert len(feed(frame(b"A" * 1000), limit=1000)[0]) == 1


def test_the_peer_closes():
    assert feed(frame(b"MSH|1"))[1] is NEED_DATA
    framer = Framer()
    framer.receive_data(frame(b"MSH|1"))
    framer.receive_data(b"")
    found, event = take(framer)
    assert (len(found), event) == (1, CLOSED)


@pytest.mark.parametrize("cut", [b"\x0b", b"\x0bMSH|1", b"\x0bMSH|1\x1c"])
def test_the_peer_closes_inside_a_frame(cut):
    framer = Framer()
    framer.receive_data(cut)
    assert framer.next_event() is NEED_DATA
    framer.receive_data(b"")
    with pytest.raises(RemoteProtocolError, match="closed inside"):
        framer.next_event()


@pytest.mark.parametrize("raw", [b"a\x0bb", b"a\x1cb"])
def test_we_send_no_broken_frame(raw):
    with pytest.raises(LocalProtocolError):
        frame(raw)


@given(st.lists(st.sampled_from(b"\x0b\x1c\r\rMSA|"), max_size=12).map(bytes))
def test_the_short_way_of_reading_one_frame_is_the_long_way(data):
    framer = Framer(8)
    framer.receive_data(data)
    try:
        events = [framer.next_event(), framer.next_event()]
    except RemoteProtocolError:
        events = []
    alone = sole(data, 8)
    whole = len(events) == 2 and isinstance(events[0], Frame) and not events[0].junk_before
    assert (alone is not None) == (whole and framer.idle and events[1] is NEED_DATA)
    assert alone is None or alone == events[0].payload
