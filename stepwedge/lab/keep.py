"""Run one command and end it when whoever started us is gone: ``python -m stepwedge.lab.keep COMMAND...``.

Our standard input is a pipe that the starter holds open. When it closes, on purpose or because the starter was
killed, the command is ended too, so no system under test is ever left behind.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading

GRACE = 10.0
"""Seconds a command has to end by itself after being asked to."""


def main(command: list[str]) -> int:
    """Run ``command`` until it ends or our standard input does; return its exit code."""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as child:  # noqa: S603 - the lab file's own command, no shell
        threading.Thread(target=_end_with_starter, args=(child,), daemon=True).start()
        return child.wait()


def _end_with_starter(child: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        while sys.stdin.buffer.read(1024):
            pass
    child.terminate()
    try:
        child.wait(GRACE)
    except subprocess.TimeoutExpired:
        child.kill()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
