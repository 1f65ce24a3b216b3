"""A load in containers: Locust's master and its workers drive the hospital in containers, all of profile ``load``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stepwedge.errors import Broken
from stepwedge.lab import containers
from stepwedge.load import case as cases

if TYPE_CHECKING:
    from rich.console import Console

SERVICES: Final = ("load-master", "load-worker")
_BESIDE: Final = 300.0
"""Seconds that a run may take beside its own: start, drain, reconciliation."""


def drive(console: Console, case: str, seconds: float) -> int:
    """Run a case by its name from containers; return what their master ended with."""
    if trouble := containers.missing():
        raise Broken(f"no containers: {trouble}")
    length = seconds or cases.load(case).seconds
    compose = ("compose", "--file", str(containers.compose_file()))
    told = {
        "COMPOSE_PROFILES": "core,load",
        "STEPWEDGE_CASE": case,
        "STEPWEDGE_SECONDS": f"{length:g}",
    }
    try:
        containers.docker(
            *compose, "up", "--detach", "--no-build", "--no-deps", *SERVICES, within=60, env=told
        )
        (master,) = containers.docker(*compose, "ps", "--all", "--quiet", SERVICES[0], env=told).split()
        code = int(containers.docker("wait", master, within=2 * length + _BESIDE))
        said = containers.docker(*compose, "logs", "--no-log-prefix", SERVICES[0], env=told)
        console.print(said.rstrip(), markup=False, highlight=False)
    finally:
        containers.docker(*compose, "rm", "--force", "--stop", *SERVICES, within=60, env=told)
    return code
