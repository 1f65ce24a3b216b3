"""The hospital in containers: ``stepwedge up --containers``, and what ``stepwedge down`` removes of it.

Everything of ours carries a label, so that it is found again whatever became of the process that started it; what does not
carry it is never touched.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Final

from stepwedge import kit
from stepwedge.actors.words import did_you_mean
from stepwedge.errors import BadInput, Broken
from stepwedge.lab import apart, labfile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rich.console import Console

LABEL: Final = "stepwedge.stack"
COMPOSE: Final = "docker-compose.yml"
LAB: Final = "fixtures/labs/containers.yaml"
PROFILES: Final = {"core": LAB, "orthanc": "fixtures/labs/containers-orthanc.yaml", "observe": LAB}
"""What can be started, and the lab file it is run with."""
_ASKED: Final = 15.0
_LONGEST_START: Final = 180.0
_TAIL: Final = 1500
_KINDS: Final = (
    # in this order: nothing is removed while something uses it
    ("containers", ("ps", "--all"), ("rm", "--force", "--volumes")),
    ("networks", ("network", "ls"), ("network", "rm")),
    ("volumes", ("volume", "ls"), ("volume", "rm")),
)


def up(console: Console, profiles: Sequence[str] = ()) -> int:
    """Start the containers of some profiles, wait until each is healthy, and say where everybody is.

    ``orthanc`` takes the place of the simulated PACS; all else comes on top of ``core``.
    """
    for profile in profiles:
        if profile not in PROFILES:
            near = did_you_mean(profile, PROFILES).strip(" ;")
            raise BadInput("--profile", f"one of {', '.join(PROFILES)}", profile, near)
    file = compose_file()
    if trouble := missing():
        raise Broken(f"no containers: {trouble}")
    real = "orthanc" in profiles
    told = {
        "COMPOSE_PROFILES": ",".join(dict.fromkeys([*profiles, *([] if real else ["core"])])),
        "STEPWEDGE_PLAN": "hospital-orthanc" if real else "hospital",
    }
    arguments = ("compose", "--file", str(file), "up", "--detach", "--wait", "--no-build", "--remove-orphans")
    docker(*arguments, within=_LONGEST_START, env=told)
    chosen = PROFILES["orthanc" if real else "core"]
    lab = labfile.load(kit.find(chosen))
    for name, one in apart.look(lab).items():
        doors = [where for where in one["address"].values() if "//" in where]
        console.print(f"{name:8} {'  '.join(doors)}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"they run; now: stepwedge run --lab {chosen}", markup=False, highlight=False)
    return 0


def down() -> dict[str, int]:
    """Remove every container, network and volume that carries our label; return how many of each there were."""
    if engine_missing():
        return {}
    removed = {}
    for kind, listing, removing in _KINDS:
        found = docker(*listing, "--quiet", "--filter", f"label={LABEL}").split()
        if found:
            docker(*removing, *found, within=_LONGEST_START)
            removed[kind] = len(found)
    return removed


def engine_missing() -> str:
    """Return why no engine can be used, ``""`` when one answers."""
    if shutil.which("docker") is None:
        return "there is no docker command; install an engine, on Debian docker.io"
    try:
        docker("info", "--format", "{{.ServerVersion}}")
    except Broken as trouble:
        return f"no engine answers ({trouble})"
    return ""


def missing() -> str:
    """Return why the containers cannot be started here, ``""`` when they can."""
    if trouble := engine_missing():
        return trouble
    try:
        docker("compose", "version", "--short")
    except Broken:
        return "docker compose is not there; install its plug-in (docker-compose-plugin, in Debian 13 docker-compose)"
    return ""


def compose_file() -> Path:
    """Return our compose file; one that starts other things is not ours to start."""
    file = kit.find(COMPOSE)
    if LABEL not in file.read_text(encoding="utf-8"):
        raise BadInput(str(file), f"Stepwedge's own, whose containers carry {LABEL}", "another compose file")
    return file


def docker(*arguments: str, within: float = _ASKED, env: Mapping[str, str] | None = None) -> str:
    """Run the docker command and return what it printed; raises ``Broken`` with its last words."""
    command = ["docker", *arguments]
    try:
        done = subprocess.run(  # noqa: S603 - our own arguments, no shell
            command,
            capture_output=True,
            text=True,
            timeout=within,
            check=False,
            env={**os.environ, **(env or {})},
        )
    except subprocess.TimeoutExpired:
        raise Broken(f"docker {arguments[0]} did not end within {within:g} s") from None
    except OSError as trouble:
        raise Broken(f"docker cannot be run ({trouble.strerror})") from trouble
    if done.returncode:
        raise Broken(f"docker {' '.join(arguments[:2])}: {done.stderr.strip()[-_TAIL:]}")
    return done.stdout
