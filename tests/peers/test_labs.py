"""Whole labs in which one system is not simulated, run from the command line as a person would."""

import json
import re
import shutil
import socket
import subprocess
import sys

import pytest

from stepwedge import kit

PORT = re.compile(r"\b1[12][0-9]{3}\b|\b18242\b")


@pytest.fixture
def lab(tmp_path):
    """Copy a shipped lab, with free ports instead of its fixed ones, so that two test runs may go on at once."""

    def copy(name):
        folder = tmp_path / "labs"
        shutil.copytree(kit.find("fixtures/labs"), folder)
        sockets, ports = [], {}
        for path in (folder / f"{name}.yaml", *(folder / name).iterdir()):
            text = path.read_text()
            for old in PORT.findall(text):
                if old not in ports:
                    sockets.append(socket.socket())
                    sockets[-1].bind(("127.0.0.1", 0))
                    ports[old] = str(sockets[-1].getsockname()[1])
            path.write_text(PORT.sub(lambda found: ports[found[0]], text))
        for one in sockets:
            one.close()
        return folder / f"{name}.yaml"

    return copy


def run(lab, folder):
    command = [
        sys.executable,
        "-m",
        "stepwedge",
        "run",
        str(kit.find("scenarios")),
        "--lab",
        str(lab),
        "--seed",
        "7",
    ]
    done = subprocess.run(
        [*command, "--evidence", str(folder)], cwd=kit.shipped(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((folder / "summary.json").read_text())


def verdicts(said):
    return {case["case"]: case["verdict"] for case in said["cases"]}


def reasons(said):
    skipped = {case["message"] for case in said["cases"] if case["verdict"] == "skipped"}
    return skipped | {left["reason"] for case in said["cases"] for left in case["left_out"]}


@pytest.mark.peer
@pytest.mark.timeout(400)
def test_a_real_pacs_passes_what_it_claims(lab, tmp_path):
    if shutil.which("Orthanc") is None:
        pytest.skip("Orthanc is not installed (Debian: orthanc, orthanc-dicomweb)")
    said = run(lab("orthanc"), tmp_path / "run")
    found = verdicts(said)
    assert found["ct-order-to-report[routine]"] == "passed"
    assert found["two-steps-one-order"] == "passed"
    assert found["merge-after-images[hl7-2-5-1]"] == "skipped"
    assert "not claimed: patient-merge" in reasons(said)
    assert said["lab"]["actors"]["pacs"]["simulated"] is False
    for transaction in ("RAD-8", "RAD-14", "RAD-16"):
        assert said["transactions"][transaction]["exercised"] > 0


@pytest.mark.timeout(400)
def test_a_ris_that_is_known_by_its_addresses_alone_passes(lab, tmp_path):
    said = run(lab("ris-apart"), tmp_path / "run")
    found = verdicts(said)
    assert found["ct-order-to-report[accented-name]"] == "passed"
    assert found["merge-after-images[hl7-2-3-1]"] == "passed"
    assert found["cancel-after-worklist[scan-anyway]"] == "passed"
    assert found["reschedule[another-day]"] == "skipped"
    assert any("ris is real here" in reason for reason in reasons(said))
    observers = set()
    for line in (tmp_path / "run/journal.jsonl").read_text().splitlines():
        record = json.loads(line)
        if record["record"] == "exchange":
            observers.add(record["exchange"]["actor"])
    assert "ris" not in observers, "what a real system sees is not ours to know"
    assert "probe" in observers


def forwarded(lab, folder):
    """Run the scenario of the two archives; return its exit code, its failed steps and what the archive was seen to do."""
    scenario = kit.find("scenarios/images/forwarded.yaml")
    command = [sys.executable, "-m", "stepwedge", "run", str(scenario), "--lab", str(lab), "--seed", "7"]
    done = subprocess.run(
        [*command, "--evidence", str(folder), "-q"],
        cwd=kit.shipped(),
        capture_output=True,
        text=True,
        check=False,
    )
    records = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    seen = [one["exchange"] for one in records if one["record"] == "exchange"]
    failed = [one["word"] for one in records if one["record"] == "step" and one["verdict"] == "failed"]
    return done.returncode, failed, [one for one in seen if one["actor"] == "pacs"], done.stdout


@pytest.fixture
def archives(lab):
    if shutil.which("Orthanc") is None:
        pytest.skip("Orthanc is not installed (Debian: orthanc)")
    return lab("two-archives")


@pytest.mark.peer
def test_a_tap_between_two_real_archives_shows_what_one_sent_the_other(archives, tmp_path):
    code, failed, seen, said = forwarded(archives, tmp_path / "run")
    assert (code, failed) == (0, []), said
    assert [(one["kind"], one["outcome"], one["peer"]) for one in seen] == [("C-STORE", "0000", "router")] * 3


@pytest.mark.peer
def test_an_archive_that_does_not_take_the_images_is_found_out(archives, tmp_path):
    hospital = archives.parent / "two-archives/hospital.json"
    hospital.write_text(
        hospital.read_text().replace('"DicomAlwaysAllowStore": true', '"DicomAlwaysAllowStore": false')
    )
    archives.write_text(archives.read_text() + "patience: {scale: 0.2}\n")
    code, failed, seen, said = forwarded(archives, tmp_path / "run")
    assert (code, failed) == (1, ["images.arrived"]), said
    assert {one["outcome"] for one in seen} == {"refused"}
