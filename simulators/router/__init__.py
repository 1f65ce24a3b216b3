"""The DICOM router and edge cache: takes objects in, keeps them, and brings each to every destination of its rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepwedge.sim.dimse import DimseDoor
from stepwedge.sim.files import Files
from stepwedge.sim.simulator import Simulator
from stepwedge.wire.encodings import COMPACT

from .acts import Operator
from .commitment import Commitments
from .delivery import Delivery
from .dimse import Gate, accepted
from .habits import RouterHabits
from .quirks import QUIRKS
from .settings import Settings
from .state import Router

if TYPE_CHECKING:
    from stepwedge.sim.bench import Bench

__all__ = ["QUIRKS", "build"]

LARGEST_OBJECT = 1 << 29
"""Bytes of one data set; a larger one ends the association instead of filling memory."""


def build(bench: Bench) -> Simulator:
    """Return a router standing on ``bench``."""
    settings = Settings.read(bench.settings, bench.name)
    router = bench.restore(Router(bench.seed, bench.name, settings, bench.adopt(RouterHabits())))
    files = Files(bench.folder / "objects")
    delivery = Delivery(bench, router, files)
    commitments = Commitments(bench, router, delivery)
    operator = Operator(bench, router, delivery, files)
    gate = Gate(bench, router, files, delivery, commitments)
    return Simulator(
        bench,
        router,
        doors=[
            DimseDoor(
                bench,
                gate,
                accepted(query=settings.query),
                max_data=LARGEST_OBJECT,
                as_proposed=COMPACT,
            )
        ],
        acts=operator.acts(),
        asks=operator.asks(),
        background=[delivery.run, commitments.resume],
    )
