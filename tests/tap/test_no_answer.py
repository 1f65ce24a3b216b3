"""N4 and H3: the request is there, its answer is not."""

from __future__ import annotations

import asyncio

import pytest

from stepwedge.sim.tap.countdown import After
from stepwedge.wire.mllp import frame

ONE, TWO, THREE = (frame(word) for word in (b"one", b"two", b"three"))


def test_one_answer_is_lost_and_the_connection_goes_on(tapped, until):
    async def body(bench):
        fault = await bench.begin("no-answer", times=1, after=After(units=1))
        reader, writer = await bench.call()
        for one in (ONE, TWO, THREE):
            writer.write(one)
            await until(lambda: bench.far.heard and bench.far.heard[0].endswith(one))  # noqa: B023 - waited for at once
        assert await reader.readexactly(len(ONE + THREE)) == ONE + THREE
        assert bench.far.heard == [ONE + TWO + THREE]
        assert [(one.offset, one.bytes) for one in fault.acts] == [(len(ONE), len(TWO))]
        assert await bench.tap.lift() == ""
        writer.write(ONE)
        assert await reader.readexactly(len(ONE)) == ONE  # the stream has no hole
        writer.close()

    tapped(body)


@pytest.mark.parametrize("cut", range(len(ONE + TWO) + 1))
def test_however_the_answers_are_cut(tapped, cut):
    stream = ONE + TWO

    async def body(bench):
        await bench.begin("no-answer", times=1)
        reader, writer = await bench.call()
        writer.write(stream[:cut] or b"-")
        await asyncio.sleep(0.01)
        writer.write(stream[cut:])
        writer.write_eof()
        assert (await reader.read()) == TWO
        writer.close()

    tapped(body, answer=lambda data: data.replace(b"-", b""))


@pytest.mark.parametrize(("then", "ends"), [("close", "closed"), ("reset", "reset")])
def test_the_connection_ends_with_the_answer(tapped, until, then, ends):
    async def body(bench):
        fault = await bench.begin("no-answer", then=then)
        reader, writer = await bench.call()
        writer.write(ONE)
        if then == "close":
            assert await reader.read() == b""
        else:
            with pytest.raises(ConnectionResetError):
                await reader.read()
        await until(lambda: bench.far.ends == [ends])
        assert bench.far.heard == [ONE]
        assert fault.count == 1
        writer.close()

    tapped(body)


def test_lifting_it_resets_what_lacks_something_and_nothing_else(tapped, until):
    async def body(bench):
        await bench.begin("no-answer")
        cut, whole = await bench.call(), await bench.call()
        cut[1].write(ONE[:-1])
        whole[1].write(ONE)
        await until(lambda: sorted(bench.far.heard) == sorted([ONE[:-1], ONE]))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(whole[0].read(1), 0.05)
        assert await bench.tap.lift() == ""
        with pytest.raises(ConnectionResetError):
            await cut[0].read(1)
        whole[1].write(TWO)
        assert await whole[0].readexactly(len(TWO)) == TWO
        whole[1].close()

    tapped(body)


def test_two_answers_and_no_more(tapped):
    async def body(bench):
        fault = await bench.begin("no-answer", times=2)
        reader, writer = await bench.call()
        for one in (ONE, TWO, THREE):
            writer.write(one)
            await asyncio.sleep(0.01)
        assert await reader.readexactly(len(THREE)) == THREE
        assert fault.count == 2
        writer.close()

    tapped(body)
