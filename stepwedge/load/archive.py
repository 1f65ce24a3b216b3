"""An archive under test as a process: started as its lab file says, killed, paused, ended, started again on what it kept."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from stepwedge.errors import BadInput, Broken
from stepwedge.lab import hospital, preflight

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stepwedge.lab.child import Child
    from stepwedge.lab.labfile import Lab
    from stepwedge.lab.schema import Real
    from stepwedge.sim.address import Address

_LONGEST_END: Final = 20.0
_DISK: Final = 12 << 20
"""Bytes of the small disk."""
_CHUNK: Final = 1 << 16
_SMALL_DISK: Final = ("unshare", "--map-root-user", "--mount", "sh", "-c")
_MOUNTED: Final = 'mount -t tmpfs -o size="$0" stepwedge "$1" && shift && exec "$@"'
_LIMITED: Final = ("env", "--ignore-signal=XFSZ")


class Archive:
    """The one archive of a lab; everything is done to its own process group, by its id."""

    def __init__(self, lab: Lab, name: str, state: Path, inside: Sequence[str] = ()) -> None:
        self.lab, self.name, self.state, self.inside = lab, name, state, tuple(inside)
        self._child: Child | None = None

    @property
    def real(self) -> Real:
        """What the lab file says of it."""
        return self.lab.real[self.name]

    @property
    def address(self) -> Address:
        """Its doors."""
        return self.real.address

    def start(self) -> float:
        """Start it on what it kept; return the seconds until both its doors answered. Raises Broken when they do not."""
        began = time.monotonic()
        real, calling = self.real, self.lab.text.probe.ae_title
        assert real.start is not None  # noqa: S101 - the caller looked
        self._child = child = hospital.start_real(self.name, real, self.lab, self.state, self.inside)
        for door in ("dicom", "web"):
            child.wait_until(
                lambda door=door: not preflight.trouble(real.address, door, calling, timeout=2.0),  # type: ignore[misc]
                real.start.seconds,
            )
        return time.monotonic() - began

    def mute(self) -> str:
        """Return why it answers no C-ECHO; empty when it does."""
        return preflight.trouble(self.address, "dicom", self.lab.text.probe.ae_title, timeout=5.0)

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self._child is not None and self._child.process.poll() is None

    @property
    def pid(self) -> int:
        """The process of the archive itself, which is the child of who keeps it."""
        keeper = self._running().process.pid
        return int(Path(f"/proc/{keeper}/task/{keeper}/children").read_text(encoding="ascii").split()[0])

    def kill(self) -> None:
        """SIGKILL, at once; :meth:`ended` tells what it came to."""
        self._signal(signal.SIGKILL)

    def pause(self) -> None:
        """SIGSTOP: it still has its sockets, and says nothing."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def terminate(self) -> None:
        """SIGTERM, as an administrator restarts it."""
        os.kill(self.pid, signal.SIGTERM)

    def ended(self) -> int:
        """Wait until it has ended; return its exit code, negative the signal."""
        try:
            code = self._running().process.wait(_LONGEST_END)
        except subprocess.TimeoutExpired:
            raise Broken(f"{self.name} has not ended within {_LONGEST_END:g} s") from None
        self._child = None
        return code

    def stop(self) -> None:
        """End it, whatever state it is in."""
        if self._child is not None:
            if self.alive:
                self.go_on()
            self._child.stop()
            self._child = None

    def _signal(self, number: int) -> None:
        os.killpg(self._running().process.pid, number)  # start_new_session made it a group of its own

    def _running(self) -> Child:
        if self._child is None:
            raise Broken(f"{self.name} does not run")
        return self._child


class SmallDisk:
    """A disk that can be filled: a tmpfs in a mount namespace of the archive's own, or else a limit of the size of its files.

    The tmpfs is gone with the archive's process. Where the kernel does not allow it, RLIMIT_FSIZE makes writing fail with
    EFBIG instead of ENOSPC (setrlimit(2)): SIGXFSZ is ignored, and what is full is every file rather than the disk.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kind = "tmpfs" if _can_mount(folder) else "RLIMIT_FSIZE"
        self._filler = folder / "filler"

    @property
    def inside(self) -> tuple[str, ...]:
        """What the archive's command is run by."""
        if self.kind == "tmpfs":
            return (*_SMALL_DISK, _MOUNTED, str(_DISK), "{state}")
        return _LIMITED

    def fill(self, archive: Archive) -> int:
        """Leave no room; return the bytes that did it, or the limit."""
        if self.kind != "tmpfs":
            _, most = resource.prlimit(archive.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(archive.pid, resource.RLIMIT_FSIZE, (_CHUNK, most))
            return _CHUNK
        path, size = self._seen(archive), 0
        with path.open("wb", buffering=0) as file:
            try:
                while True:
                    size += file.write(bytes(_CHUNK))
            except OSError as full:
                if full.errno != errno.ENOSPC:
                    raise
        return size

    def free(self, archive: Archive) -> None:
        """Give the room back."""
        if self.kind == "tmpfs":
            self._seen(archive).unlink()
        else:
            _, most = resource.prlimit(archive.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(archive.pid, resource.RLIMIT_FSIZE, (most, most))

    def _seen(self, archive: Archive) -> Path:
        """Return the filler as it is reached from here: through the archive's own view of the file system."""
        return Path(f"/proc/{archive.pid}/root{self._filler.resolve()}")


def _can_mount(folder: Path) -> bool:
    """Try it, with a program that does nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    if shutil.which(_SMALL_DISK[0]) is None:
        return False
    command = [*_SMALL_DISK, _MOUNTED, str(_CHUNK), str(folder.resolve()), "true"]
    return subprocess.run(command, capture_output=True, check=False, timeout=10).returncode == 0  # noqa: S603 - ours


def chosen(lab: Lab, name: str) -> Real:
    """Return the archive of a lab that can be broken; raises BadInput for one that this lab does not start, or of one door."""
    real = lab.real.get(name)
    if real is None or real.start is None:
        remedy = "only what is started here is killed here"
        raise BadInput(f"{lab.file} (actors.{name})", "a real system with start:", "none", remedy)
    if real.address.dicom is None or real.address.web is None:
        remedy = "what came in by one is read by the other"
        raise BadInput(f"{lab.file} (actors.{name})", "a dicom and a web door", "only one", remedy)
    return real
