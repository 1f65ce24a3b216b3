"""The reading workstation: finds and opens studies, signs reports and adds to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepwedge.sim.by_hand import ByHand
from stepwedge.sim.dimse import DimseDoor
from stepwedge.sim.rows import pack
from stepwedge.sim.simulator import Simulator

from .acts import Acts
from .exporting import Exporting
from .habits import ReaderHabits
from .marking import Marks
from .quirks import QUIRKS
from .reading import Reading
from .retrieval import Screen, accepted
from .settings import Settings
from .state import Desk
from .tasks import Tasks
from .watching import Watching

if TYPE_CHECKING:
    from stepwedge.sim.bench import Bench

__all__ = ["QUIRKS", "build"]


def build(bench: Bench) -> Simulator:
    """Return a reading workstation standing on ``bench``."""
    settings = Settings.read(bench.settings)
    desk = bench.restore(Desk(bench.seed, bench.name))
    habits = bench.adopt(ReaderHabits())
    watching = Watching(bench, desk, settings)
    screen = Screen(watching.heard)
    acts = Acts(bench, desk, screen, settings, habits)
    tasks = Tasks(bench, desk, settings)
    return Simulator(
        bench,
        desk,
        doors=[DimseDoor(bench, screen, accepted())],
        acts={
            **acts.words(),
            **Reading(bench, desk, acts, habits).words(),
            **Marks(bench, desk, settings).words(),
            **Exporting(bench, desk, acts).words(),
            **tasks.words(),
            **watching.words(),
            **ByHand(bench, desk).acts(),
        },
        closes=[tasks],
        asks={"report": lambda args: pack(desk.reports.get(args["report"])), "news": watching.told},
    )
