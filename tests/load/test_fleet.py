"""The processes of a load: who dies is named, who is missing is noticed, and everybody is ended."""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from stepwedge.errors import Broken
from stepwedge.load import fleet
from stepwedge.load.fleet import Fleet

if TYPE_CHECKING:
    from pathlib import Path

STANDS_IN = """
import json, os, signal, sys, time
from pathlib import Path
folder, what = Path(os.environ["STEPWEDGE_PLAN"]).parent, sys.argv[1:]
mode = (folder / "mode").read_text()
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
if mode == "fails":
    sys.exit("no such user class")
drives = "--worker" in what or "--master" not in what
if drives:
    (folder / f"ready-host-{os.getpid()}.json").write_text("{}")
if drives and mode == "done":
    (folder / f"done-host-{os.getpid()}.json").write_text("{}")
while True:
    time.sleep(0.02)
"""
"""Leaves the marks that our users leave under Locust."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    script = tmp_path / "stands_in.py"
    script.write_text(STANDS_IN, encoding="utf-8")
    monkeypatch.setattr(fleet, "LEAVE", 0.2)  # a stand-in does not leave with its master
    monkeypatch.setattr(fleet, "command", lambda *arguments: [sys.executable, str(script), *arguments])
    (tmp_path / "mode").write_text("drives", encoding="utf-8")
    (tmp_path / "plan.json").write_text("{}", encoding="utf-8")
    return tmp_path


def pids(folder: Path) -> dict[str, int]:
    found: dict[str, int] = json.loads((folder / fleet.PIDS).read_text(encoding="utf-8"))
    return found


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_one_process_is_started_and_ended(folder: Path) -> None:
    crew = Fleet(folder)
    crew.start()
    assert set(pids(folder)) == {"locust"}
    assert not crew.done()
    assert crew.undone() == [f"host-{pids(folder)['locust']}"]
    crew.stop()
    assert gone(pids(folder)["locust"])
    assert not crew.trouble


def test_it_is_done_when_every_process_says_so(folder: Path) -> None:
    (folder / "mode").write_text("done", encoding="utf-8")
    crew = Fleet(folder, 2, port=1)
    crew.start()
    assert set(pids(folder)) == {"locust", "worker-1", "worker-2"}
    assert crew.done()
    assert not crew.undone()
    crew.stop()
    assert all(map(gone, pids(folder).values()))


def test_a_worker_that_is_killed_is_named(folder: Path) -> None:
    crew = Fleet(folder, 2, port=1)
    crew.start()
    try:
        os.kill(pids(folder)["worker-2"], signal.SIGKILL)
        while not crew.trouble:
            crew.done()
        assert crew.trouble == ["worker-2 was killed in mid-run by signal 9"]
        assert not crew.done(), "the other one still drives"
        (folder / "done-host-1.json").write_text("{}")
        assert crew.done(), "nobody is waited for who will not come"
    finally:
        crew.stop()


def test_a_generator_that_does_not_start_is_broken(folder: Path) -> None:
    (folder / "mode").write_text("fails", encoding="utf-8")
    crew = Fleet(folder)
    with pytest.raises(Broken, match="no such user class"):
        crew.start()
    crew.stop()
