"""Run one command and end it when whoever started us is gone: ``python -m stepwedge.lab.keep [OPTIONS] COMMAND...``.

Our standard input is a pipe that the starter holds open. When it closes, on purpose or because the starter was
killed, or when we are told to end, the command is ended too: no system under test is ever left behind.

``--told FILE`` writes down who runs (:mod:`stepwedge.lab.processes` reads it) and lets faults take it down: while ``FILE.down``
is there, a command that ended is not started again; when that is removed, or has lain there for two minutes, it is. A command
that ends by itself is never started again. ``--disk BYTES FOLDER`` gives it a file system of that size, in memory, which lives as
long as we do; it is seen by nobody else, because it is mounted in a namespace of our own.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Final

GRACE = 10.0
"""Seconds a command has to end by itself after being asked to."""
LONGEST_DOWN: Final = 120.0
"""Seconds a command is kept down at most, whatever became of the case that wanted it so."""
_LOOK: Final = 0.02


def main(arguments: list[str]) -> int:
    """Run the command until it ends, or our standard input does, or we are told to; return its exit code."""
    options = _parser().parse_args(arguments)
    if options.disk:
        size, folder = options.disk
        mount = ["mount", "-t", "tmpfs", "-o", f"size={int(size)},mode=700", "stepwedge", folder]
        subprocess.run(mount, check=True)  # noqa: S603 - our own arguments, no shell
    keeper = Keeper(options.command, options.told)
    signal.signal(signal.SIGTERM, lambda *_: keeper.end())
    threading.Thread(target=keeper.end_with_starter, daemon=True).start()
    return keeper.run()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="keep")
    parser.add_argument("--told", type=Path, help="file to write down who runs")
    parser.add_argument("--disk", nargs=2, metavar=("BYTES", "FOLDER"), help="a file system of its own")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    return parser


class Keeper:
    """Holds one command, and starts it again after a fault."""

    def __init__(self, command: list[str], told: Path | None) -> None:
        self._command, self._told = command, told
        self._over = threading.Event()
        self._starts = 0
        self._code: int | None = None
        self._child = self._start()

    def run(self) -> int:
        """Run until the command ends for good; return its exit code."""
        while True:
            self._code = self._child.wait()
            if self._over.is_set() or not self._down():
                return self._code
            self._tell(0)
            while self._down() and not self._over.wait(_LOOK):
                pass
            if self._over.is_set():
                return self._code
            self._child = self._start()

    def end(self) -> None:
        """Ask the command to end; one that is stopped must be continued to hear it."""
        self._over.set()
        self._child.terminate()
        if self._child.poll() is None:
            self._child.send_signal(signal.SIGCONT)

    def end_with_starter(self) -> None:
        """End the command when our standard input closes."""
        while os.read(0, 1024):  # not sys.stdin: its lock would be held when the interpreter ends
            pass
        self.end()
        try:
            self._child.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._child.kill()

    def _start(self) -> subprocess.Popen[bytes]:
        child = subprocess.Popen(self._command, stdin=subprocess.DEVNULL)  # noqa: S603 - the lab's own command, no shell
        self._starts += 1
        self._tell(child.pid)
        return child

    def _down(self) -> bool:
        """Tell whether a fault keeps the command down."""
        if self._told is None:
            return False
        try:
            since = self._told.with_suffix(".down").stat().st_mtime
        except OSError:
            return False
        return time.time() - since < LONGEST_DOWN

    def _tell(self, pid: int) -> None:
        """Write down who runs, at once or not at all; ``pid`` 0 is nobody."""
        if self._told is None:
            return
        told = {"keeper": os.getpid(), "pid": pid, "starts": self._starts, "code": self._code}
        draft = self._told.with_suffix(".part")
        draft.write_text(json.dumps(told), encoding="utf-8")
        draft.replace(self._told)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
