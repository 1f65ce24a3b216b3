"""A lab whose simulated systems run each in a process of its own: judged as one hospital, with no engine needed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stepwedge.errors import BadInput, Broken
from stepwedge.lab import apart, labfile

ROOT = Path(__file__).parents[2]


def free(count):
    links = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [link.getsockname()[1] for link in links]
    for link in links:
        link.close()
    return ports


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Start the systems of the containers' plan as processes on loopback; return lab file and processes."""
    folder = tmp_path_factory.mktemp("apart")
    plan = (ROOT / "containers/hospital.json").read_text()
    told = json.loads(plan)["directory"]
    for name in told:
        plan = plan.replace(f"//{name}:", "//127.0.0.1:").replace(f"@{name}:", "@127.0.0.1:")
    doors = sorted({port for one in told.values() for port in _ports(one)})
    for old, new in zip(doors, free(len(doors)), strict=True):
        plan = plan.replace(f":{old}", f":{new}")
    (folder / "plan.json").write_text(plan)
    changed = json.loads(plan)
    actors = {
        name: {"simulated": part["role"], "admin": changed["directory"][name]["admin"]}
        for name, part in changed["actors"].items()
    }
    (folder / "lab.yaml").write_text(json.dumps({"lab": "apart", "actors": actors}))
    processes = {}
    for name in actors:
        options = [
            "--actors",
            folder / "plan.json",
            "--state",
            folder / name,
            "--alive",
            folder / f"{name}.alive",
        ]
        command = [sys.executable, "-m", "stepwedge", "sim", name, *map(str, options)]
        processes[name] = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    deadline = time.monotonic() + 60
    while not all((folder / f"{name}.alive").exists() for name in actors):
        assert time.monotonic() < deadline
        assert all(process.poll() is None for process in processes.values())
        time.sleep(0.05)
    yield folder / "lab.yaml", processes
    for process in processes.values():
        process.kill()
        process.wait()


def _ports(doors):
    return [int(text.rsplit(":", 1)[1].split("/")[0]) for text in doors.values() if "//" in text]


def run(lab, folder, *arguments):
    command = [sys.executable, "-m", "stepwedge", "run", "-q", "--lab", str(lab), "--evidence", str(folder)]
    done = subprocess.run(
        [*command, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    return done.returncode, done.stdout + done.stderr


def test_cases_pass_as_they_do_in_one_process_twice_with_one_seed(lab, tmp_path):
    """Twice: the second run finds systems that have forgotten the first."""
    cases = ("scenarios/routine", "scenarios/fhir/order-to-report.yaml", "--seed", "4711")
    for name in ("first", "second"):
        code, said = run(lab[0], tmp_path / name, *cases)
        assert code == 0, said
    images = list((tmp_path / "second").glob("*/*.dcm"))
    assert images
    assert all(path.read_bytes()[128:132] == b"DICM" for path in images)


def test_workers_share_the_systems(lab, tmp_path):
    code, said = run(lab[0], tmp_path / "run", "scenarios/cancel", "-n", "2")
    assert code == 0, said


def test_a_quirk_is_given_caught_and_taken_back(lab, tmp_path):
    code, said = run(
        lab[0], tmp_path / "run", "scenarios/cancel/after-worklist.yaml", "--quirk", "mwl.keep_cancelled"
    )
    assert code == 1, said
    assert json.loads((tmp_path / "run/state/quirks.json").read_text())["mwl.keep_cancelled"] > 0
    told = apart.join(labfile.load(lab[0]), 1, ())
    assert told["actors"]["ris"]["role"] == "ris"


def test_a_quirk_that_nobody_can_have_is_refused(lab):
    with pytest.raises(BadInput, match="a quirk of one of the running systems"):
        apart.join(labfile.load(lab[0]), 1, ["no.such"])


def test_another_system_than_the_lab_says_is_refused(lab, tmp_path):
    text = json.loads(lab[0].read_text())
    text["actors"]["ris"]["admin"] = text["actors"]["pacs"]["admin"]
    (tmp_path / "lab.yaml").write_text(json.dumps(text))
    with pytest.raises(BadInput, match="pacs \\(pacs\\)"):
        apart.look(labfile.load(tmp_path / "lab.yaml"))


def test_a_system_that_stopped_answering_is_neither_passed_nor_failed(lab, tmp_path):
    """Last in this file: one process is stopped as a paused container is; it still accepts connections."""
    process = lab[1]["pacs"]
    process.send_signal(signal.SIGSTOP)
    try:
        code, said = run(lab[0], tmp_path / "run", "scenarios/cancel/after-worklist.yaml")
    finally:
        process.send_signal(signal.SIGCONT)
    assert code == 3, said
    assert "pacs does not run" in said
    process.kill()
    process.wait()
    with pytest.raises(Broken, match="pacs does not run"):
        apart.look(labfile.load(lab[0]))
