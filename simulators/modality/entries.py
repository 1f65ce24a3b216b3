"""Worklist entries as the console takes them: complete ones, incomplete ones, and those typed in by hand. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import BadInput, Failed

from .state import STEP

if TYPE_CHECKING:
    from .settings import Settings

Elements = dict[str, Any]

TYPE_1: Final = ("StudyInstanceUID", "RequestedProcedureID", "PatientName", "PatientID")
STEP_TYPE_1: Final = (
    "ScheduledStationAETitle",
    "ScheduledProcedureStepStartDate",
    "ScheduledProcedureStepStartTime",
    "Modality",
    "ScheduledProcedureStepID",
)
"""Return keys of type 1, PS3.4 table K.6-1: the worklist provider must give a value."""


def accepted(
    entry: Elements, step: int, settings: Settings, uid: str, own_study: str
) -> tuple[Elements, int, list[str]]:
    """Judge the chosen entry: return it, its step, and the keys that had to be filled in.

    A strict console refuses an entry without a value for a key of type 1 and names every such key; a lenient one makes values
    up from the step's own ``uid`` and goes on.
    """
    steps = entry.get(STEP) or []
    if not 0 <= step < len(steps):
        raise BadInput("start_exam: step", f"a number below {len(steps)}", str(step))
    scheduled = steps[step]
    missing = [key for key in TYPE_1 if not entry.get(key)]
    step_missing = [key for key in STEP_TYPE_1 if not scheduled.get(key)]
    if not missing and not step_missing:
        return entry, step, []
    named = [*missing, *step_missing]
    if settings.acceptance == "strict":
        raise Failed(f"the worklist entry has no value for {', '.join(named)} (type 1, PS3.4 table K.6-1)")
    made = _made_up(settings, uid, own_study)
    steps = [
        one | {key: made[key] for key in step_missing if key in made} if place == step else one
        for place, one in enumerate(steps)
    ]
    return entry | {key: made[key] for key in missing} | {STEP: steps}, step, named


def by_hand(patient: dict[str, Any], description: str, study: str) -> Elements:
    """Return the entry of an exam that nobody scheduled, as the technologist types it in: no order, no accession number."""
    name = patient.get("name", "")
    return {
        **({} if name.isascii() else {"SpecificCharacterSet": "ISO_IR 192"}),
        "PatientName": name,
        "PatientID": patient.get("id", ""),
        "IssuerOfPatientID": patient.get("issuer", ""),
        "PatientBirthDate": patient.get("birth_date", ""),
        "PatientSex": patient.get("sex", ""),
        "StudyInstanceUID": study,
        STEP: [{"ScheduledProcedureStepDescription": description}],
    }


def measurements(args: dict[str, Any]) -> dict[str, str]:
    """Return what was measured at the scanner: weight in kg and height in m, as (0010,1030) and (0010,1020)."""
    told = {}
    for name, key, largest in (("weight", "PatientWeight", 650.0), ("height", "PatientSize", 2.8)):
        if args.get(name) is None:
            continue
        try:
            value = float(args[name])
        except (TypeError, ValueError):
            value = 0.0
        if not 0 < value <= largest:
            raise BadInput(f"start_exam: {name}", f"a number above 0, at most {largest:g}", repr(args[name]))
        told[key] = f"{value:g}"
    return told


def _made_up(settings: Settings, uid: str, own_study: str) -> dict[str, str]:
    tail = uid[-8:]
    return {
        "StudyInstanceUID": own_study,
        "RequestedProcedureID": f"L{tail}",
        "PatientName": "UNKNOWN",
        "PatientID": f"L{tail}",
        "Modality": settings.modality,
        "ScheduledProcedureStepID": f"L{tail}",
    }
