"""One run from the command line: start pytest, show it, write the reports, say what came out."""

from __future__ import annotations

import contextlib
import secrets
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Final

from stepwedge.clock import SystemClock
from stepwedge.errors import BadInput, Broken, Skipped
from stepwedge.lab import checking, launch
from stepwedge.report import closing, progress, run_model, write

if TYPE_CHECKING:
    from rich.console import Console

    from stepwedge.lab.child import Child

RUNS: Final = Path("runs")
_BAD_INPUT, _NOTHING = 2, 5


def new_folder(prefix: str = "") -> Path:
    """Make the folder of a new run and point ``runs/latest`` at it."""
    folder = RUNS / f"{prefix}{SystemClock().now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    folder.mkdir(parents=True)
    latest = RUNS / "latest"
    with contextlib.suppress(OSError):  # a file system without links does without
        latest.unlink(missing_ok=True)
        latest.symlink_to(folder.name)
    return folder


def run(console: Console, wish: launch.Wish, folder: Path | None, *, quiet: bool) -> int:
    """Run what is wished for; return the exit code."""
    wish.refuse()
    folder = folder or new_folder()
    if any(folder.glob("journal*.jsonl")):
        raise BadInput(
            str(folder), "a folder without a run in it", "a journal", "name another folder with --evidence"
        )
    folder.mkdir(parents=True, exist_ok=True)
    child = launch.start(wish, folder.absolute())
    follower = run_model.Follower(folder)
    try:
        progress.follow(
            follower, progress.display(console, quiet=quiet), lambda: child.process.poll() is not None
        )
    except KeyboardInterrupt:
        console.print("stopping: the current case ends, then the reports are written")
        _wind_down(child)
    finally:
        child.stop()
    code = child.process.returncode
    if not follower.journals:
        return _never_began(console, child, wish)
    read = run_model.read(folder)
    if read.aborted or not (folder / "summary.json").is_file():
        write(folder)  # whoever should have, did not live to do it
    closing.say(console, read, folder)
    if code == _BAD_INPUT and not read.aborted and not read.cases:
        return _never_began(console, child, wish)
    return read.exit


def _wind_down(child: Child) -> None:
    """Let pytest write what it knows; a second Ctrl-C ends it at once."""
    with contextlib.suppress(KeyboardInterrupt):
        if child.process.poll() is None:
            child.process.send_signal(signal.SIGINT)
            child.process.wait(20)


def _never_began(console: Console, child: Child, wish: launch.Wish) -> int:
    """Say why pytest ran nothing."""
    if child.process.returncode == _NOTHING:
        raise Skipped("no case matches: look at -k and --tag, or at the paths")
    if wrong := [problem for problem in checking.check(wish.paths, wish.lab) if not problem.warning]:
        for problem in wrong:
            console.print(str(problem), markup=False, highlight=False, soft_wrap=True)
        return _BAD_INPUT
    raise Broken(f"pytest ran nothing; its log {child.log} ends:\n{child.tail()}")
