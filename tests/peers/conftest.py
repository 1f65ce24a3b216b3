"""What tests with other people's software share."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest

from stepwedge.sim.host import Host, Part, Plan


@pytest.fixture
def call():
    """Run a program beside the loop and return its exit code and everything it said."""

    async def run(*command):
        process = await asyncio.create_subprocess_exec(
            *map(str, command), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        try:
            said, _ = await asyncio.wait_for(process.communicate(), 60)
        finally:
            if process.returncode is None:
                process.kill()
        return process.returncode, said.decode(errors="replace")

    return run


@pytest.fixture
def archive(tmp_path):
    """Start our archive alone: ``async with archive(**settings) as (host, dicom address, web root)``."""

    @contextlib.asynccontextmanager
    async def start(**settings):
        host = Host(Plan({"pacs": Part("pacs", settings)}), tmp_path / "state", 7)
        await host.start()
        try:
            yield host, host.directory["pacs"].dicom, host.directory["pacs"].web
        finally:
            await host.stop()

    return start


@pytest.fixture
def free_port():
    """Return a port that was free a moment ago, for programs that cannot be given port 0."""

    def find():
        with socket.create_server(("127.0.0.1", 0)) as listener:
            return listener.getsockname()[1]

    return find
