"""Known wrong behaviours of reading workstations, each in the place of one habit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepwedge.sim.quirks import collect, quirk

from .habits import ReaderHabits

if TYPE_CHECKING:
    from collections.abc import Callable


@quirk(
    "report.wrong_accession",
    defect="DEF-147",
    severity="S1",
    overrides=ReaderHabits.accession,
    notices="the report of one patient stands under another order",
)
def wrong_accession(original: Callable[..., str], study: str, previous: str) -> str:
    """Sign under the study that was open before, or next to it; seen as OBR-18 unlike (0008,0050) of the study."""
    return previous or study[:-1] + ("1" if study[-1:] != "1" else "2")


QUIRKS = collect(globals())
