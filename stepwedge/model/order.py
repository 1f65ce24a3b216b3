"""Orders as placer and filler keep them, and the codes in which HL7 and DICOM speak of their urgency and state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PRIORITY_FROM_HL7: Final = {
    # HL7 table 0485 (TQ1-9) and the priority component of TQ (ORC-7.6, OBR-27.6) to our word.
    "S": "stat",
    "A": "urgent",
    "P": "urgent",
    "C": "urgent",
    "T": "timed",
    "R": "routine",
    "": "routine",
}
PRIORITY_TO_HL7: Final = {"stat": "S", "urgent": "A", "timed": "T", "routine": "R"}
PRIORITY_TO_DICOM: Final = {
    # PS3.3 C.4.11, Requested Procedure Priority (0040,1003), value representation SH.
    "stat": "STAT",
    "urgent": "HIGH",
    "timed": "MEDIUM",
    "routine": "ROUTINE",
}

STATUS_TO_HL7: Final = {
    # HL7 table 0038 (order status, ORC-5) as RAD-3 and RAD-13 use it.
    "scheduled": "SC",
    "in progress": "IP",
    "completed": "CM",
    "cancelled": "CA",
    "discontinued": "DC",
    "held": "HD",
}
EVENT_FROM_HL7: Final = {
    # ORC-5 of a status message (RAD-3) to the event of ``lifecycles.ORDER`` that it reports.
    "SC": "schedule",
    "IP": "start",
    "A": "start",
    "CM": "complete",
    "CA": "cancel",
    "DC": "discontinue",
}


@dataclass(frozen=True, slots=True)
class Order:
    """One imaging order as one system knows it.

    Attributes:
        placer: number given by the order placer (ORC-2), the key by which a resent order is recognised.
        filler: number given by the order filler (ORC-3), empty until it answered.
        patient: patient ID, always that of the surviving record.
        procedure: code in the hospital's procedure catalogue (OBR-4.1).
        priority: ``routine``, ``timed``, ``urgent`` or ``stat``.
        status: a state of ``lifecycles.ORDER``.
        version: HL7 version in which the order is spoken about, ``2.3.1`` or ``2.5.1``.
        study: Study Instance UID of the requested procedure, where known.
        alerts: danger code or medical alerts (OBR-13, (0010,2000)).
        provider: ordering physician, DICOM PN (ORC-12, OBR-16, (0032,1032)).
        placed: when it was placed, ``YYYYMMDDHHMMSS``.
        visit: visit number of the encounter in which it was ordered (PV1-19), empty when it was not said.
        why: reason of the last cancellation or discontinuation (ORC-16).
        comments: what else the department should know (NTE, (0040,1400)), lines joined by a newline.
        imaging: it is spoken about in OMI^O23 with IPC (2.5.1 only), and its placer issued accession number and study.
        by: how placer and filler speak of it: ``hl7`` or ``fhir``.
    """

    placer: str
    patient: str
    procedure: str
    text: str = ""
    filler: str = ""
    accession: str = ""
    priority: str = "routine"
    status: str = "ordered"
    reason: str = ""
    alerts: str = ""
    provider: str = ""
    version: str = "2.5.1"
    study: str = ""
    placed: str = ""
    why: str = ""
    visit: str = ""
    comments: str = ""
    imaging: bool = False
    by: str = "hl7"
