"""Archives that claim an audit trail: who leaves something out of it, or tells something else, never passes (INV-10.1)."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from audited_pacs import AuditedPacs

if TYPE_CHECKING:
    from pathlib import Path

LAB = """
lab: liar
sut: {{name: an audited archive, version: "0", claims: [storage, c-find, c-move, atna]}}
actors:
  ehr: simulated
  ris: simulated
  pacs: {{real: {{dicom: "dicom://TINYPACS@127.0.0.1:{pacs}"}}}}
  ct: {{simulated: modality, ae_title: SW_CT1}}
  reader: {{simulated: reader, ae_title: SW_READER, port: {reader}}}
  auditor: {{simulated: auditor, syslog_port: {repository}}}
"""


def free_ports(count: int) -> list[int]:
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(one.getsockname()[1]) for one in listeners]
    for one in listeners:
        one.close()
    return ports


def verdict(folder: Path, trail: str) -> dict[str, object]:
    """Run one exam against the archive and return its case of the summary."""
    reader, repository = free_ports(2)
    pacs = AuditedPacs(trail, repository, {"SW_READER": ("127.0.0.1", reader)})
    try:
        file = folder / "lab.yaml"
        file.write_text(LAB.format(pacs=pacs.start(), reader=reader, repository=repository))
        command = [sys.executable, "-m", "stepwedge", "run", "--quiet", "--lab", str(file), "--seed", "7"]
        command += [
            "--patience",
            "0.5x",
            "--evidence",
            str(folder / "run"),
            "-k",
            "ct-order-to-report and accented",
        ]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=110, check=False, env={**os.environ}
        )
    finally:
        pacs.stop()
    (case,) = json.loads((folder / "run" / "summary.json").read_text())["cases"]
    assert done.returncode == (0 if case["verdict"] == "passed" else 1), done.stdout + done.stderr
    return dict(case)


@pytest.mark.parametrize("trail", ["honest", "summarises"])
def test_an_archive_that_tells_everything_passes(tmp_path: Path, trail: str) -> None:
    case = verdict(tmp_path, trail)
    assert case["verdict"] == "passed", case


@pytest.mark.parametrize(
    "trail", ["tells-nothing", "tells-queries-alone", "tells-of-another-patient", "tells-failures"]
)
def test_an_archive_that_tells_something_else_fails_by_the_rule(tmp_path: Path, trail: str) -> None:
    case = verdict(tmp_path, trail)
    assert case["verdict"] == "failed"
    assert "INV-10.1" in json.dumps(case), case
