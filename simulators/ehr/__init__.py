"""The electronic health record: registers patients, places and cancels orders, receives status and reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepwedge.sim.hl7 import Hl7Door
from stepwedge.sim.simulator import Simulator

from .acts import Ward
from .encounters import Admissions
from .habits import EhrHabits
from .hl7 import HANDLERS
from .identity import Desk
from .quirks import QUIRKS
from .settings import Settings
from .state import Ehr

if TYPE_CHECKING:
    from stepwedge.sim.bench import Bench

__all__ = ["QUIRKS", "build"]


def build(bench: Bench) -> Simulator:
    """Return the EHR that stands on this bench."""
    settings = Settings.read(bench.settings, bench.name)
    ehr = bench.restore(Ehr(bench.seed, bench.name, habits=bench.adopt(EhrHabits())))
    ward = Ward(bench, ehr, settings, settings.catalogue())
    desk = Desk(bench, ehr, settings)
    acts = {**ward.acts(), **Admissions(ward).acts(), **desk.acts()}
    asks = {**ward.asks(), **desk.asks()}
    return Simulator(bench, ehr, doors=[Hl7Door(bench, ehr, HANDLERS)], acts=acts, asks=asks)
