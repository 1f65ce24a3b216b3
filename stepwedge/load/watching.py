"""Watching the systems under test while they are loaded: processor, memory, files, threads and queues, once a second.

What runs on this machine is read from ``/proc``, processes with all that they started; on other machines and other kernels nobody can
tell, and nothing is written. Watching is a thread of the process that leads the load, which otherwise waits.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from stepwedge.actors.cast import Admin
from stepwedge.clock import moment
from stepwedge.errors import StepwedgeError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from stepwedge.actors.cast import Cast
    from stepwedge.lab.hospital import Running

FILE: Final = "watch.jsonl"
PROC: Final = Path("/proc")
_TICKS: Final = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_PAGE: Final = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
_ANSWER: Final = 2.0
"""Seconds that a system may take to say how long its queue is."""
_PARENT, _USER, _SYSTEM, _THREADS, _RSS = 1, 11, 12, 17, 21
"""Fields of ``/proc/PID/stat`` (proc(5)), counted from the one behind the program's name."""


@dataclass(frozen=True, slots=True)
class Used:
    """What a process and all that it started use: processor seconds since they began, bytes, open files, threads."""

    cpu: float
    rss: int
    files: int
    threads: int


def used(pid: int, proc: Path = PROC) -> Used | None:
    """Return what a process uses with its descendants; None when it is gone or this kernel does not tell."""
    children: dict[int, list[int]] = {}
    stats: dict[int, list[str]] = {}
    for path in proc.glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            stat = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            number, parent = int(path.parent.name), int(stat[_PARENT])
            if len(stat) > _RSS:  # else it ended while we read
                stats[number] = stat
                children.setdefault(parent, []).append(number)
    if pid not in stats:
        return None
    family, waiting = [], [pid]
    while waiting:
        family.append(one := waiting.pop())
        waiting += children.get(one, ())
    cpu = sum(int(stats[one][_USER]) + int(stats[one][_SYSTEM]) for one in family) / _TICKS
    rss = sum(int(stats[one][_RSS]) for one in family) * _PAGE
    threads = sum(int(stats[one][_THREADS]) for one in family)
    return Used(cpu, rss, sum(_files(proc / str(one)) for one in family), threads)


def busy(proc: Path = PROC) -> float | None:
    """Return the processor seconds that this machine has worked since it began, all cores; None where the kernel does not tell."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        fields = (proc / "stat").read_text(encoding="utf-8").split("\n", 1)[0].split()
        if fields[0] == "cpu":
            user, nice, system, _, _, interrupts, soft, *_ = map(int, fields[1:])
            return (user + nice + system + interrupts + soft) / _TICKS
    return None


def _files(process: Path) -> int:
    try:
        return sum(1 for _ in (process / "fd").iterdir())
    except OSError:
        return 0  # it ended meanwhile, or is not ours to look into


def processes(running: Running) -> dict[str, int]:
    """Return the processes of a lab that run here, by name: the hospital's, and each that the lab file starts."""
    found = {}
    for child in running.children:
        found[child.name.removeprefix("the ")] = child.process.pid
    if not found and "pid" in running.told:
        found["simulated hospital"] = int(running.told["pid"])
    return found


class Watch:
    """Writes ``watch.jsonl`` into the folder of a run; seconds count from :meth:`began`."""

    def __init__(
        self, folder: Path, processes: Mapping[str, int], cast: Cast | None = None, *, every: float = 1.0
    ) -> None:
        """Watch ``processes`` and, where systems of ``cast`` are simulated, their queues."""
        self.folder, self.processes, self.every = folder, dict(processes), every
        self._queues = {
            one.name: Admin(one.admin.url, timeout=_ANSWER) for one in cast or () if one.admin is not None
        }
        self._zero = moment()
        self._before: dict[str, tuple[float, float]] = {}
        self._worked: tuple[float, float] | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look_on, name="watching", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        for admin in self._queues.values():
            admin.close()

    def began(self, at: float) -> None:
        """Say when second 0 was, seconds since the epoch; what was seen before has negative seconds."""
        self._zero = at

    def _look_on(self) -> None:
        with (self.folder / FILE).open("a", encoding="utf-8", buffering=1) as file:
            while True:
                file.write(json.dumps(self.look()) + "\n")
                if self._over.wait(self.every):
                    return

    def look(self) -> dict[str, Any]:
        """Return what is seen now."""
        now = moment()
        line: dict[str, Any] = {"second": round(now - self._zero, 2), "at": round(now, 2)}
        line["processes"] = {
            name: told for name, pid in self.processes.items() if (told := self._process(name, pid, now))
        }
        line["queues"] = {
            name: told for name, admin in self._queues.items() if (told := _queue(admin)) is not None
        }
        if (worked := busy()) is not None:
            if self._worked is not None and now > self._worked[0]:
                share = (worked - self._worked[1]) / (now - self._worked[0])
                line["machine"] = {"cpu": round(share, 4), "cores": os.cpu_count() or 1}
            self._worked = (now, worked)
        with contextlib.suppress(OSError):
            line["disk"] = shutil.disk_usage(self.folder).free
        return line

    def _process(self, name: str, pid: int, now: float) -> dict[str, Any] | None:
        """Return what a process uses; ``cpu`` is the share of a core since the last look."""
        seen = used(pid)
        if seen is None:
            return None
        before, cpu = self._before.get(name, (now, seen.cpu))
        self._before[name] = (now, seen.cpu)
        share = (seen.cpu - cpu) / (now - before) if now > before else 0.0
        return {
            "cpu": round(max(share, 0.0), 4),
            "rss": seen.rss,
            "files": seen.files,
            "threads": seen.threads,
        }


def _queue(admin: Admin) -> dict[str, int] | None:
    try:
        told = admin.health_of()
        return {key: int(told[key]) for key in ("waiting", "parked")}
    except (StepwedgeError, KeyError, ValueError):
        return None  # it does not answer: nobody can tell how long its queue is


def read(folder: Path) -> list[dict[str, Any]]:
    """Return what was seen, line by line; nothing when nobody watched."""
    found = []
    with contextlib.suppress(OSError):
        for line in (folder / FILE).read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
    return found
