"""A process of a system of its own: every trouble on a real process, with the kernel's evidence, and its end."""

from __future__ import annotations

import os
import resource
import sys
import time
from pathlib import Path

import pytest

from stepwedge.errors import Inconclusive
from stepwedge.lab import own
from stepwedge.lab.child import Child
from stepwedge.lab.processes import Process, state

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the evidence comes from Linux's /proc")
_SLEEPS = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture
def kept(tmp_path):
    children = []

    def start(disk=None, size=0):
        told = tmp_path / "it.kept.json"
        child = Child.start("it", own.kept(_SLEEPS, told, disk, size), tmp_path / "it.log")
        children.append(child)
        child.wait_until(told.is_file, 10)
        return Process("it", told, disk)

    yield start
    for child in children:
        child.stop()
        assert child.process.returncode is not None


def pid(process):
    return process._pid()


def test_killed_and_started_again(kept):
    process = kept()
    before = pid(process)
    assert "exit code 137" in process.kill()
    assert state(before) in {"", "Z"}
    with pytest.raises(Inconclusive, match="it does not run"):
        process.pause()
    process.start()
    assert pid(process) != before


def test_restarted(kept):
    process = kept()
    before = pid(process)
    assert "SIGTERM" in process.restart()
    assert pid(process) != before


def test_stands_still_and_goes_on(kept):
    process = kept()
    assert "state T" in process.pause()
    process.resume()
    assert state(pid(process)) != "T"


def test_one_that_stands_still_ends_with_its_keeper(kept, tmp_path):
    process = kept()
    still = pid(process)
    process.pause()
    os.kill(int(process._kept()["keeper"]), 15)
    deadline = time.monotonic() + 10
    while state(still) not in {"", "Z"}:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_no_more_files(kept):
    process = kept()
    before = resource.prlimit(pid(process), resource.RLIMIT_NOFILE)
    process.limit_files()
    limit = resource.prlimit(pid(process), resource.RLIMIT_NOFILE)[0]
    opened = {int(one.name) for one in Path(f"/proc/{pid(process)}/fd").iterdir()}
    assert set(range(limit)) <= opened
    process.free_files()
    assert resource.prlimit(pid(process), resource.RLIMIT_NOFILE) == before


@pytest.mark.skipif(bool(own.disk_missing()), reason="no mounts of its own here")
def test_its_disk_is_full_and_nobody_else_s(kept, tmp_path):
    folder = tmp_path / "disk"
    process = kept(folder, 8 << 20)
    assert "ENOSPC" in process.fill()
    assert os.statvfs(process._seen("")).f_bavail == 0
    assert os.statvfs(folder).f_bavail > 0
    assert not list(folder.iterdir())
    process.free()
    assert os.statvfs(process._seen("")).f_bavail > 0


def test_without_a_disk_it_cannot_be_filled(kept):
    assert "disk: 32MB" in kept().cannot("disk-full")
