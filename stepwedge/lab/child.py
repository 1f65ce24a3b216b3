"""A process that belongs to a lab: started with its output in a log, waited for, ended by its id."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import stepwedge
from stepwedge.errors import Broken

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

LOOK = 0.02
"""Seconds between two looks whether a process has become ready."""

_TAIL = 1500
_GRACE = 15.0


class Child:
    """One process and its log."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.name, self.process, self.log = name, process, log

    @classmethod
    def start(
        cls,
        name: str,
        command: Sequence[str],
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        own_group: bool = True,
    ) -> Self:
        """Start ``command`` without a shell; raises ``Broken`` when there is no such program.

        ``own_group`` keeps Ctrl-C in a terminal away from it: a system under test ends when the lab does.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        try:
            with log.open("ab") as output:
                process = subprocess.Popen(  # noqa: S603 - our own command, or the lab file's, never a shell's
                    list(command),
                    stdin=subprocess.PIPE,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=environment() | dict(env or {}),
                    cwd=cwd,
                    start_new_session=own_group,
                )
        except OSError as trouble:
            raise Broken(
                f"{name}: cannot start {command[0]} ({trouble.strerror}); is it installed?"
            ) from trouble
        return cls(name, process, log)

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Wait until ``ready``; raises ``Broken`` with the end of the log when the process ends or time runs out."""
        deadline = time.monotonic() + seconds
        while not ready():
            if (code := self.process.poll()) is not None:
                raise Broken(
                    f"{self.name} ended at once with code {code}; its log {self.log} ends:\n{self.tail()}"
                )
            if time.monotonic() > deadline:
                raise Broken(
                    f"{self.name} was not ready within {seconds:g} s; its log {self.log} ends:\n{self.tail()}"
                )
            time.sleep(LOOK)

    def tail(self) -> str:
        """Return the end of its log."""
        with contextlib.suppress(OSError):
            return self.log.read_bytes()[-_TAIL:].decode("utf-8", "replace").strip()
        return ""

    def stop(self) -> None:
        """Ask the process to end, and end it when it does not."""
        if self.process.stdin is not None:
            with contextlib.suppress(OSError):
                self.process.stdin.close()
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.terminate()
        try:
            self.process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def environment() -> dict[str, str]:
    """Return our environment, in which ``python -m stepwedge`` finds this very library."""
    home = str(Path(stepwedge.__file__).parent.parent)
    path = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": f"{home}{os.pathsep}{path}" if path else home}


def python(*arguments: str) -> list[str]:
    """Return the command that runs this Python with ``arguments``."""
    return [sys.executable, *arguments]
