"""N10: nobody listens, and afterwards somebody does."""

from __future__ import annotations

import pytest


def test_refused_and_back_at_the_same_port(tapped):
    async def body(bench):
        reader, writer = await bench.call()
        writer.write(b"x")
        await reader.readexactly(1)
        port = bench.tap.port
        fault = await bench.begin("refused")
        assert [one.what for one in fault.acts] == ["connection reset", "port refused"]
        assert await bench.drain(reader) == b""
        with pytest.raises(ConnectionRefusedError):
            await bench.call()
        assert await bench.tap.lift() == ""
        assert bench.tap.port == port
        assert await bench.ask(b"x", 1) == b"x"

    tapped(body)


def test_a_port_that_stays_closed_is_told(tapped, monkeypatch):
    async def body(bench):
        await bench.begin("refused")

        async def nothing(_port=0):
            """Forget to listen."""

        monkeypatch.setattr(bench.tap, "listen", nothing)
        assert await bench.tap.lift() == f"nobody listens at port {bench.tap.port}"

    tapped(body)
