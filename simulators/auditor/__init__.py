"""The audit record repository: takes audit messages by syslog (ITI-20), seals them, and lets them be searched as FHIR."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepwedge.sim.simulator import Simulator
from stepwedge.sim.web import WebDoor

from .acts import Keeper
from .door import Door
from .habits import AuditorHabits
from .quirks import QUIRKS
from .settings import Settings
from .state import Repository
from .web import ROOT, Web

if TYPE_CHECKING:
    from stepwedge.sim.bench import Bench

__all__ = ["QUIRKS", "build"]


def build(bench: Bench) -> Simulator:
    """Return the audit record repository that stands on this bench."""
    settings = Settings.read(bench.settings, bench.name)
    repository = bench.restore(Repository(bench.seed, bench.name, bench.adopt(AuditorHabits())))
    door = Door(bench, repository, settings)
    keeper = Keeper(bench, repository, door)
    return Simulator(
        bench,
        repository,
        doors=[door, WebDoor(bench, Web(repository, door).application(), ROOT)],
        acts=keeper.acts(),
        asks=keeper.asks(),
    )
