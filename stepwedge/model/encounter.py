"""Encounters: one stay or visit of a patient, as HL7 speaks of it in PV1 (ITI-31, HL7 2.5.1 section 3.4.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

CLASSES: Final = {"inpatient": "I", "outpatient": "O", "emergency": "E"}
"""Patient class (PV1-2, HL7 table 0004) by our word."""


@dataclass(frozen=True, slots=True)
class Encounter:
    """One encounter as one system knows it.

    Attributes:
        visit: visit number (PV1-19), (0038,0010) on the worklist and in images.
        patient_class: PV1-2, HL7 table 0004.
        location: PV1-3 point of care, room and bed joined by ``^``; ``former`` is PV1-6.
        status: a state of ``lifecycles.ENCOUNTER``.
        began: when it began (PV1-44), ``YYYYMMDDHHMMSS``; ``ended`` PV1-45.
    """

    visit: str
    patient: str
    patient_class: str = "I"
    location: str = ""
    former: str = ""
    status: str = ""
    began: str = ""
    ended: str = ""
