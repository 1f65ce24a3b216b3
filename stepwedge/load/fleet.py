"""The Locust processes of a load: started, waited for, watched, and ended by their ids.

Locust is content when a worker dies: the others go on, and it ends with 0. Here every process that drives users leaves marks in
the run folder: ``ready-*`` before it begins, ``done-*`` when all it had to do is over, ``ended-*`` when it was told to end. A
process without its marks drove less than it was to drive.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final

from stepwedge import kit
from stepwedge.errors import Broken
from stepwedge.lab.child import Child
from stepwedge.load.gates import marks

if TYPE_CHECKING:
    from pathlib import Path

PIDS: Final = "fleet.json"
LOG: Final = "locust.log"
_START: Final = 60.0
"""Seconds until every process says that it is ready."""
LEAVE: Final = 15.0
"""Seconds that workers have to go when their master has told them to."""


class Fleet:
    """One Locust process, or a master and its workers, of which ``remote`` are started by somebody else."""

    def __init__(
        self, folder: Path, workers: int = 1, *, remote: bool = False, web: int = 0, port: int = 0
    ) -> None:
        """Prepare ``workers`` processes; ``web`` is the port of Locust's own page, ``port`` that of the master."""
        self.folder, self.workers, self.remote = folder, workers, remote
        self._web, self._port = web, port
        self._leader: Child | None = None
        self._crew: dict[str, Child] = {}
        self.trouble: list[str] = []

    @property
    def spread(self) -> bool:
        """Whether there are a master and workers."""
        return self.remote or self.workers > 1

    def start(self) -> None:
        """Start the processes and wait until all of them are ready; raises ``Broken`` when one does not come up."""
        users = ["--users", str(self.workers), "--spawn-rate", str(self.workers)]
        page = (
            ["--autostart", "--web-host", "127.0.0.1", "--web-port", str(self._web)]
            if self._web
            else ["--headless"]
        )
        files = ["--json-file", str(self.folder / "locust"), "--html", str(self.folder / "locust.html")]
        files += ["--csv", str(self.folder / "locust"), "--only-summary", "--stop-timeout", "5"]
        lead = []
        if self.spread:
            bind = [] if self.remote else ["--master-bind-host", "127.0.0.1"]
            port = ["--master-bind-port", str(self._port)] if self._port else []
            lead = ["--master", *bind, *port, "--expect-workers", str(self.workers)]
            lead += ["--expect-workers-max-wait", f"{_START:g}"]
        self._leader = self._locust("locust", LOG, *page, *users, *files, *lead)
        if self.spread and not self.remote:
            for number in range(1, self.workers + 1):
                name = f"worker-{number}"
                self._crew[name] = self._locust(name, f"{name}.log", *worker("127.0.0.1", self._port))
        pids = {name: child.process.pid for name, child in self._processes().items()}
        (self.folder / PIDS).write_text(json.dumps(pids), encoding="utf-8")
        self._leader.wait_until(
            lambda: len(marks(self.folder, "ready")) >= self.workers or bool(self._dead()), _START
        )
        if dead := self._dead():
            raise Broken(f"{dead[0]}; its log ends:\n{self._processes()[dead[0].split()[0]].tail()}")

    def _locust(self, name: str, log: str, *arguments: str) -> Child:
        return Child.start(name, command(*arguments), self.folder / log, env=variables(self.folder))

    def _processes(self) -> dict[str, Child]:
        return ({"locust": self._leader} if self._leader else {}) | self._crew

    def _dead(self) -> list[str]:
        ends = {name: child.process.poll() for name, child in self._processes().items()}
        return [f"{name} {_ended(code)}" for name, code in ends.items() if code is not None]

    def done(self) -> bool:
        """Tell whether every process has ended what it had to do, or died before: those are noted."""
        self.trouble += [one for one in self._dead() if one not in self.trouble]
        return len(marks(self.folder, "done")) + len(self.trouble) >= self.workers

    def undone(self) -> list[str]:
        """Return the processes that were ready and are not done, by host and process id: those that died, or hang."""
        return sorted(marks(self.folder, "ready") - marks(self.folder, "done"))

    def stop(self) -> None:
        """End all processes; what was not told to end by its leader is ended here."""
        if self._leader is not None:
            self._end(self._leader)
        deadline = time.monotonic() + LEAVE
        while time.monotonic() < deadline and any(one.process.poll() is None for one in self._crew.values()):
            time.sleep(0.05)
        for one in self._crew.values():
            one.stop()

    def _end(self, leader: Child) -> None:
        """Interrupt Locust, at which it writes its own report, and end it when it does not heed that."""
        with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
            leader.process.send_signal(signal.SIGINT)
            leader.process.wait(LEAVE)
        leader.stop()


def _ended(code: int) -> str:
    return f"was killed in mid-run by signal {-code}" if code < 0 else f"ended in mid-run with code {code}"


def command(*arguments: str) -> list[str]:
    """Return the command that runs Locust on our users."""
    return [sys.executable, "-m", "locust", "-f", str(kit.find("load/locustfile.py")), *arguments]


def variables(folder: Path) -> dict[str, str]:
    """Return the environment by which the users find their plan."""
    return {"STEPWEDGE_PLAN": str((folder / "plan.json").resolve())}


def worker(host: str, port: int = 0) -> list[str]:
    """Return the arguments of a worker whose master is at ``host``."""
    return ["--worker", "--master-host", host, *(["--master-port", str(port)] if port else [])]
