"""The hospital in containers is judged as the one in a process, is shut in, and goes without leaving anything."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from stepwedge.lab import containers

from .conftest import ROOT, command

pytestmark = pytest.mark.docker


def verdicts(folder, *arguments):
    done = command("run", "--quiet", "--evidence", folder, "--seed", "4171", *arguments)
    told = json.loads((folder / "summary.json").read_text())
    return done.returncode, {one["case"]: one["verdict"] for one in told["cases"]}


def test_the_same_scenarios_come_out_the_same(hospital, tmp_path):
    code, inside = verdicts(tmp_path / "inside", "--smoke", "--lab", containers.LAB)
    again, embedded = verdicts(tmp_path / "embedded", "--smoke")
    assert code == again == 0
    assert inside == embedded
    assert len([verdict for verdict in inside.values() if verdict == "passed"]) > 5


def test_large_evidence_comes_along(hospital, tmp_path):
    """Images lie on the container's own disk; the run folder has them all the same."""
    code, _ = verdicts(tmp_path / "run", "--lab", containers.LAB, "scenarios/routine", "-k", "routine")
    assert code == 0
    assert command("report", tmp_path / "run", "--verify").returncode == 0
    images = list((tmp_path / "run").glob("*/*.dcm"))
    assert images
    assert all(path.read_bytes()[128:132] == b"DICM" for path in images)


def test_a_known_defect_is_caught_and_taken_back(hospital, tmp_path):
    scenario = "scenarios/cancel/after-worklist.yaml"
    code, wrong = verdicts(
        tmp_path / "wrong", "--lab", containers.LAB, scenario, "--quirk", "mwl.keep_cancelled"
    )
    assert code == 1
    assert "failed" in wrong.values()
    code, right = verdicts(tmp_path / "right", "--lab", containers.LAB, scenario)
    assert code == 0
    assert "failed" not in right.values()


@pytest.mark.parametrize("name", ["ehr", "ris", "pacs", "ct", "reader"])
def test_each_system_is_shut_in(hospital, name):
    container = hospital[name]
    told = container.attrs["HostConfig"]
    assert told["ReadonlyRootfs"]
    assert told["CapDrop"] == ["ALL"]
    assert told["Init"]
    assert any(one.startswith("no-new-privileges") for one in told["SecurityOpt"])
    assert 0 < told["Memory"] <= 1 << 30
    assert 0 < told["PidsLimit"] <= 256
    published = [place for places in told["PortBindings"].values() for place in places]
    assert published
    assert {place["HostIp"] for place in published} == {"127.0.0.1"}
    assert int(container.exec_run(["id", "-u"]).output) > 0
    code, said = container.exec_run(["touch", "/opt/stepwedge/anything"])
    assert code != 0
    assert b"Read-only" in said


def test_down_removes_what_a_killed_up_left_and_nothing_else(hospital, engine):
    """Last in this file: it ends the hospital and starts it again."""
    stranger = engine.containers.run(
        os.environ.get("STEPWEDGE_IMAGE", "stepwedge:0.1.0"),
        entrypoint=["sleep", "300"],
        detach=True,
        labels={"com.docker.compose.project": "somebody-else"},
    )
    try:
        assert "5 containers" in command("down").stdout
        starting = subprocess.Popen(
            [sys.executable, "-m", "stepwedge", "up", "--containers"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + 30
        while not engine.containers.list(all=True, ignore_removed=True, filters={"label": containers.LABEL}):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.killpg(starting.pid, signal.SIGKILL)
        starting.wait()
        assert "containers" in command("down").stdout
        for found in (engine.containers, engine.networks, engine.volumes):
            more = {"all": True, "ignore_removed": True} if found is engine.containers else {}
            assert not found.list(filters={"label": containers.LABEL}, **more)
        stranger.reload()
        assert stranger.status == "running"
        assert "no hospital runs" in command("down").stdout
    finally:
        stranger.remove(force=True)
        assert command("up", "--containers").returncode == 0
