"""N1, N2, N6, N7, N8: late, slow, cut off, in pieces or at once: the same bytes in the end, in the same order."""

from __future__ import annotations

import asyncio
import time

import pytest

from stepwedge.sim.tap.fault import Wish
from stepwedge.sim.tap.faults import kinds

SAID = bytes(range(256)) * 8


async def clock(bench, said=SAID):
    began = time.monotonic()
    got = await bench.ask(said, len(said))
    return got, time.monotonic() - began


@pytest.mark.parametrize(("side", "least"), [(None, 0.2), ("request", 0.1), ("answer", 0.1)])
def test_latency_on_a_side_or_both(tapped, side, least):
    async def body(bench):
        fault = await bench.begin("latency", side=side, delay=0.1)
        got, took = await clock(bench)
        assert got == SAID
        assert least <= took < least + 0.09
        assert {one.side for one in fault.acts} == ({side} if side else {"request", "answer"})
        assert await bench.tap.lift() == ""
        assert (await clock(bench))[1] < 0.08

    tapped(body)


def test_jitter_keeps_the_order_and_is_repeatable(tapped):
    async def body(bench):
        await bench.begin("latency", side="request", delay=0.0, jitter=0.05, seed=3)
        reader, writer = await bench.call()
        for number in range(20):
            writer.write(bytes([number]))
            await asyncio.sleep(0.002)
        assert await reader.readexactly(20) == bytes(range(20))
        writer.close()

    tapped(body)
    first, again = (kinds()["latency"](Wish("latency", seed=3)).random.random() for _ in range(2))
    assert first == again


def test_bandwidth(tapped):
    async def body(bench):
        fault = await bench.begin("bandwidth", side="request", rate=10_000)
        got, took = await clock(bench)
        assert got == SAID
        assert 0.15 < took < 0.5
        assert fault.count

    tapped(body)


def test_slices_of_one_byte(tapped):
    sizes = []

    def note(data):
        sizes.append(len(data))
        return data

    async def body(bench):
        fault = await bench.begin("slices", side="request", first=50, pause=0.002)
        got, _ = await clock(bench)
        assert got == SAID
        assert fault.count == 50
        assert [one.bytes for one in fault.acts] == [1] * 50
        assert sizes.count(1) > 25  # the far end read most of them one by one

    tapped(body, answer=note)


def test_merged(tapped):
    sizes = []

    def note(data):
        sizes.append(len(data))
        return data

    async def body(bench):
        fault = await bench.begin("merged", side="request", wait=0.1)
        reader, writer = await bench.call()
        for _ in range(4):
            writer.write(b"ab")
            await asyncio.sleep(0.01)
        assert await reader.readexactly(8) == b"ab" * 4
        assert sizes == [8]
        assert fault.count == 3
        writer.close()

    tapped(body, answer=note)


def test_one_read_alone_is_not_merged(tapped):
    async def body(bench):
        fault = await bench.begin("merged", side="request", wait=0.01)
        assert await bench.ask(b"x", 1) == b"x"
        assert fault.count == 0

    tapped(body)


@pytest.mark.parametrize("side", [None, "request", "answer"])
def test_a_partition_heals_and_all_arrives_once_in_order(tapped, side):
    async def body(bench):
        reader, writer = await bench.call()
        writer.write(b"1")
        assert await reader.readexactly(1) == b"1"
        fault = await bench.begin("partition", side=side)
        writer.write(b"2")
        await asyncio.sleep(0.01)
        writer.write(b"3")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.05)
        assert bench.far.heard == [b"123" if side == "answer" else b"1"]
        assert fault.count == 2 or side == "answer"
        assert await bench.tap.lift() == ""
        assert await reader.readexactly(2) == b"23"
        assert bench.far.heard == [b"123"]
        writer.close()

    tapped(body)


def test_who_connects_during_a_partition_is_led_on_when_it_heals(tapped):
    async def body(bench):
        fault = await bench.begin("partition")
        reader, writer = await bench.call()
        writer.write(b"x")
        await asyncio.sleep(0.05)
        assert bench.far.heard == []
        assert fault.acts[0].what == "connection kept waiting"
        assert await bench.tap.lift() == ""
        assert await reader.readexactly(1) == b"x"
        writer.close()

    tapped(body)


def test_what_is_kept_back_is_bounded(tapped, until):
    async def body(bench):
        await bench.begin("partition")
        reader, writer = await bench.call()
        await asyncio.sleep(0.02)
        writer.write(bytes(30_000_000))
        await asyncio.sleep(0.2)
        line = next(iter(bench.tap.lines.values()))
        assert line.arrived_bytes["request"] < 2_000_000
        assert await bench.tap.lift() == ""
        await asyncio.wait_for(reader.readexactly(30_000_000), 15)
        writer.close()

    tapped(body)


def test_a_connection_is_closed_late(tapped, until):
    async def body(bench):
        fault = await bench.begin("slow-close", side="request", delay=0.2)
        reader, writer = await bench.call()
        writer.write(b"x")
        await reader.readexactly(1)
        writer.close()
        await asyncio.sleep(0.1)
        assert bench.far.ends == [""]
        await until(lambda: bench.far.ends == ["closed"])
        assert fault.count == 1

    tapped(body)


def test_lifting_it_closes_at_once(tapped, until):
    async def body(bench):
        await bench.begin("slow-close", delay=60)
        _, writer = await bench.call()
        await asyncio.sleep(0.02)
        writer.close()
        await asyncio.sleep(0.02)
        assert await bench.tap.lift() == ""
        await until(lambda: bench.far.ends == ["closed"] and not bench.tap.lines)

    tapped(body)
