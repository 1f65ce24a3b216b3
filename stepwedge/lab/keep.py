"""Run one command and end it when whoever started us is gone: ``python -m stepwedge.lab.keep COMMAND...``.

Our standard input is a pipe that the starter holds open. When it closes, on purpose or because the starter was
killed, or when we are told to end, the command is ended too: no system under test is ever left behind.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

GRACE = 10.0
"""Seconds a command has to end by itself after being asked to."""


def main(command: list[str]) -> int:
    """Run ``command`` until it ends, or our standard input does, or we are told to; return its exit code."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603 - the lab file's own command, no shell
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    threading.Thread(target=_end_with_starter, args=(child,), daemon=True).start()
    return child.wait()


def _end_with_starter(child: subprocess.Popen[bytes]) -> None:
    while os.read(0, 1024):  # not sys.stdin: its lock would be held when the interpreter ends
        pass
    child.terminate()
    try:
        child.wait(GRACE)
    except subprocess.TimeoutExpired:
        child.kill()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
