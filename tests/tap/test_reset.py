"""N3: nothing passes from the byte on at which the reset is due, in either direction."""

from __future__ import annotations

import pytest

from stepwedge.sim.tap.countdown import After, Countdown
from stepwedge.sim.tap.units import Frames
from stepwedge.wire import pdu
from stepwedge.wire.mllp import frame

PDUS = pdu.RELEASE_RQ + pdu.RELEASE_RP + pdu.abort(0, 0)
ONE, TWO = frame(b"one"), frame(b"two two")


@pytest.mark.parametrize(
    ("door", "stream", "after", "passes"),
    [
        ("dicom", PDUS, After(), b""),
        ("dicom", PDUS, After(bytes=1), PDUS[:1]),
        ("dicom", PDUS, After(units=1), PDUS[:10]),
        ("dicom", PDUS, After(units=1, bytes=3), PDUS[:13]),
        ("dicom", PDUS, After(units=2, bytes=9), PDUS[:29]),
        ("hl7", ONE + TWO, After(units=1), ONE),
        ("hl7", ONE + TWO, After(units=1, bytes=len(TWO) - 1), (ONE + TWO)[:-1]),
        ("web", b"GET / HTTP/1.1", After(bytes=4), b"GET "),
        ("dicom", PDUS, After(units=1, bytes=-1), PDUS[:19]),
        ("hl7", ONE + TWO, After(bytes=-1), ONE[:-1]),
        ("hl7", ONE + TWO, After(units=1, bytes=-1), (ONE + TWO)[:-1]),
        ("hl7", ONE + TWO, After(connection=1), b""),
    ],
)
@pytest.mark.parametrize("side", ["request", "answer"])
def test_the_cut_is_at_the_byte(tapped, until, door, stream, after, passes, side):
    async def body(bench):
        fault = await bench.begin("reset", side=side, after=after)
        reader, writer = await bench.call()
        writer.write(stream)
        got = await bench.drain(reader)
        await until(lambda: bench.far.ends and bench.far.ends[0])
        heard = bench.far.heard[0]
        assert (heard if side == "request" else got) == passes
        assert bench.far.ends == ["reset"]
        assert fault.count == 1
        assert fault.acts[0].offset == len(passes)
        assert fault.acts[0].bytes == len(stream) - len(passes)
        assert await bench.tap.lift() == ""
        assert await bench.ask(stream, len(stream)) == stream

    tapped(body, door=door)


def test_the_last_byte_is_found_however_the_stream_is_cut():
    for size in range(1, len(ONE) + 1):
        countdown, units, passed = Countdown(After(1, -1)), Frames(), b""
        stream = ONE + TWO
        for begin in range(0, len(stream), size):
            data = stream[begin : begin + size]
            if (at := countdown.reach(len(data), units.ends(data))) is not None:
                passed += data[:at]
                break
            passed += data
        assert passed == stream[:-1]


def test_only_one_of_several_connections(tapped, until):
    async def body(bench):
        fault = await bench.begin("reset", after=After(bytes=1, connection=2), times=1)
        silent, _ = await bench.call()  # says nothing, so it does not count
        del silent
        for number in (1, 2, 3):
            reader, writer = await bench.call()
            writer.write(ONE)
            await until(lambda n=number: len(fault.told()["seen"]) == n)
            if number == 2:
                await bench.drain(reader)
        assert fault.count == 1
        assert fault.told()["seen"][0]["request"] == [len(ONE), len(ONE)]

    tapped(body, door="hl7")


def test_as_often_as_it_may(tapped):
    async def body(bench):
        fault = await bench.begin("reset", times=1)
        with pytest.raises((ConnectionResetError, EOFError)):
            await bench.ask(b"x", 1)
        assert await bench.ask(b"y", 1) == b"y"
        assert fault.count == 1

    tapped(body)


def test_what_never_comes_so_far_is_not_acted_upon(tapped):
    async def body(bench):
        fault = await bench.begin("reset", after=After(bytes=100))
        assert await bench.ask(b"x", 1) == b"x"
        assert (fault.count, fault.acts) == (0, [])

    tapped(body)
