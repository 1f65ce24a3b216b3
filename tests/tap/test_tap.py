"""A tap without a fault: every byte as it came, both ways, however the connection ends."""

from __future__ import annotations

import asyncio

import pytest

from stepwedge.errors import Broken
from stepwedge.sim.tap.line import Line


def test_every_byte_passes_both_ways(tapped):
    said = bytes(range(256)) * 12_000

    async def body(bench):
        assert await bench.ask(said, len(said)) == said
        assert bench.far.heard == [said]

    tapped(body)


def test_who_reads_slowly_slows_down_who_writes_and_memory_stays_bounded(tapped, until):
    async def body(bench):
        _, writer = await bench.call()
        await until(lambda: bench.far.writers)
        bench.far.writers[0].transport.pause_reading()
        writer.write(bytes(40_000_000))
        await asyncio.sleep(0.2)
        line = next(iter(bench.tap.lines.values()))
        held = line.arrived_bytes["request"]
        await asyncio.sleep(0.1)
        assert line.arrived_bytes["request"] == held < 20_000_000
        bench.far.writers[0].transport.resume_reading()
        await until(lambda: len(bench.far.heard[0]) == 40_000_000, 15)
        writer.close()

    tapped(body, answer=lambda _: b"")


def test_who_closes_first_still_hears_the_answer(tapped):
    async def body(bench):
        reader, writer = await bench.call()
        writer.write(b"last words")
        writer.write_eof()
        assert await reader.read() == b"last words"
        writer.close()

    tapped(body)


def test_a_reset_is_handed_on_as_a_reset(tapped, until):
    async def body(bench):
        reader, writer = await bench.call()
        writer.write(b"x")
        await reader.readexactly(1)
        bench.far.writers[0].transport.get_extra_info("socket").setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")
        bench.far.writers[0].transport.abort()
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(1)
        await until(lambda: not bench.tap.lines)

    tapped(body)


def test_a_far_end_that_is_down_resets_the_caller(tapped):
    async def body(bench):
        bench.tap.to = ("127.0.0.1", 1)
        reader, _ = await bench.call()
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(1)

    tapped(body)


def test_connections_beyond_the_most_are_reset(tapped, monkeypatch):
    monkeypatch.setattr("stepwedge.sim.tap.tap.MOST_LINES", 2)

    async def body(bench):
        kept = [await bench.call() for _ in range(2)]
        for reader, writer in kept:
            writer.write(b"x")
            await reader.readexactly(1)
        reader, _ = await bench.call()
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(1)
        kept[0][1].close()
        kept[1][1].close()

    tapped(body)


def test_one_fault_at_a_time(tapped):
    async def body(bench):
        await bench.begin("reset")
        with pytest.raises(Broken, match="one fault at a time"):
            await bench.begin("reset")
        assert await bench.tap.lift() == ""
        assert await bench.tap.lift() == ""
        assert await bench.ask(b"x", 1) == b"x"

    tapped(body)


def test_what_is_said_before_the_other_end_stands_is_not_lost(tapped, monkeypatch):
    straight = Line.connect

    async def late(self, host, port):
        await asyncio.sleep(0.2)
        await straight(self, host, port)

    monkeypatch.setattr(Line, "connect", late)

    async def body(bench):
        assert await bench.ask(b"\x0bone\x1c\r", 6) == b"\x0bone\x1c\r"

    tapped(body)
