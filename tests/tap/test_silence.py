"""N5: no byte arrives anywhere, nobody is told."""

from __future__ import annotations

import asyncio

import pytest

from stepwedge.sim.tap.countdown import After


def test_nothing_arrives_and_nobody_is_told(tapped, until):
    async def body(bench):
        fault = await bench.begin("silence", after=After(bytes=2))
        reader, writer = await bench.call()
        writer.write(b"ab")
        await asyncio.sleep(0.02)
        writer.write(b"cdef")
        await until(lambda: fault.count > 0)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.05)
        assert bench.far.heard in ([b"ab"], [b""])
        assert bench.far.ends == [""]
        writer.close()  # not even that arrives
        await asyncio.sleep(0.05)
        assert bench.far.ends == [""]
        assert await bench.tap.lift() == ""
        await until(lambda: bench.far.ends == ["reset"])
        assert await bench.ask(b"x", 1) == b"x"

    tapped(body)


def test_it_never_acts_where_nobody_speaks(tapped):
    async def body(bench):
        fault = await bench.begin("silence")
        _, writer = await bench.call()
        await asyncio.sleep(0.02)
        assert fault.count == 0
        writer.close()

    tapped(body)
