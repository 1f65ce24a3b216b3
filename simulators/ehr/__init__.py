"""The electronic health record: registers patients, places and cancels orders, receives status and reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepwedge.sim.by_hand import ByHand
from stepwedge.sim.hl7 import Hl7Door
from stepwedge.sim.simulator import Simulator
from stepwedge.sim.web_client import Web

from .acts import Ward
from .changes import Changes
from .encounters import Admissions
from .fhir import open_door
from .habits import EhrHabits
from .hl7 import HANDLERS
from .identity import Desk
from .quirks import QUIRKS
from .results import HANDLERS as RESULT_HANDLERS
from .results import Results
from .settings import Settings
from .state import Ehr

if TYPE_CHECKING:
    from stepwedge.sim.bench import Bench

__all__ = ["QUIRKS", "build"]


def build(bench: Bench) -> Simulator:
    """Return the EHR that stands on this bench."""
    settings = Settings.read(bench.settings, bench.name)
    ehr = bench.restore(Ehr(bench.seed, bench.name, habits=bench.adopt(EhrHabits())))
    web = Web(bench)
    ward = Ward(bench, ehr, settings, settings.catalogue())
    results = Results(ward)
    desk = Desk(bench, ehr, settings)
    acts = {
        **ward.acts(),
        **Admissions(ward).acts(),
        **Changes(ward).acts(),
        **results.acts(),
        **desk.acts(),
        **ByHand(bench, ehr).acts(),
    }
    return Simulator(
        bench,
        ehr,
        doors=[Hl7Door(bench, ehr, {**HANDLERS, **RESULT_HANDLERS}), open_door(bench, ehr, web)],
        acts=acts,
        asks={**ward.asks(), **results.asks(), **desk.asks()},
        closes=[web],
    )
