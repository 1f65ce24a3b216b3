"""List every file of evidence with its hash, so that a changed or missing one is noticed."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_OUTPUTS: Final = {"report.html", "summary.json", "manifest.json", "matrix.html", "matrix.json", "pytest.log"}
_FOLDERS: Final = {"allure-results", "state"}


def files(folder: Path) -> dict[str, tuple[str, int]]:
    """Return SHA-256 and size of every evidence file below a run folder, by its relative path.

    Evidence is the journals and what they refer to; reports made from it and the state of systems are not.
    """
    listed = {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if (
            not path.is_file()
            or path.is_symlink()
            or relative.parts[0] in _FOLDERS
            or relative.name.startswith(".")
        ):
            continue
        if len(relative.parts) == 1 and relative.name in _OUTPUTS:
            continue
        with path.open("rb") as file:
            listed[relative.as_posix()] = (
                hashlib.file_digest(file, "sha256").hexdigest(),
                path.stat().st_size,
            )
    return listed
