"""N12: exactly one byte is another."""

from __future__ import annotations

import asyncio

import pytest

from stepwedge.sim.tap.countdown import After


@pytest.mark.parametrize("at", [0, 1, 5, 9])
@pytest.mark.parametrize("cut", [0, 1, 5, 9, 10])
def test_the_byte_it_was_told(tapped, at, cut):
    said = b"0123456789"

    async def body(bench):
        fault = await bench.begin("corrupt", after=After(bytes=at), flips=0xFF)
        reader, writer = await bench.call()
        writer.write(said[:cut])
        await asyncio.sleep(0.01)
        writer.write(said[cut:])
        got = await reader.readexactly(10)
        assert [place for place in range(10) if got[place] != said[place]] == [at]
        assert got[at] == said[at] ^ 0xFF
        assert [(one.offset, one.bytes) for one in fault.acts] == [(at, 1)]
        writer.close()

    tapped(body, door="web")
