"""A whole case, captured from the loopback interface: Wireshark finds no malformed packet in any protocol of ours."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.peer
PORTS = "tcp portrange 20000-32000"
"""Where the simulated systems take their free ports."""


@pytest.fixture
def captured(tmp_path: Path) -> Iterator[Path]:
    """Yield the file a capture of the hospital's ports goes to; it is complete when the fixture's capture has ended."""
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not installed (package tshark)")
    path = tmp_path / "run.pcapng"
    capture = subprocess.Popen(
        ["tshark", "-i", "lo", "-f", PORTS, "-w", str(path), "-a", "duration:100"],
        stderr=subprocess.PIPE,
        text=True,
    )
    said = []
    for line in capture.stderr:  # it says so when it listens, or why it may not
        said.append(line)
        if "Capturing on" in line:
            break
    else:
        pytest.skip(f"tshark may not capture here: {' '.join(said)[-200:]}")
    yield path
    capture.kill()
    capture.wait()


def dissected(path: Path, told: dict[str, dict[str, str]]) -> list[dict[str, list[str]]]:
    """Return what the dissector says of each packet, told which port speaks what."""
    speaks = []
    for actor in told.values():
        for door, address in actor["address"].items():
            if door in {"hl7", "dicom", "worklist"}:
                port = address.rpartition(":")[2]
                speaks += ["-d", f"tcp.port=={port},{'hl7' if door == 'hl7' else 'dicom'}"]
    fields = ["_ws.col.Protocol", "_ws.malformed", "_ws.expert.message", "_ws.col.Info"]
    command = [
        "tshark",
        "-r",
        str(path),
        *speaks,
        "-T",
        "json",
        *(word for name in fields for word in ("-e", name)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    return [packet["_source"]["layers"] for packet in json.loads(done.stdout)]


def test_a_captured_case_has_no_malformed_packet(captured: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command = [
        sys.executable,
        "-m",
        "stepwedge",
        "run",
        "--quiet",
        "--evidence",
        str(folder),
        "-k",
        "ct-order-to-report and routine",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stdout
    records = map(json.loads, (folder / "journal.jsonl").read_text().splitlines())
    told = next(one["lab"]["actors"] for one in records if "actors" in one.get("lab", {}))
    subprocess.run(["tshark", "-v"], capture_output=True, check=True)  # by now the last packets are written
    packets = dissected(captured, told)
    protocols = {protocol for packet in packets for protocol in packet.get("_ws.col.Protocol", [])}
    assert {"DICOM", "HL7"} <= protocols, protocols
    assert sum(packet.get("_ws.col.Protocol") == ["DICOM"] for packet in packets) >= 40
    assert sum(packet.get("_ws.col.Protocol") == ["HL7"] for packet in packets) >= 15
    assert not [packet for packet in packets if "_ws.malformed" in packet]
