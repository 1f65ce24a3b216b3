"""What tests with other people's software share."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import subprocess
import urllib.error
import urllib.request

import pytest

from stepwedge.sim.address import Address, Entity
from stepwedge.sim.host import Host, Part, Plan
from stepwedge.wire import pki


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


@pytest.fixture(scope="session")
def papers(tmp_path_factory):
    """Return the folder of a PKI with an actor of each role, the probe, and everybody who must be refused."""
    folder = tmp_path_factory.mktemp("papers") / "pki"
    pki.make(
        folder,
        ["ehr", "ris", "pacs", "modality", "reader", "engine", "mpi", "router", "idp", "auditor", "probe"],
    )
    return folder


@pytest.fixture
def dial(program):
    """Let ``openssl s_client`` say one thing: ``await dial(port, *options, say=bytes, until=bytes)`` returns all it heard."""
    openssl = program("openssl")

    async def run(port, *options, say=b"", until=b"\0never\0"):
        command = [openssl, "s_client", "-connect", f"127.0.0.1:{port}", *map(str, options)]
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        heard = b""
        try:
            process.stdin.write(say)
            async with asyncio.timeout(20):
                while until not in heard and (more := await process.stdout.read(1 << 16)):
                    heard += more
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
            await process.wait()
        return heard

    return run


@pytest.fixture
def orthanc(tmp_path, program, free_port):
    """Start Orthanc; return its HTTP root and its DICOM address."""
    binary = program("Orthanc")
    web, dicom = free_port(), free_port()
    settings = {
        "StorageDirectory": str(tmp_path / "db"),
        "IndexDirectory": str(tmp_path / "db"),
        "HttpPort": web,
        "DicomPort": dicom,
        "DicomAet": "ORTHANC",
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAlwaysAllowStore": True,
        "Plugins": [],
    }
    (tmp_path / "orthanc.json").write_text(json.dumps(settings))
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([binary, str(tmp_path / "orthanc.json")], stdout=log, stderr=log)
    try:
        root = f"http://127.0.0.1:{web}"
        asyncio.run(answering(root, process))
        yield root, Address(dicom=Entity("ORTHANC", "127.0.0.1", dicom))
    finally:
        process.terminate()
        process.wait(20)


async def answering(root, process):
    """Wait until Orthanc serves."""
    async with asyncio.timeout(30):
        while process.poll() is None:
            try:
                await asyncio.to_thread(urllib.request.urlopen, f"{root}/system", timeout=20)
            except (urllib.error.URLError, ConnectionError):
                await asyncio.sleep(0.05)
            else:
                return
    raise AssertionError("Orthanc ended")
