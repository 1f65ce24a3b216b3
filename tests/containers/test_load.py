"""A load driven from containers: two workers, and one of them killed in its midst."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from stepwedge.load import boxed

from .conftest import ROOT

pytestmark = pytest.mark.docker

LOAD = [sys.executable, "-m", "stepwedge", "load", "minute", "--containers", "--seconds", "12"]


def start(hospital) -> subprocess.Popen[str]:
    hospital.wait()
    return subprocess.Popen(LOAD, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def workers(hospital):
    label = f"com.docker.compose.service={boxed.SERVICES[1]}"
    return hospital.client.containers.list(filters={"label": label})


def test_two_workers_share_a_load(hospital):
    """Met, or untold where this machine has no time for the generator; never missed."""
    with start(hospital) as running:
        said, _ = running.communicate(timeout=280)
    assert running.returncode in {0, 2}, said
    assert "Missed" not in said
    assert running.returncode == 0 or "generator" in said, said


def test_a_worker_that_is_killed_is_noticed(hospital):
    with start(hospital) as running:
        deadline = time.monotonic() + 100
        while True:
            assert time.monotonic() < deadline, "the workers were never ready"
            assert running.poll() is None, running.stdout.read()
            marks = [one.exec_run(["sh", "-c", "ls /ledger/run/ready-*"]).output for one in workers(hospital)]
            if len(marks) == 2 and all(found.count(b"ready-") == 2 for found in marks):
                break
            time.sleep(0.2)
        killed = workers(hospital)[0]
        killed.kill("SIGKILL")
        said, _ = running.communicate(timeout=280)
    assert running.returncode == 2, said
    assert killed.id[:12] in said, said
