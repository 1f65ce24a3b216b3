"""The interface engine: takes HL7 messages in, translates, queues and delivers them, and keeps what nobody would take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepwedge.sim.hl7 import Hl7Sender
from stepwedge.sim.simulator import Simulator

from .acts import Operator
from .habits import EngineHabits
from .hl7 import Relay, RelayDoor
from .quirks import QUIRKS
from .settings import Settings
from .state import Engine

if TYPE_CHECKING:
    from stepwedge.sim.bench import Bench

__all__ = ["QUIRKS", "build"]


def build(bench: Bench) -> Simulator:
    """Return the interface engine that stands on this bench."""
    settings = Settings.read(bench.settings, bench.name)
    habits = bench.adopt(EngineHabits())
    engine = bench.restore(
        Engine(
            bench.seed,
            bench.name,
            routes=settings.routes,
            tables=settings.tables,
            habits=habits,
            enhanced=settings.enhanced,
        )
    )
    relay = Relay(bench, engine, settings)
    bench.outbox.policy = relay
    sender = Hl7Sender(bench, relay.said, relay.late)
    bench.outbox.register("hl7", sender)
    operator = Operator(bench, engine, relay)
    doors = [RelayDoor(bench, relay), *(RelayDoor(bench, relay, one) for one in settings.listeners)]
    return Simulator(bench, engine, doors=doors, acts=operator.acts(), asks=operator.asks())
