"""The radiology information system: order filler, scheduler, worklist, performed procedure step and report manager."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepwedge.sim.by_hand import ByHand
from stepwedge.sim.dimse import DimseDoor
from stepwedge.sim.hl7 import Hl7Door
from stepwedge.sim.simulator import Door, Simulator
from stepwedge.sim.web_client import Web

from .acts import Desk
from .dimse import ACCEPTS, Scanners
from .fhir import open_door
from .habits import RisHabits
from .hl7 import Correspondence
from .quirks import QUIRKS
from .settings import Settings
from .state import Ris

if TYPE_CHECKING:
    from stepwedge.sim.bench import Bench

__all__ = ["QUIRKS", "build"]


def build(bench: Bench) -> Simulator:
    """Return the RIS that stands on this bench."""
    settings = Settings.read(bench.settings, bench.name)
    habits = bench.adopt(RisHabits())
    ris = bench.restore(
        Ris(bench.seed, bench.name, procedures=settings.catalogue(), habits=habits, lead=settings.lead)
    )
    correspondence = Correspondence(bench, settings)
    desk = Desk(bench, ris, correspondence)
    web = Web(bench)
    doors: list[Door] = [
        Hl7Door(bench, ris, correspondence.handlers()),
        DimseDoor(
            bench, Scanners(bench, ris, correspondence, settings.forward), ACCEPTS, doors=("worklist",)
        ),
        open_door(bench, ris, correspondence, web),
    ]
    return Simulator(
        bench, ris, doors=doors, acts=desk.acts() | ByHand(bench, ris).acts(), asks=desk.asks(), closes=[web]
    )
