"""Known wrong behaviours of report managers, and of departments about who is who."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepwedge.sim.quirks import quirk

from .habits import RisHabits

if TYPE_CHECKING:
    from collections.abc import Callable

    from stepwedge.model.patient import Patient


@quirk(
    "report.patient_as_provider",
    defect="DEF-136",
    severity="S2",
    overrides=RisHabits.ordering_provider,
    notices="the report says that the patient ordered the exam (OBR-16 is PID-5)",
)
def patient_as_provider(_: Callable[..., str], _provider: str, patient: Patient) -> str:
    """Write the patient's name where the ordering physician belongs."""
    return patient.name.dicom()


@quirk(
    "report.time_of_arrival",
    defect="DEF-133",
    severity="S3",
    overrides=RisHabits.reported_at,
    notices="the report was signed, it seems, when it passed the department (OBR-22 is not the reader's)",
)
def time_of_arrival(_: Callable[[str, str], str], _at: str, now: str) -> str:
    """Write the time at which the report was sent on; a minute late, as a queue makes it."""
    return f"{now[:10]}0000"


@quirk(
    "report.late_draft",
    defect="DEF-138",
    severity="S1",
    overrides=RisHabits.keeps_back,
    notices="after the final report the ward gets the draft that was overtaken (ORU^R01 P behind F)",
)
def late_draft(_: Callable[..., bool], *, late: bool) -> bool:
    """Send a draft on although the final report went before it."""
    return late and False


@quirk(
    "id.by_position",
    defect="DEF-035",
    severity="S2",
    overrides=RisHabits.chosen,
    notices="the patient stands on the worklist under the insurance number (the first of PID-3)",
)
def by_position(_: Callable[[list[tuple[str, str]]], str], identifiers: list[tuple[str, str]]) -> str:
    """Take the first identifier, whoever assigned it."""
    return identifiers[0][0] if identifiers else ""


@quirk(
    "report.late_images_unseen",
    defect="DEF-244",
    severity="S2",
    overrides=RisHabits.flags_late,
    notices="images came after the report, and nobody was told (no entry on the exception list)",
)
def late_images_unseen(_: Callable[[str], bool], _reported: str) -> bool:
    """Take images of a study that is reported as if nothing were."""
    return False
