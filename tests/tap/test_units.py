"""Where frames and PDUs end, whichever way the stream is cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwedge.sim.tap.countdown import After, Countdown
from stepwedge.sim.tap.units import Bytes, Frames, Pdus
from stepwedge.wire import pdu
from stepwedge.wire.mllp import Framer, frame


def chunked(data, cuts):
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


def ends(units, chunks):
    found, at = [], 0
    for chunk in chunks:
        found += [at + end for end in units.ends(chunk)]
        at += len(chunk)
    return found


@given(st.lists(st.binary(max_size=40), max_size=6), st.lists(st.integers(0, 400), max_size=12))
def test_frames_end_where_the_framer_cuts_them(payloads, cuts):
    payloads = [one.replace(b"\x0b", b"").replace(b"\x1c", b"") for one in payloads]
    stream = b"".join(map(frame, payloads))
    wanted, at = [], 0
    for one in payloads:
        at += len(frame(one))
        wanted.append(at)
    assert ends(Frames(), chunked(stream, cuts)) == wanted
    framer = Framer()  # the core that servers use sees as many
    framer.receive_data(stream)
    assert sum(hasattr(framer.next_event(), "payload") for _ in payloads) == len(wanted)


@given(st.lists(st.binary(max_size=40), max_size=6), st.lists(st.integers(0, 400), max_size=12))
def test_pdus_end_where_their_headers_say(bodies, cuts):
    stream = b"".join(pdu.write(pdu.Kind.P_DATA_TF, body) for body in bodies)
    wanted, at = [], 0
    for body in bodies:
        at += 6 + len(body)
        wanted.append(at)
    assert ends(Pdus(), chunked(stream, cuts)) == wanted


def test_after_what_is_no_pdu_none_is_seen():
    units = Pdus()
    assert units.ends(pdu.RELEASE_RQ) == [10]
    assert units.ends(b"GET / HTTP/1.1\r\n\r\n" + pdu.RELEASE_RQ) == []
    assert units.ends(pdu.RELEASE_RQ) == []


def test_a_lying_length_costs_no_memory():
    units = Pdus()
    assert units.ends(b"\x04\0\xff\xff\xff\xff" + bytes(1000)) == []
    assert units.ends(bytes(1000)) == []
    assert Bytes().ends(bytes(10)) == ()


@pytest.mark.parametrize(
    ("after", "chunks", "wanted"),
    [
        (After(), [(5, [])], 0),
        (After(bytes=1), [(5, [])], 1),
        (After(bytes=5), [(5, [])], 5),
        (After(bytes=6), [(5, []), (5, [])], 6),
        (After(units=1), [(5, [5])], 5),
        (After(units=2), [(5, [2]), (5, [3, 5])], 8),
        (After(units=1, bytes=3), [(5, [4]), (5, [])], 7),
        (After(units=2, bytes=1), [(4, [2, 4]), (4, [])], 5),
        (After(units=9), [(5, [2, 4])], None),
    ],
)
def test_the_countdown_is_over_at_the_very_byte(after, chunks, wanted):
    countdown, at, found = Countdown(after), 0, None
    for size, unit_ends in chunks:
        reached = countdown.reach(size, unit_ends)
        if reached is not None:
            assert found is None, "only once"
            found = at + reached
        at += size
    assert found == wanted
