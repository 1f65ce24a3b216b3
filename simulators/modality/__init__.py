"""The acquisition modality, one of ten kinds: worklist, performed procedure step, images, storage commitment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepwedge.sim.dimse import DimseDoor
from stepwedge.sim.rows import pack
from stepwedge.sim.simulator import Simulator

from . import quirks, quirks_objects
from .acquisition import Acquisition
from .acts import Acts
from .by_hand import ByHand
from .dimse import ACCEPTS, Console
from .exams import Exams
from .habits import ModalityHabits
from .network import Network
from .rejecting import Rejecting
from .settings import Settings
from .state import Scanner

if TYPE_CHECKING:
    from stepwedge.sim.bench import Bench

__all__ = ["QUIRKS", "build"]

QUIRKS = quirks.QUIRKS | quirks_objects.QUIRKS


def build(bench: Bench) -> Simulator:
    """Return a scanner standing on ``bench``."""
    settings = Settings.read(bench.settings)
    habits = bench.adopt(ModalityHabits())
    scanner = bench.restore(Scanner(bench.seed, bench.name, bench.ae_title, habits, settings.modality))
    console = Console(bench, scanner)
    network = Network(bench, scanner, settings)
    return Simulator(
        bench,
        scanner,
        doors=[DimseDoor(bench, console, ACCEPTS)],
        acts=Acts(bench, scanner, console, settings, network).words()
        | Acquisition(bench, scanner, settings).words()
        | Exams(bench, scanner, settings, network).words()
        | Rejecting(bench, scanner, settings, network).words()
        | ByHand(bench, scanner, console, settings, network).words()
        | network.words(),
        asks={
            "exam": lambda args: pack(scanner.exams.get(args["uid"])),
            "disk": lambda _: pack(list(scanner.pictures.values())),
            "commitment": lambda args: pack(scanner.transactions.get(args["transaction"])),
        },
    )
