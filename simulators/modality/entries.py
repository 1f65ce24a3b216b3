"""Worklist entries as the console takes them: complete ones, incomplete ones, and those typed in by hand. Pure."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import BadInput, Failed, RemoteProtocolError
from stepwedge.wire.charset import writes
from stepwedge.wire.elements import vr_of

from .state import STEP

if TYPE_CHECKING:
    from collections.abc import Mapping

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
TYPE_2: Final = ("AccessionNumber", "ReferringPhysicianName", "PatientBirthDate", "PatientSex")
"""Return keys of type 2 that the performed step and every image repeat: they must be there, and may be empty."""
FORMS: Final = {
    "DA": re.compile(r"\d{4}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])"),
    "TM": re.compile(r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?"),
    "UI": re.compile(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))*"),
    "CS": re.compile(r"[A-Z0-9_ ]*"),
}
"""What a value of these VRs looks like, PS3.5 table 6.2-1."""
CHARSET: Final = "SpecificCharacterSet"
LONGEST: Final = {"AE": 16, "CS": 16, "SH": 16, "LO": 64, "PN": 64, "UI": 64, "DA": 8}
"""Characters of a value at most, PS3.5 table 6.2-1."""


def accepted(
    entry: Elements, step: int, settings: Settings, uid: str, own_study: str
) -> tuple[Elements, int, list[str]]:
    """Judge the chosen entry: return it, its step, and the keys that had to be filled in.

    A strict console refuses an entry without a value for a key of type 1, without a key of type 2, with a value that is longer
    than its VR allows or none of its VR, or in a character set that does not exist, and names every such key; a lenient one makes
    values up from the step's own ``uid``, cuts what is too long, empties what cannot be read, and goes on.
    """
    steps = entry.get(STEP) or []
    if not 0 <= step < len(steps):
        raise BadInput("start_exam: step", f"a number below {len(steps)}", str(step))
    scheduled = steps[step]
    entry, strange = _readable(entry, scheduled, settings)
    entry, absent = _there(entry, settings)
    strange += absent
    scheduled = entry[STEP][step]
    missing = [key for key in TYPE_1 if not entry.get(key)]
    step_missing = [key for key in STEP_TYPE_1 if not scheduled.get(key)]
    if not missing and not step_missing:
        return entry, step, strange
    named = [*missing, *step_missing]
    if settings.acceptance == "strict":
        raise Failed(f"the worklist entry has no value for {', '.join(named)} (type 1, PS3.4 table K.6-1)")
    made = _made_up(settings, uid, own_study)
    steps = [
        one | {key: made[key] for key in step_missing if key in made} if place == step else one
        for place, one in enumerate(steps)
    ]
    return entry | {key: made[key] for key in missing} | {STEP: steps}, step, [*strange, *named]


def too_long(elements: Elements) -> list[str]:
    """Return the keys whose value is longer than PS3.5 table 6.2-1 allows, in characters; a name in each of its groups."""
    return [key for key, value in elements.items() if isinstance(value, str) and _cut(key, value) != value]


def _cut(key: str, value: str) -> str:
    most = LONGEST.get(vr_of(key), 0)
    if not most:
        return value
    separator = "=" if vr_of(key) == "PN" else "\\"
    return separator.join(part[:most] for part in value.split(separator))


def unreadable(elements: Elements) -> list[str]:
    """Return the keys whose value is none of its VR: a date with dashes, a UID with letters (PS3.5 table 6.2-1)."""
    return [
        key
        for key, value in elements.items()
        if key != CHARSET and value and isinstance(value, str) and not _formed(value, vr_of(key))
    ]


def _formed(value: str, vr: str) -> bool:
    form = FORMS.get(vr)
    return form is None or all(form.fullmatch(part) for part in value.split("\\"))


def _there(entry: Elements, settings: Settings) -> tuple[Elements, list[str]]:
    """Return the entry with its keys of type 2, and those that were missing; a strict console refuses it instead."""
    absent = [key for key in TYPE_2 if key not in entry]
    if absent and settings.acceptance == "strict":
        raise Failed(f"the worklist entry lacks {', '.join(absent)} (type 2, PS3.4 table K.6-1)")
    return entry | dict.fromkeys(absent, ""), absent


def _readable(entry: Elements, scheduled: Elements, settings: Settings) -> tuple[Elements, list[str]]:
    """Return the entry with values that fit, and the keys of those that did not; a strict console refuses it instead."""
    long = {*too_long(entry), *too_long(scheduled)}
    none = {*unreadable(entry), *unreadable(scheduled)}
    named = sorted(long | none) + ([CHARSET] if not _known(str(entry.get(CHARSET) or "")) else [])
    if not named:
        return entry, []
    if settings.acceptance == "strict":
        raise Failed(
            f"the worklist entry has values that cannot be: {', '.join(named)} (PS3.5 table 6.2-1, PS3.3 C.12.1.1.2)"
        )

    def fit(elements: Elements) -> Elements:
        return {
            key: "" if key in none else _cut(key, value) if key in long else value
            for key, value in elements.items()
        }

    fitting = fit(entry)
    if CHARSET in named:
        fitting[CHARSET] = "ISO_IR 192"
    fitting[STEP] = [fit(one) for one in entry[STEP]]
    return fitting, named


def _known(charset: str) -> bool:
    """Tell whether every term of a Specific Character Set is defined."""
    try:
        writes("\u00e4", charset)
    except RemoteProtocolError:
        return False
    return True


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


def shown_time(args: Mapping[str, Any], now: datetime) -> datetime:
    """Return what the scanner's clock shows: the time the scenario says, else the real one."""
    if not (said := args.get("at")):
        return now
    try:
        return datetime.strptime(str(said), "%Y%m%d%H%M%S").replace(tzinfo=now.tzinfo)
    except ValueError as error:
        raise BadInput("at", "YYYYMMDDHHMMSS", str(said), str(error)) from error
