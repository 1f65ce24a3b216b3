"""A system in a process of its own on this machine: signals, limits and its disk, each with evidence from the kernel.

What runs is written down by :mod:`stepwedge.lab.keep`, which also starts it again. A process is known by its id and the moment
it began, so that no signal ever reaches another that was given the same number.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import Broken, Inconclusive

if TYPE_CHECKING:
    from collections.abc import Callable

LINUX: Final = sys.platform == "linux"
_PATIENCE: Final = 20.0
_LOOK: Final = 0.01
_STOPPED: Final = ("T", "t")
_FILLER: Final = ".filled"
_CHUNKS: Final = (1 << 20, 1 << 12, 1)
_NEEDS_DISK: Final = "its state has no disk of its own: give it one in the lab file (disk: 32MB)"


@dataclass(slots=True)
class Process:
    """One system in a process of its own.

    Attributes:
        told: the file in which its keeper writes down who runs.
        disk: the folder that is a file system of its own; ``None`` when it shares the machine's.
    """

    name: str
    told: Path
    disk: Path | None = None
    _files: tuple[int, int] | None = field(default=None, init=False)

    def cannot(self, kind: str) -> str:
        """Return why it cannot have this trouble here; empty when it can."""
        if not LINUX:
            return "the evidence of it comes from Linux's /proc"
        if kind == "disk-full" and self.disk is None:
            return _NEEDS_DISK
        return ""

    # down and up

    def kill(self) -> str:
        """Kill it with SIGKILL; it stays down."""
        return self._end(signal.SIGKILL)

    def stop(self) -> str:
        """Ask it to end with SIGTERM; it stays down."""
        return self._end(signal.SIGTERM)

    def start(self) -> str:
        """Let its keeper start it again."""
        starts = self._kept()["starts"]
        self._down.unlink(missing_ok=True)
        self._until(
            lambda: self._kept()["starts"] > starts and self._kept()["pid"], "it is not started again"
        )
        return f"process {self._kept()['pid']} runs"

    def restart(self) -> str:
        """Ask it to end, and let its keeper start it again."""
        ended = self.stop()
        return f"{ended}; {self.start()}"

    def _end(self, number: signal.Signals) -> str:
        pid = self._pid()
        self._down.touch()
        os.kill(pid, number)
        self._until(lambda: not self._kept()["pid"], f"process {pid} did not end by {number.name}")
        code = self._kept()["code"]
        if state(pid) not in {"", "Z"}:
            raise Inconclusive(f"{self.name}: process {pid} is still there")
        if number is signal.SIGKILL and code != -number:
            raise Inconclusive(
                f"{self.name}: process {pid} ended with {code} before {number.name} reached it"
            )
        return f"{number.name}: process {pid} is gone, exit code {code if code >= 0 else 128 - code}"

    # standing still

    def pause(self) -> str:
        """Stop it with SIGSTOP."""
        pid = self._pid()
        os.kill(pid, signal.SIGSTOP)
        self._until(lambda: state(pid) in _STOPPED, f"process {pid} does not stand still")
        return f"SIGSTOP: process {pid} is in state {state(pid)}"

    def resume(self) -> str:
        """Continue it with SIGCONT."""
        pid = self._pid()
        os.kill(pid, signal.SIGCONT)
        self._until(lambda: state(pid) not in _STOPPED, f"process {pid} does not go on")
        return f"SIGCONT: process {pid} is in state {state(pid)}"

    # its disk

    def fill(self) -> str:
        """Write to its disk until the kernel says that it is full."""
        filler, written = self._seen(_FILLER), 0
        with filler.open("ab", buffering=0) as file:
            for chunk in _CHUNKS:  # the last byte too: a page that is half free takes many small rows
                with contextlib.suppress(_Full):
                    while True:
                        written += _write(file, b"\0" * chunk)
        free = os.statvfs(filler.parent).f_bavail
        if free:
            raise Inconclusive(f"{self.name}: {free} blocks of its disk are free although it was filled")
        return f"ENOSPC after {written} bytes: no block of its disk is free"

    def free(self) -> str:
        """Remove what filled its disk."""
        filler = self._seen(_FILLER)
        filler.unlink(missing_ok=True)
        free = os.statvfs(filler.parent).f_bavail
        if not free:
            raise Inconclusive(f"{self.name}: its disk is full by itself")
        return f"{free} blocks of its disk are free"

    def _seen(self, name: str) -> Path:
        """Return a file of its disk as we reach it: the disk is mounted for its keeper alone."""
        assert self.disk is not None  # noqa: S101 - cannot() said so
        return Path(f"/proc/{self._kept()['keeper']}/root{self.disk.resolve()}/{name}")

    # what it may open

    def limit_files(self, spare: int = 0) -> str:
        """Lower RLIMIT_NOFILE to what is open now, and ``spare`` more."""
        import resource

        pid = self._pid()
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        opened = [int(one) for one in os.listdir(f"/proc/{pid}/fd")]  # noqa: PTH208 - names alone, and many
        # The limit is one above the highest number that may be given out, not a count.
        limit = _bound(opened, spare)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, before[1]))
        self._files = self._files or before
        now = resource.prlimit(pid, resource.RLIMIT_NOFILE)[0]
        if now != limit:
            raise Inconclusive(f"{self.name}: RLIMIT_NOFILE of process {pid} is {now}, not {limit}")
        return f"RLIMIT_NOFILE of process {pid} is {now}, {len(opened)} are open"

    def free_files(self) -> str:
        """Give RLIMIT_NOFILE back."""
        import resource

        pid = self._pid()
        if self._files is not None:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, self._files)
        self._files = None
        return f"RLIMIT_NOFILE of process {pid} is {resource.prlimit(pid, resource.RLIMIT_NOFILE)[0]}"

    # who it is

    @property
    def _down(self) -> Path:
        return self.told.with_suffix(".down")

    def _kept(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(self.told.read_text(encoding="utf-8"))
        except (OSError, ValueError) as trouble:
            raise Broken(f"{self.name}: nobody wrote down who runs ({trouble})") from trouble
        return found

    def _pid(self) -> int:
        """Return the process that runs now; it is its keeper's child, so the number cannot have gone to another."""
        kept = self._kept()
        pid = int(kept["pid"])
        if not pid or parent(pid) != kept["keeper"]:
            raise Inconclusive(f"{self.name}: it does not run, so nothing can happen to it")
        return pid

    def _until(self, true: Callable[[], object], otherwise: str) -> None:
        deadline = time.monotonic() + _PATIENCE
        while not true():
            if time.monotonic() > deadline:
                raise Inconclusive(f"{self.name}: {otherwise} within {_PATIENCE:g} s")
            time.sleep(_LOOK)


class _Full(Exception):
    """The disk is full."""


def _write(file: Any, data: bytes) -> int:
    try:
        return int(file.write(data))
    except OSError as trouble:
        if trouble.errno != errno.ENOSPC:
            raise
        raise _Full from trouble


def _bound(opened: list[int], spare: int) -> int:
    """Return the RLIMIT_NOFILE at which ``spare`` more of the free numbers can be given out (getrlimit(2))."""
    limit, taken = 0, set(opened)
    while limit in taken or spare > 0:
        spare -= limit not in taken
        limit += 1
    return limit


def state(pid: int) -> str:
    """Return the state letter of a process (proc(5)): T stands still, Z is dead; empty when there is none."""
    return _stat(pid, 0)


def parent(pid: int) -> int:
    """Return the parent of a process, 0 when there is no such process."""
    return int(_stat(pid, 1) or 0)


def _stat(pid: int, at: int) -> str:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return ""
    return text.rpartition(")")[2].split()[at]
