"""List every file of evidence with its hash, so that a changed or missing one is noticed."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Final

from stepwedge.errors import BadInput
from stepwedge.report.atomic import replace

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST: Final = "manifest.json"
_OUTPUTS: Final = {"report.html", "summary.json", MANIFEST, "junit.xml", "pytest.log"}
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


def keep(folder: Path) -> None:
    """Write ``manifest.json`` once: a report that is written again must not bless changed evidence."""
    if not (folder / MANIFEST).exists():
        listed = {name: {"sha256": digest, "size": size} for name, (digest, size) in files(folder).items()}
        replace(folder / MANIFEST, json.dumps(listed, indent=1) + "\n")


def verify(folder: Path) -> list[str]:
    """Return what differs from the manifest: files changed, missing or added."""
    try:
        kept = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise BadInput(
            str(folder / MANIFEST), "the manifest of a run", "none", "write the reports first"
        ) from None
    found = {name: digest for name, (digest, _) in files(folder).items()}
    differ = [f"{name}: missing" for name in kept if name not in found]
    differ += [f"{name}: changed" for name in kept if name in found and found[name] != kept[name]["sha256"]]
    return differ + [f"{name}: was not there" for name in found if name not in kept]
