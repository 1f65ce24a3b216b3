"""Watching systems under load: what they use, what waits in them, and silence that is not taken for nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from stepwedge.errors import Broken
from stepwedge.load import watching

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BUSY = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; x = bytearray(40 << 20); print(1, flush=True); time.sleep(60)"],
                         stdout=subprocess.PIPE)
child.stdout.readline()
print("ready", flush=True)
try:
    sys.stdin.readline()
finally:
    child.kill(); child.wait()
"""


@pytest.fixture
def family() -> Iterator[int]:
    """A process whose child holds 40 MB."""
    with subprocess.Popen(
        [sys.executable, "-c", BUSY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "ready\n"
        yield process.pid
        process.stdin.write("\n")
        process.stdin.close()


def fake(proc: Path, pid: int, parent: int, *, ticks: int = 100, pages: int = 10, files: int = 3) -> None:
    """Write a process as proc(5) shows it, with a name that is hard to read."""
    folder = proc / str(pid)
    (folder / "fd").mkdir(parents=True)
    for number in range(files):
        (folder / "fd" / str(number)).touch()
    fields = ["S", str(parent), *["0"] * 9, str(ticks), "0", *["0"] * 4, "2", "0", "0", "0", str(pages)]
    (folder / "stat").write_text(f"{pid} (odd) name (x) {' '.join(fields)}")


def test_a_process_is_counted_with_all_that_it_started(family: int) -> None:
    told = watching.used(family)
    assert told is not None
    assert told.rss > 40 << 20
    assert told.threads >= 2
    assert told.files >= 6


def test_descendants_of_descendants_count_and_strangers_do_not(tmp_path: Path) -> None:
    for pid, parent in ((10, 1), (11, 10), (12, 11), (99, 1)):
        fake(tmp_path, pid, parent)
    told = watching.used(10, tmp_path)
    assert told is not None
    assert (told.threads, told.files) == (6, 9)
    assert told.cpu == pytest.approx(300 / watching._TICKS)
    assert told.rss == 30 * watching._PAGE


def test_who_is_gone_used_nothing_that_is_known(tmp_path: Path) -> None:
    assert watching.used(10, tmp_path) is None
    fake(tmp_path, 10, 1)
    (tmp_path / "10" / "stat").write_text("torn")
    assert watching.used(10, tmp_path) is None


class Queue:
    """A simulated system with a queue, or one that does not answer."""

    def __init__(self, told: dict[str, Any] | None) -> None:
        self.told = told

    def health_of(self) -> dict[str, Any]:
        if self.told is None:
            raise Broken("it does not answer")
        return self.told

    def close(self) -> None:
        pass


def test_a_system_that_does_not_answer_has_no_queue_of_length_nothing(tmp_path: Path) -> None:
    watch = watching.Watch(tmp_path, {})
    watch._queues = {"ris": Queue({"waiting": 3, "parked": 1}), "ehr": Queue(None), "pacs": Queue({})}  # type: ignore[dict-item]
    assert watch.look()["queues"] == {"ris": {"waiting": 3, "parked": 1}}


def test_it_writes_once_a_while_and_seconds_count_from_the_beginning(tmp_path: Path, family: int) -> None:
    with watching.Watch(tmp_path, {"hospital": family, "gone": 2**22 + 1}, every=0.02) as watch:
        watch.began(time.time() + 100)
        deadline = time.monotonic() + 10
        while len(watching.read(tmp_path)) < 4:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    *_, last = lines = watching.read(tmp_path)
    assert -101 < last["second"] < -90
    assert last["processes"].keys() == {"hospital"}
    assert last["processes"]["hospital"]["rss"] > 40 << 20
    assert 0 <= last["processes"]["hospital"]["cpu"] < 1
    assert last["disk"] > 0
    assert lines[0]["processes"]["hospital"]["cpu"] == 0, "the first look has nothing to compare with"


def test_a_torn_line_is_left_out_and_nobody_watching_is_nothing(tmp_path: Path) -> None:
    assert watching.read(tmp_path) == []
    (tmp_path / watching.FILE).write_text(json.dumps({"second": 1}) + '\n{"sec')
    assert watching.read(tmp_path) == [{"second": 1}]
