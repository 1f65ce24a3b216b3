"""A caller, a tap and a system at its far end, in one loop; the far end says what the test tells it to."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from stepwedge.sim.tap.countdown import After
from stepwedge.sim.tap.fault import Wish
from stepwedge.sim.tap.faults import kinds
from stepwedge.sim.tap.tap import Edge, Tap


class Far:
    """A system at the far end of a tap: keeps what it hears, by connection, and answers by ``answer(bytes so far)``."""

    def __init__(self, answer):
        self.answer = answer
        self.heard = []
        self.ends = []
        self.writers = []

    async def serve(self, reader, writer):
        mine = len(self.heard)
        self.heard.append(bytearray())
        self.ends.append("")
        self.writers.append(writer)
        try:
            while data := await reader.read(1 << 16):
                self.heard[mine] += data
                if reply := self.answer(data):
                    writer.write(reply)
            self.ends[mine] = "closed"
        except (ConnectionResetError, asyncio.CancelledError):
            self.ends[mine] = "reset"
        finally:
            with contextlib.suppress(OSError):
                writer.close()


class Bench:
    """The tap under test."""

    def __init__(self, tap, far):
        self.tap, self.far = tap, far

    async def call(self):
        """Connect as a caller does."""
        return await asyncio.open_connection(self.tap.host, self.tap.port)

    async def begin(self, kind, *, side=None, after=None, times=0, seed=1, **args):
        """Let a fault act and return it."""
        fault = kinds()[kind](Wish(kind, side, after or After(), times, args, seed))
        await self.tap.begin(fault)
        return fault

    async def drain(self, reader):
        """Read until the connection is reset; return what came before."""
        got = b""
        try:
            while data := await reader.read(100):
                got += data
        except ConnectionResetError:
            return got
        pytest.fail(f"closed, not reset, after {got!r}")

    async def ask(self, data, size):
        """Say something on a connection of its own; return what comes back, up to so many bytes."""
        reader, writer = await self.call()
        writer.write(data)
        try:
            return await asyncio.wait_for(reader.readexactly(size), 5)
        finally:
            writer.close()


@pytest.fixture
def tapped():
    """Run a test's coroutine with a tap: ``tapped(body, door="hl7", answer=lambda data: ...)``."""

    def run(body, *, door="hl7", answer=lambda data: data):
        async def whole():
            far = Far(answer)
            server = await asyncio.start_server(far.serve, "127.0.0.1", 0)
            tap = Tap(Edge("ris", "pacs", door), server.sockets[0].getsockname()[:2])
            await tap.listen()
            try:
                await asyncio.wait_for(body(Bench(tap, far)), 20)
            finally:
                await tap.close()
                server.close()
            assert not tap.lines
            assert tap.fault is None

        asyncio.run(whole())

    return run


async def until(true, seconds=5.0):
    """Wait until something is so."""
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 - what a socket did tells nobody
            await asyncio.sleep(0.005)


@pytest.fixture(name="until")
def _until():
    return until
