"""What the books of the order filler want others to be told, and what they put aside for a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stepwedge.model.appointment import Appointment
    from stepwedge.model.order import Order
    from stepwedge.model.procedure import RequestedProcedure, ScheduledStep
    from stepwedge.sim.messages import Document, ReportEvent


@dataclass(frozen=True, slots=True)
class ToArchive:
    """RAD-4 or RAD-13: these steps of an order are now as they are."""

    control: str
    status: str
    order: Order
    requested: RequestedProcedure
    steps: tuple[ScheduledStep, ...]


@dataclass(frozen=True, slots=True)
class ToPlacer:
    """RAD-3: an order has this status (ORC-1 and ORC-5)."""

    control: str
    status: str
    order: Order


@dataclass(frozen=True, slots=True)
class ToCalendar:
    """RAD-48: the appointment of an order is now as it is."""

    trigger: str
    order: Order
    appointment: Appointment


@dataclass(frozen=True, slots=True)
class ToReader:
    """A report for those who ordered it."""

    order: Order
    event: ReportEvent


@dataclass(frozen=True, slots=True)
class ToChart:
    """A report as a document (MDM)."""

    trigger: str
    order: Order
    document: Document


Notice = ToArchive | ToPlacer | ToCalendar | ToReader | ToChart


@dataclass(frozen=True, slots=True)
class Oddity:
    """Something that fits no order and waits for a person: the exception list; ``settled`` says how, by whom and when."""

    kind: str
    says: str
    at: str
    patient: str = ""
    accession: str = ""
    study: str = ""
    mpps: str = ""
    settled: str = ""
