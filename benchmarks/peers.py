"""Servers that others wrote, each in a process, on a port and in a folder of its own, ended by its process.

Both leave Nagle's algorithm on as packaged, which costs every short answer some 40 ms, so the comparison is made with it
off: DCMTK by its environment variable ``TCP_NODELAY=1``, Orthanc by its option ``TcpNoDelay``.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PLUGINS = "/usr/share/orthanc/plugins"


def dcmtk(name: str) -> str:
    """Return where a tool of DCMTK is; pynetdicom installs scripts of the same names."""
    for folder in os.environ["PATH"].split(os.pathsep):
        path = Path(folder) / name
        if path.is_file() and path.open("rb").read(2) != b"#!":
            return str(path)
    raise SystemExit(f"{name} of DCMTK is not installed")


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@contextlib.contextmanager
def started(
    command: list[str], port: int, folder: Path, *, nagle: bool = False
) -> Iterator[subprocess.Popen]:
    """Run a server until the block ends; its output goes into a file of the folder."""
    environment = {**os.environ, "TCP_NODELAY": "1"}
    if nagle:
        del environment["TCP_NODELAY"]
    with (folder / "output.log").open("w") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
        )
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(
                        f"{command[0]} does not listen: {(folder / 'output.log').read_text()}"
                    ) from None
                time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def orthanc(folder: Path, **options: object) -> Iterator[tuple[int, subprocess.Popen]]:
    """Run Orthanc as ``PEER`` with what it stores below ``folder``; give its DICOM port and process."""
    port = free_port()
    configuration = {
        "Name": "benchmark",
        "StorageDirectory": str(folder / "storage"),
        "DicomAet": "PEER",
        "DicomPort": port,
        "HttpPort": free_port(),
        "RemoteAccessAllowed": False,
        "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowFindWorklist": True,
        "DicomAlwaysAllowStore": True,
        "DicomModalities": {"probe": ["SW_CT1", "127.0.0.1", 1]},
        "TcpNoDelay": True,
        **options,
    }
    (folder / "orthanc.json").write_text(json.dumps(configuration))
    with started(["Orthanc", str(folder / "orthanc.json")], port, folder) as process:
        yield port, process


def cpu_seconds(process: int) -> float:
    """Return the CPU time a process has used, all threads together (Linux)."""
    with open(f"/proc/{process}/stat") as file:  # noqa: PTH123 - no file on a disk
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
