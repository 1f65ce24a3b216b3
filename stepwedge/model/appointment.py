"""Appointments: when and where an order is done, as the scheduler tells it to the ward (RAD-48, HL7 chapter 10)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

STATUS_TO_HL7: Final = {"booked": "Booked", "cancelled": "Cancelled", "no show": "Noshow"}
"""Filler status code (SCH-25, HL7 table 0278) by state of ``lifecycles.APPOINTMENT``."""


@dataclass(frozen=True, slots=True)
class Appointment:
    """One appointment; an order has one, however often it is moved.

    Attributes:
        id: filler appointment ID (SCH-2), the key under which it is moved and cancelled.
        start: ``YYYYMMDDHHMMSS``, that of the first scheduled step.
        minutes: how long it takes.
        station: AE title of the scanner (AIL-3).
        status: a state of ``lifecycles.APPOINTMENT``.
        why: event reason (SCH-6).
    """

    id: str
    placer: str
    filler: str
    patient: str
    start: str
    minutes: int = 0
    station: str = ""
    procedure: str = ""
    text: str = ""
    status: str = "booked"
    why: str = ""
