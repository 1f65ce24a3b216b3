"""Known wrong behaviours of archives about who is who: merges, and images of the same patient that look like another's."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from stepwedge.sim.quirks import quirk

from .habits import PacsHabits

if TYPE_CHECKING:
    from collections.abc import Callable

    from stepwedge.model.patient import Patient


@quirk(
    "merge.creates_patient",
    defect="DEF-027",
    severity="S1",
    overrides=PacsHabits.stays,
    notices="after the merge there are three records where there were two, and the images hang at the third",
)
def creates_patient(original: Callable[[Patient], Patient], patient: Patient) -> Patient:
    """Make a record under an authority of one's own for whoever stays."""
    return replace(original(patient), issuer="MERGED")


@quirk(
    "merge.self_circular",
    defect="DEF-029",
    severity="S1",
    overrides=PacsHabits.refuses_circle,
    notices="a patient who lives is found by nobody any more (ADT^A40 of a record into itself carried out)",
)
def self_circular(_: Callable[[bool], bool], _circle: bool) -> bool:
    """Merge a record into itself."""
    return False


@quirk(
    "merge.unknown_target_refused",
    defect="DEF-226",
    severity="S2",
    overrides=PacsHabits.merges_into_unknown,
    notices="a patient has a new number, and the images stay under the old one (AE where PID-3 of an A40 is new)",
)
def unknown_target_refused(_: Callable[[bool], bool], known: bool) -> bool:
    """Refuse a merge into a number that is new."""
    return known


@quirk(
    "charset.incompatible",
    defect="DEF-040",
    severity="S1",
    overrides=PacsHabits.refuses_charset,
    notices="images of patients with foreign names are refused (C000 for every (0008,0005) but ISO_IR 100)",
)
def incompatible(_: Callable[[str], bool], term: str) -> bool:
    """Refuse objects that are not written in the character set of the house."""
    return term not in {"", "ISO_IR 100"}
