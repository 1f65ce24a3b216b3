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
