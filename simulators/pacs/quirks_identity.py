"""Known wrong behaviours of archives about who is who and whose study is whose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepwedge.model.identifiers import ISSUER
from stepwedge.sim.quirks import quirk

from .habits import PacsHabits

if TYPE_CHECKING:
    from collections.abc import Callable


@quirk(
    "id.issuer_ignored",
    defect="DEF-034",
    severity="S1",
    overrides=PacsHabits.issuer,
    notices="two people of two houses are one, because their numbers are equal (PID-3.4 not kept)",
)
def issuer_ignored(_: Callable[[str], str], _issuer: str) -> str:
    """File every patient as if our own house had given the number."""
    return ISSUER


@quirk(
    "study.claimed_twice",
    defect="DEF-009",
    severity="S1",
    overrides=PacsHabits.refuses_study,
    notices="an exam was announced under the study of another patient, and taken (AA for a Study Instance UID in use)",
)
def claimed_twice(_: Callable[[str], bool], _owner: str) -> bool:
    """Take an exam announced under a study that is another patient's."""
    return False


@quirk(
    "mpps.wrong_entry_shown",
    defect="not listed",
    severity="S1",
    overrides=PacsHabits.hides_mistaken,
    notices="images of another patient can be opened under this one (C-FIND answers after 110514)",
)
def wrong_entry_shown(_: Callable[[str], bool], _reason: str) -> bool:
    """Go on showing what was acquired from the wrong worklist entry."""
    return False


@quirk(
    "archive.older_wins",
    defect="DEF-210",
    severity="S2",
    overrides=PacsHabits.outdated,
    notices="after an old queue was replayed the study stands under a former name (EVN-2 not looked at)",
)
def older_wins(_: Callable[[str, str], bool], _told: str, _known: str) -> bool:
    """Take whatever comes last, however old it is."""
    return False
