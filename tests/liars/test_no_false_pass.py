"""Systems that lie, and the verdict each must get. The honest one passes, so the others do not pass for a reason.

A lie about images must never end as passed wherever images are judged; a lie about orders must never end as passed at all.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from mute import closed_port, silent_port, yes_sayer
from tiny_pacs import TinyPacs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PACS_LAB = """
lab: liar
sut: {{name: a liar, version: "0", claims: [storage, c-find, c-move, c-get]}}
actors:
  ehr: simulated
  ris: {{simulated: ris, hl7_timeout: 1}}
  pacs: {{real: {{dicom: "dicom://TINYPACS@127.0.0.1:{port}"}}}}
  ct: {{simulated: modality, ae_title: SW_CT1, dimse_timeout: 1}}
  reader: {{simulated: reader, ae_title: SW_READER, port: {reader}, dimse_timeout: 1}}
"""

RIS_LAB = """
lab: liar
sut: {{name: a liar, version: "0", claims: [orders, order-status, procedure-scheduled, mwl, mpps, patient-merge, reports, addenda]}}
actors:
  ehr: {{simulated: ehr, hl7_timeout: 0.5, within: 1}}
  ris: {{real: {{hl7: "mllp://127.0.0.1:{hl7}", worklist: "dicom://LIAR@127.0.0.1:{worklist}"}}}}
  pacs: simulated
  ct: {{simulated: modality, ae_title: SW_CT1, dimse_timeout: 1}}
  reader: simulated
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


IMAGES = ("ct-order-to-report", "two-steps-one-order", "duplicate-instance", "addendum")
ORDERS = (*IMAGES, "after-worklist", "reschedule", "merge-after-images")


def run(folder: Path, lab: str, only: tuple[str, ...] = ORDERS) -> dict[str, dict[str, Any]]:
    """Run shipped scenarios against a lab with short patience; return the cases of the summary by id."""
    file = folder / "liar.yaml"
    file.write_text(lab)
    command = [sys.executable, "-m", "stepwedge", "run", "--quiet", "--lab", str(file), "--seed", "7"]
    command += ["--patience", "0.2x", "--evidence", str(folder / "run"), "-k", " or ".join(only)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=110, check=False, env={**os.environ}
    )
    summary = json.loads((folder / "run" / "summary.json").read_text())
    cases = {case["case"]: case for case in summary["cases"]}
    assert cases, done.stdout + done.stderr
    worst = {case["verdict"] for case in cases.values()}
    assert done.returncode == (1 if "failed" in worst else 3 if worst & {"broken", "inconclusive"} else 0), (
        done.stdout
    )
    return cases


def judged(cases: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the cases in which the archive is asked for images."""
    found = {name: case for name, case in cases.items() if name.startswith(IMAGES)}
    assert len(found) == 7, sorted(cases)
    return found


@contextlib.contextmanager
def tiny(lie: str) -> Iterator[str]:
    reader = free_port()
    pacs = TinyPacs(lie, {"SW_READER": ("127.0.0.1", reader)})
    port = pacs.start()
    try:
        yield PACS_LAB.format(port=port, reader=reader)
    finally:
        pacs.stop()


def test_the_honest_archive_passes(tmp_path: Path) -> None:
    with tiny("honest") as lab:
        cases = judged(run(tmp_path, lab, IMAGES))
    assert {name: case["verdict"] for name, case in cases.items()} == dict.fromkeys(cases, "passed")


@pytest.mark.parametrize(
    ("lie", "verdicts", "said"),
    [
        ("acks-and-drops", {"failed"}, "stud"),
        ("stores-twice", {"failed"}, "NumberOfStudyRelatedInstances"),
        ("alters-one-pixel", {"failed"}, "pixel"),
        ("alters-a-pixel-once", {"failed"}, "pixel"),
        ("answers-empty", {"failed"}, "study"),
        ("loses-the-last-response", {"failed"}, "aborted by the peer"),
    ],
)
def test_a_lying_archive_never_passes(tmp_path: Path, lie: str, verdicts: set[str], said: str) -> None:
    with tiny(lie) as lab:
        cases = judged(run(tmp_path, lab, IMAGES))
    assert {case["verdict"] for case in cases.values()} <= verdicts, {
        n: c["verdict"] for n, c in cases.items()
    }
    for name, case in cases.items():
        assert said in json.dumps(case), (name, case)


@pytest.mark.parametrize("mute", [closed_port, silent_port])
def test_an_archive_that_is_not_there_is_inconclusive(tmp_path: Path, mute: Any) -> None:
    with mute() as port:
        cases = judged(run(tmp_path, PACS_LAB.format(port=port, reader=free_port()), IMAGES))
    assert {case["verdict"] for case in cases.values()} == {"inconclusive", "broken"}
    assert {case["verdict"] for name, case in cases.items() if "ct-order" in name} == {"inconclusive"}


@pytest.mark.parametrize("mute", [closed_port, silent_port])
def test_a_ris_that_is_not_there_is_inconclusive(tmp_path: Path, mute: Any) -> None:
    with mute() as port:
        cases = run(tmp_path, RIS_LAB.format(hl7=port, worklist=port))
    assert not {case["verdict"] for case in cases.values()} & {"passed", "failed"}
    assert {case["verdict"] for case in cases.values()} == {"inconclusive", "broken", "skipped"}
    assert (
        sum(case["verdict"] == "skipped" for case in cases.values()) == 2
    )  # reschedule: only the real RIS can


def test_a_ris_that_says_yes_and_does_nothing_fails(tmp_path: Path) -> None:
    with yes_sayer() as port, closed_port() as closed:
        cases = run(tmp_path, RIS_LAB.format(hl7=port, worklist=closed))
    assert "passed" not in {case["verdict"] for case in cases.values()}
    routine = cases["ct-order-to-report[routine]"]
    assert routine["verdict"] in {"failed", "inconclusive"}


def test_a_ris_that_acknowledges_somebody_elses_message_fails(tmp_path: Path) -> None:
    with yes_sayer(wrong_control=True) as port, closed_port() as closed:
        cases = run(tmp_path, RIS_LAB.format(hl7=port, worklist=closed))
    assert "passed" not in {case["verdict"] for case in cases.values()}
    assert "MSA-2" in json.dumps(cases["ct-order-to-report[routine]"])
