"""N9 and N11: strangers come, stay, and leave."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest

from stepwedge.errors import BadInput


def test_a_flood_of_silent_connections(tapped, until):
    async def body(bench):
        fault = await bench.begin("flood", connections=20)
        assert fault.count == 20
        await until(lambda: len(bench.far.heard) == 20)
        assert await bench.ask(b"x", 1) == b"x"  # others are served
        assert await bench.tap.lift() == ""
        await until(lambda: bench.far.ends.count("closed") == 21)

    tapped(body)


@pytest.mark.parametrize(
    ("door", "begins"), [("hl7", b"\x0bMSH|^~\\&|"), ("dicom", b"\x01\0\0"), ("web", b"GET / HT")]
)
def test_half_a_sentence(tapped, until, door, begins):
    async def body(bench):
        fault = await bench.begin("slow-loris", connections=3)
        await until(lambda: bench.far.heard == [begins] * 3)
        assert fault.count == 3
        assert await bench.tap.lift() == ""
        await until(lambda: bench.far.ends == ["closed"] * 3)

    tapped(body, door=door, answer=lambda _: b"")


def test_nobody_there_to_be_flooded(tapped):
    async def body(bench):
        bench.tap.to = ("127.0.0.1", 1)
        fault = await bench.begin("flood", connections=2)
        assert fault.count == 0

    tapped(body)


def test_those_behind_a_full_backlog_wait_together(tapped):
    async def body(bench):
        with socket.create_server(("127.0.0.1", 0), backlog=1) as deaf, contextlib.ExitStack() as first:
            while True:  # Somebody else is there first: nobody has to be let in.
                stranger = first.enter_context(socket.socket())
                stranger.settimeout(0.2)
                try:
                    stranger.connect(deaf.getsockname())
                except TimeoutError:
                    break
            bench.tap.to, bench.tap.patience = deaf.getsockname(), 0.5
            async with asyncio.timeout(10):  # One after the other would take 30 s.
                fault = await bench.begin("flood", connections=60)
            assert fault.count == 0

    tapped(body)


def test_no_more_than_is_bounded(tapped):
    async def body(bench):
        with pytest.raises(BadInput, match="1 to 256"):
            await bench.begin("flood", connections=257)

    tapped(body)
