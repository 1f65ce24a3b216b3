"""How available an instance is, and the notices that say so (RAD-49, PS3.4 annex R). Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .rejection import EXPIRED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .state import Archive, Instance
    from .steps import Performed

Elements = dict[str, Any]

IAN: Final = "1.2.840.10008.5.1.4.33"
"""Instance Availability Notification SOP Class."""
MPPS_CLASS: Final = "1.2.840.10008.3.1.2.3.3"
WORST_FIRST: Final = ("UNAVAILABLE", "OFFLINE", "NEARLINE", "ONLINE")
"""Instance Availability (0008,0056), PS3.4 C.4.1.1.3.2: of several, the least available is told."""


def availability(archive: Archive, instance: Instance) -> str:
    """Return the availability of one instance; what was rejected or deleted has none."""
    if archive.hidden(instance.sop) or instance.sop not in archive.instances:
        return "UNAVAILABLE"
    return archive.habits.tier(archive.tier(instance.study))


def least(archive: Archive, instances: Iterable[Instance]) -> str:
    """Return the availability of a study or series."""
    found = {availability(archive, one) for one in instances}
    return next((word for word in WORST_FIRST if word in found), "UNAVAILABLE")


def notification(
    archive: Archive, study: str, instances: Iterable[Instance], ae_title: str, step: Performed | None = None
) -> Elements:
    """Return the attributes of one N-CREATE (PS3.4 table R.3.2-1).

    Referenced Performed Procedure Step Sequence is type 2: present, and empty when no one step is meant.
    """
    series: dict[str, list[Elements]] = {}
    for one in instances:
        series.setdefault(one.series, []).append(
            {
                "RetrieveAETitle": ae_title,
                "InstanceAvailability": availability(archive, one),
                "ReferencedSOPClassUID": one.sop_class,
                "ReferencedSOPInstanceUID": one.sop,
            }
        )
    performed = []
    if step is not None:
        performed.append(
            {
                "ReferencedSOPClassUID": MPPS_CLASS,
                "ReferencedSOPInstanceUID": step.uid,
                "PerformedWorkitemCodeSequence": [],
            }
        )
    return archive.habits.notice(
        {
            "ReferencedPerformedProcedureStepSequence": performed,
            "StudyInstanceUID": study,
            "ReferencedSeriesSequence": [
                {"SeriesInstanceUID": uid, "ReferencedSOPSequence": items} for uid, items in series.items()
            ],
        }
    )


def step_of(archive: Archive, instances: Iterable[Instance]) -> Performed | None:
    """Return the one performed step that made what was rejected; none when there are several, when it expired, or unheard of."""
    steps: dict[str, Performed] = {}
    for one in instances:
        rejection = archive.rejections.get(one.sop)
        if rejection is None:
            continue
        if rejection.code == EXPIRED:
            return None
        steps |= {step.uid: step for step in archive.performed.by("sop", one.sop)}
    return next(iter(steps.values())) if len(steps) == 1 else None
