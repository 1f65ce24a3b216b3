"""Procedures: what a department offers, what it has scheduled, and what was performed (PS3.3 C.4, IHE RAD TF-1)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from stepwedge.errors import BadInput

if TYPE_CHECKING:
    from pathlib import Path

CODING_SCHEME: Final = "99SW"
"""Coding scheme designator of the synthetic catalogue; private schemes start with 99 (PS3.16 section 8.2)."""


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One step of a procedure in the catalogue: the protocol, the station where it is usually done, the contrast agent."""

    code: str
    text: str
    modality: str
    station: str
    contrast: str = ""


@dataclass(frozen=True, slots=True)
class Procedure:
    """One procedure that may be ordered.

    Attributes:
        body_part: Body Part Examined (0018,0015), a defined term of PS3.16 annex L.
        recipe: name of the phantom that a synthetic scan of it shows.
    """

    code: str
    text: str
    modality: str
    body_part: str
    steps: tuple[PlannedStep, ...]
    recipe: str = ""


@dataclass(frozen=True, slots=True)
class RequestedProcedure:
    """One requested procedure: the unit that gets one study and one report (PS3.3 C.4.11)."""

    id: str
    placer: str
    study: str
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class ScheduledStep:
    """One scheduled procedure step (PS3.3 C.4.10), the unit that a scanner finds on its worklist.

    Attributes:
        id: Scheduled Procedure Step ID (0040,0009).
        requested: Requested Procedure ID (0040,1001).
        station: Scheduled Station AE Title (0040,0001).
        start: ``YYYYMMDDHHMMSS``, (0040,0002) and (0040,0003) in one.
        status: a state of ``lifecycles.STEP``.
        contrast: Requested Contrast Agent (0032,1070), empty for none.
    """

    id: str
    requested: str
    accession: str
    code: str
    text: str
    modality: str
    station: str
    start: str
    status: str = "SCHEDULED"
    contrast: str = ""


@dataclass(frozen=True, slots=True)
class PerformedStep:
    """One modality performed procedure step (PS3.4 annex F) as its manager keeps it.

    Attributes:
        steps: Scheduled Procedure Step IDs that it performs; empty for an unscheduled exam.
        reason: Performed Procedure Step Discontinuation Reason, ``code^meaning^scheme``.
        instances: number of SOP instances it lists.
    """

    uid: str
    status: str
    station: str
    patient: str
    study: str = ""
    accession: str = ""
    steps: tuple[str, ...] = ()
    reason: str = ""
    instances: int = 0


@cache
def catalogue(path: Path) -> dict[str, Procedure]:
    """Read the procedure catalogue of a hospital, by procedure code."""
    import yaml

    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict) or not content:
        raise BadInput(str(path), "a mapping from procedure code to procedure", type(content).__name__)
    return {str(code): _procedure(path, str(code), entry) for code, entry in content.items()}


def _procedure(path: Path, code: str, entry: object) -> Procedure:
    try:
        fields = dict(entry)  # type: ignore[call-overload]  # checked by the except below
        steps = tuple(PlannedStep(**step) for step in fields.pop("steps"))
        procedure = Procedure(code=code, steps=steps, **fields)
    except (TypeError, ValueError, KeyError) as error:
        wanted = "text, modality, body_part, steps (each code, text, modality, station) and optionally recipe"
        raise BadInput(f"{path}: procedure {code}", wanted, str(error)) from error
    if not steps:
        raise BadInput(f"{path}: procedure {code}", "at least one step", "none")
    return procedure
