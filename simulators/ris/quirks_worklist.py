"""Known wrong behaviours of departments in what they put on the worklist, and when it leaves it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from stepwedge.sim.quirks import quirk

from .habits import RisHabits

if TYPE_CHECKING:
    from collections.abc import Callable

    from stepwedge.model.context import ClinicalContext
    from stepwedge.model.procedure import ScheduledStep
    from stepwedge.wire.elements import Elements

_STEPS = "ScheduledProcedureStepSequence"
_IDEOGRAPHS = "\u2e80"
"""Everything from here on needs more than one byte in each character set of Asia."""


def _stepwise(entry: Elements, changes: dict[str, Any]) -> Elements:
    """Return an entry with other values in its scheduled steps, where they were asked for."""
    steps = [
        {**step, **{key: value for key, value in changes.items() if key in step}}
        for step in entry.get(_STEPS) or []
    ]
    return {**entry, _STEPS: steps} if steps else entry


@quirk(
    "order.orm_modality_swap",
    defect="DEF-013",
    severity="S1",
    overrides=RisHabits.complete,
    notices="the scanner's list is empty, or shows exams of another device ((0008,0060) is not the one that was planned)",
)
def orm_modality_swap(original: Callable[[Elements], Elements], entry: Elements) -> Elements:
    """Read the modality from the field in which nobody writes it."""
    return _stepwise(original(entry), {"Modality": "OT"})


@quirk(
    "order.protocol_code_lost",
    defect="DEF-014",
    severity="S2",
    overrides=RisHabits.complete,
    notices="the technologist cannot see which protocol was ordered ((0040,0007) and (0040,0008) empty)",
)
def protocol_code_lost(original: Callable[[Elements], Elements], entry: Elements) -> Elements:
    """Put steps on the list without saying what is to be done."""
    lost = {"ScheduledProcedureStepDescription": "", "ScheduledProtocolCodeSequence": []}
    return _stepwise(original(entry), lost)


@quirk(
    "order.reason_wrong_field",
    defect="DEF-011",
    severity="S2",
    overrides=RisHabits.complete,
    notices="where the question should stand the name of the exam stands ((0040,1002) is OBR-4 and not OBR-31)",
)
def reason_wrong_field(original: Callable[[Elements], Elements], entry: Elements) -> Elements:
    """Take the reason of an exam from the field before."""
    made = original(entry)
    if not made.get("ReasonForTheRequestedProcedure"):
        return made
    return made | {"ReasonForTheRequestedProcedure": made.get("RequestedProcedureDescription", "CT")}


@quirk(
    "mwl.null_field_crash",
    defect="DEF-098",
    severity="S2",
    overrides=RisHabits.offers,
    notices="exams without contrast are on nobody's list (no entry whose (0040,1006) would be empty)",
)
def null_field_crash(original: Callable[[ScheduledStep], bool], step: ScheduledStep) -> bool:
    """Stumble over a field without a value."""
    return original(step) and bool(step.contrast)


@quirk(
    "mwl.complete_npe",
    defect="DEF-023",
    severity="S2",
    overrides=RisHabits.offers,
    notices="an exam that was done yesterday is still to be done (C-FIND answers after COMPLETED)",
)
def complete_npe(original: Callable[[ScheduledStep], bool], step: ScheduledStep) -> bool:
    """Fail to close a step when its exam is over."""
    return step.status == "COMPLETED" or original(step)


@quirk(
    "mpps.nset_race",
    defect="DEF-022",
    severity="S2",
    overrides=RisHabits.all_done,
    notices="for the ward the exam goes on for ever (no RAD-3 with CM after COMPLETED)",
)
def nset_race(_: Callable[[tuple[str, ...]], bool], _statuses: tuple[str, ...]) -> bool:
    """Never notice that the last step is over."""
    return False


@quirk(
    "ctx.first_nte",
    defect="DEF-207",
    severity="S2",
    overrides=RisHabits.context,
    notices="the second allergy is not on the console ((0010,2110) has the first AL1 alone)",
)
def first_nte(
    original: Callable[[ClinicalContext], ClinicalContext], known: ClinicalContext
) -> ClinicalContext:
    """Keep the first of several allergies."""
    told = original(known)
    return replace(told, allergies=told.allergies[:1])


@quirk(
    "charset.iso2022_escapes",
    defect="DEF-044",
    severity="S2",
    overrides=RisHabits.worklist_name,
    notices="a Japanese name begins with (B on the console (what is left of an escape sequence in (0010,0010))",
)
def iso2022_escapes(original: Callable[[str], str], name: str) -> str:
    """Take the end of an escape sequence for text."""
    shown = original(name)
    return f"(B{shown}" if any(sign >= _IDEOGRAPHS for sign in shown) else shown
