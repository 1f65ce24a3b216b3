"""The patient identity cross reference manager and demographics supplier: who is who under which number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepwedge.sim.hl7 import Hl7Door
from stepwedge.sim.simulator import Simulator

from .acts import Keeper
from .feed import Notices
from .habits import MpiHabits
from .queries import QUERIES
from .quirks import QUIRKS
from .settings import Settings
from .state import Index

if TYPE_CHECKING:
    from stepwedge.sim.bench import Bench

__all__ = ["QUIRKS", "build"]


def build(bench: Bench) -> Simulator:
    """Return a patient index standing on ``bench``."""
    settings = Settings.read(bench.settings, bench.name)
    index = bench.restore(Index(bench.seed, bench.name, settings, bench.adopt(MpiHabits())))
    notices = Notices(bench, index)
    keeper = Keeper(bench, index, notices)
    door = Hl7Door(bench, index, notices.handlers() | QUERIES)
    return Simulator(bench, index, doors=[door], acts=keeper.acts(), asks=keeper.asks())
