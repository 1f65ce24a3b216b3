# ruff: noqa: PTH103, PTH105, PTH108, PTH110, PTH123 - a Path object for every name costs as much as the file
"""Files of a simulated system, named by their content: whole or not there, whenever the process dies."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def name_of(data: bytes) -> str:
    """Return the name of the file that holds ``data``."""
    return hashlib.sha256(data).hexdigest()


class Files:
    """A folder of files whose names are SHA-256 of what they hold; nothing received ever becomes a name.

    A file is written under a draft name and renamed, so a name that exists holds everything. That survives the death of the
    process; there is no fsync, so after a power failure the newest may be missing (the same promise as ``sim.store``).
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._draft = itertools.count()
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob("*/*.part"):
            left.unlink()

    def path(self, name: str) -> Path:
        """Return where a file lies, spread over 256 folders."""
        return self._folder / name[:2] / name

    def keep(self, name: str, data: bytes) -> None:
        """Write the file that :func:`name_of` gave a name to, unless it is there."""
        place = f"{self._folder}/{name[:2]}"
        path = f"{place}/{name}"
        if not os.path.exists(path):
            draft = f"{place}/{os.getpid()}-{next(self._draft)}.part"
            try:
                _write(draft, data)
            except FileNotFoundError:  # the first one of its folder
                os.makedirs(place, exist_ok=True)
                _write(draft, data)
            except OSError:  # no room: nothing half-written is left
                with contextlib.suppress(OSError):
                    os.unlink(draft)
                raise
            os.replace(draft, path)

    def read(self, name: str) -> bytes:
        """Return what a file holds; raises FileNotFoundError."""
        return self.path(name).read_bytes()

    def has(self, name: str) -> bool:
        """Tell whether a file is there."""
        return bool(name) and self.path(name).is_file()

    def remove(self, name: str) -> None:
        """Delete a file; one that is gone already is no trouble."""
        self.path(name).unlink(missing_ok=True)


def _write(path: str, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)
