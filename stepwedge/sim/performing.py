"""What a modality says of an exam that it begins, beside whose it is (PS3.4 table F.7.2-1, RAD-6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


def begun(
    entry: Mapping[str, Any],
    scheduled: Mapping[str, Any],
    now: datetime,
    *,
    step: str,
    ae_title: str,
    station: str,
    modality: str,
) -> dict[str, Any]:
    """Return the attributes of N-CREATE that say what is performed, where and since when, types 1 and 2 complete.

    Args:
        entry: the worklist entry.
        scheduled: its scheduled procedure step.
        now: when it began.
        step: Performed Procedure Step ID.
        ae_title: of the scanner.
        station: its name.
        modality: what it is, such as CT.
    """
    charset = entry.get("SpecificCharacterSet")
    return {
        **({"SpecificCharacterSet": charset} if charset else {}),
        "ReferencedPatientSequence": [],
        "PerformedProcedureStepID": step,
        "PerformedStationAETitle": ae_title,
        "PerformedStationName": station,
        "PerformedLocation": "",
        "PerformedProcedureStepStartDate": f"{now:%Y%m%d}",
        "PerformedProcedureStepStartTime": f"{now:%H%M%S}",
        "PerformedProcedureStepStatus": "IN PROGRESS",
        "PerformedProcedureStepDescription": scheduled.get("ScheduledProcedureStepDescription", ""),
        "PerformedProcedureTypeDescription": "",
        "ProcedureCodeSequence": entry.get("RequestedProcedureCodeSequence", []),
        "PerformedProcedureStepEndDate": "",
        "PerformedProcedureStepEndTime": "",
        "Modality": modality,
        "StudyID": entry.get("RequestedProcedureID", ""),
        "PerformedProtocolCodeSequence": scheduled.get("ScheduledProtocolCodeSequence", []),
        "PerformedSeriesSequence": [],
    }
