"""Simulated systems in processes of their own (``process: own`` in the lab file), beside the hospital that plays the others.

Such a system can be killed, stopped and filled up without harm to anybody else. Its doors get free ports before anything starts, so
that the hospital knows where it will be, and it finds them again after every restart.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
from typing import TYPE_CHECKING, Any, Final

from stepwedge import kit
from stepwedge.errors import BadInput
from stepwedge.lab.child import Child, python
from stepwedge.lab.processes import LINUX, Process
from stepwedge.sim.shared_quirks import SHARED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from stepwedge.lab.labfile import Lab
    from stepwedge.lab.schema import Simulated

DOORS: Final[Mapping[str, tuple[str, ...]]] = {
    "ehr": ("hl7", "fhir"),
    "ris": ("hl7", "fhir", "worklist"),
    "pacs": ("hl7", "fhir", "web", "dicom"),
    "engine": ("hl7",),
    "modality": ("dicom",),
    "reader": ("dicom",),
    "router": ("dicom",),
}
"""The doors of the roles that can stand in a process of their own."""
_SCHEMES: Final = {
    "hl7": "mllp://{}",
    "fhir": "http://{}/fhir",
    "web": "http://{}/dicom-web",
    "admin": "http://{}",
}
_READY: Final = "hospital.json"
_START: Final = 30.0


def directory(lab: Lab) -> dict[str, dict[str, str]]:
    """Return where each system in a process of its own will be, at ports that are free now."""
    wanted = [(name, door) for name, one in lab.own.items() for door in (*_doors(lab, name, one), "admin")]
    ports = iter(_free(len(wanted)))
    found = {
        name: {"application": str(one.settings.get("application") or f"SW_{name.upper()}")}
        for name, one in lab.own.items()
    }
    for name, door in wanted:
        place = f"127.0.0.1:{next(ports)}"
        title = lab.own[name].settings.get("ae_title") or f"SW_{name.upper()}"[:16]
        found[name][door] = _SCHEMES.get(door, f"dicom://{title}@{{}}").format(place)
    return found


def start(
    lab: Lab, name: str, told: Mapping[str, Any], state: Path, seed: int, quirks: Sequence[str]
) -> tuple[Child, dict[str, Any]]:
    """Start one system; ``told`` is its entry and everybody's address (a plan of :mod:`stepwedge.sim.host`).

    Returns the process that keeps it, and what it says about itself.
    """
    one, folder = lab.own[name], state / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _READY).unlink(missing_ok=True)
    plan = state / f"{name}.actors.json"
    plan.write_text(json.dumps(told, indent=1), encoding="utf-8")
    command = python("-m", "stepwedge", "sim", name, "--actors", str(plan), "--state", str(folder))
    command += ["--seed", str(seed)]
    command += [word for quirk in able(one.role, quirks) for word in ("--quirk", quirk)]
    disk = _folder(state, name) if one.disk else None
    keeper = kept(command, state / f"{name}.kept.json", disk, one.disk)
    child = Child.start(f"the simulated {name}", keeper, state / f"{name}.log")
    try:
        child.wait_until((folder / _READY).is_file, _START)
    except BaseException:
        child.stop()
        raise
    said = json.loads((folder / _READY).read_text(encoding="utf-8"))
    return child, {**said["actors"][name], "admin": said["admin"]}


def kept(command: Sequence[str], told: Path, disk: Path | None = None, size: int = 0) -> list[str]:
    """Return the command that keeps another one, written down in ``told``, perhaps with a disk of its own."""
    told.with_suffix(".down").unlink(missing_ok=True)
    options = ["--told", str(told)]
    around: list[str] = []
    if disk is not None:
        disk.mkdir(parents=True, exist_ok=True)
        options += ["--disk", str(size), str(disk)]
        around = _namespace()
    return [*around, *python("-m", "stepwedge.lab.keep"), *options, *command]


def machine(lab: Lab, name: str, state: Path) -> Process:
    """Return what a system in a process of its own runs on."""
    one = lab.own.get(name)
    begun = None if one else lab.real[name].start
    sized = one.disk if one else begun is not None and begun.disk
    disk = (_folder(state, name) if one else state / name) if sized else None
    return Process(name, state / f"{name}.kept.json", disk)


def able(role: str, quirks: Iterable[str]) -> list[str]:
    """Return those of the quirks that a role can have."""
    known = {**SHARED, **getattr(kit.load_simulator(role), "QUIRKS", {})}
    return [quirk for quirk in quirks if quirk in known]


def disk_missing() -> str:
    """Return why no system can have a disk of its own here; empty when it can."""
    if not LINUX:
        return "file systems in memory and namespaces to mount them in are Linux's"
    for program in ("unshare", "mount"):
        if shutil.which(program) is None:
            return f"there is no {program} (util-linux)"
    return ""


def _namespace() -> list[str]:
    """Return the command that gives a process mounts of its own; without privileges by a user namespace (unshare(1))."""
    if trouble := disk_missing():
        raise BadInput("disk", "a machine that can mount one for a process alone", trouble)
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return ["unshare", *user, "--mount", "--propagation", "private", "--"]


def _folder(state: Path, name: str) -> Path:
    """Return what a simulated system keeps on its disk: all but its journal, which is our evidence."""
    return state / name / name


def _doors(lab: Lab, name: str, one: Simulated) -> tuple[str, ...]:
    if one.role not in DOORS:
        raise BadInput(
            f"{lab.file} (actors.{name}.process)",
            f"one of {', '.join(DOORS)} in a process of its own",
            one.role,
        )
    return DOORS[one.role]


def _free(count: int) -> list[int]:
    """Return ports nobody listens on now; all are held until the last is found, so that they differ."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(one.getsockname()[1]) for one in held]
    for one in held:
        one.close()
    return ports
