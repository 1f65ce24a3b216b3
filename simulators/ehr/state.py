"""The ward's books: patients, orders as the placer knows them, the reports that came back. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import BadInput
from stepwedge.model.appointment import Appointment
from stepwedge.model.context import NOTHING, ClinicalContext
from stepwedge.model.encounter import Encounter
from stepwedge.model.identifiers import digits
from stepwedge.model.lifecycles import APPOINTMENT, IllegalTransition, follow
from stepwedge.model.order import PRIORITY_FROM_HL7, Order
from stepwedge.model.patient import Patient
from stepwedge.model.report import Report
from stepwedge.sim.fhir.shelf import Shelf
from stepwedge.sim.messages import Document
from stepwedge.sim.tables import State
from stepwedge.wire.hl7 import HL7Error

if TYPE_CHECKING:
    from datetime import datetime

    from stepwedge.sim.messages import Item, ReportEvent

    from .habits import EhrHabits

REPORTED: Final = {
    # ORC-5 of RAD-3 (HL7 table 0038) to the state it reports.
    "SC": "scheduled",
    "IP": "in progress",
    "A": "in progress",
    "CM": "completed",
    "CA": "cancelled",
    "DC": "discontinued",
    "HD": "held",
}
ANSWERED: Final = {"CR": "cancelled", "HR": "held", "OR": "scheduled"}
"""ORC-1 of a reply (HL7 table 0119) to the state it confirms."""
FOLLOWS: Final = {
    # What a placer believes after what: ``lifecycles.ORDER`` with every step that may be missed, and no way back.
    "ordered": {"scheduled", "in progress", "completed", "cancelled", "discontinued"},
    "scheduled": {"held", "in progress", "completed", "cancelled", "discontinued"},
    "held": {"scheduled", "in progress", "completed", "cancelled", "discontinued"},
    "in progress": {"completed", "discontinued"},
    "completed": set(),
    "discontinued": {"scheduled"},
    "cancelled": set(),
}


@dataclass(frozen=True, slots=True)
class Known:
    """Under which identifiers of other domains a patient is known, by the newest notice of the patient index (ITI-10)."""

    patient: str
    identifiers: tuple[str, ...]


class Ehr(State):
    """All tables of the EHR, and what may happen to them."""

    def __init__(self, seed: int, name: str, *, habits: EhrHabits) -> None:
        super().__init__(seed, name)
        self.habits = habits
        self.patients = self.table("patients", Patient)
        self.orders = self.table("orders", Order)
        self.reports = self.table("reports", Report)
        self.documents = self.table("documents", Document)
        self.documents.index("filler", lambda document: [document.filler])
        self.contexts = self.table("contexts", ClinicalContext)
        self.encounters = self.table("encounters", Encounter)
        self.appointments = self.table("appointments", Appointment)
        self.shelf = Shelf(self)
        self.known = self.table("known", Known)
        self.encounters.index("patient", lambda encounter: [encounter.patient])
        self.appointments.index("placer", lambda appointment: [appointment.placer])
        self.appointments.index("patient", lambda appointment: [appointment.patient])
        self.orders.index("accession", lambda order: [order.accession])
        self.orders.index("patient", lambda order: [order.patient])
        self.reports.index("patient", lambda report: [report.patient])
        self.reports.index("accession", lambda report: [report.accession])

    def survivor(self, patient: str) -> str:
        """Return the ID under which a patient is known now."""
        while (row := self.patients.get(patient)) is not None and row.merged_into:
            patient = row.merged_into
        return patient

    def context(self, patient: str) -> ClinicalContext:
        """Return what is known of a patient."""
        return self.contexts.get(self.survivor(patient)) or NOTHING

    def merge(self, survivor: str, prior: str) -> Patient:
        """Merge a record into the surviving one, with its orders and reports."""
        old = self.patients[prior]
        self.patients[prior] = replace(old, merged_into=survivor)
        for order in self.orders.by("patient", prior):
            self.orders[order.placer] = replace(order, patient=survivor)
        for report in self.reports.by("patient", prior):
            self.reports[report.filler] = replace(report, patient=survivor)
        if (known := self.contexts.get(prior)) is not None:
            self.contexts[survivor] = known.with_more(self.contexts.get(survivor) or NOTHING)
        for encounter in self.encounters.by("patient", prior):
            self.encounters[encounter.visit] = replace(encounter, patient=survivor)
        for key, appointment in list(self.appointments.items()):
            if appointment.patient == prior:
                self.appointments[key] = replace(appointment, patient=survivor)
        return self.patients[survivor]

    def encounter(self, value: Any) -> Encounter:
        """Return the encounter that an encounter object or a visit number names."""
        number = str(value.get("visit", "")) if isinstance(value, dict) else str(value)
        if (found := self.encounters.get(number)) is None:
            raise BadInput("visit", "an encounter of the EHR", number or "none")
        return found

    def note(self, told: Appointment, event: str) -> None:
        """Take what the scheduler says about an appointment (RAD-48); SCH-2 is its key, so a moved one is the same."""
        order = self.find(placer=told.placer, filler=told.filler)
        if order is None:
            raise HL7Error(204, "SCH-26", f"no order has placer {told.placer!r}, filler {told.filler!r}")
        if self.survivor(told.patient) != order.patient:
            raise HL7Error(204, "PID-3", f"order {order.placer} is for another patient than {told.patient}")
        key = self.habits.appointment_key(told)
        known = self.appointments.get(key)
        try:
            status = follow(APPOINTMENT, known.status if known else "", event if known else "book")
        except IllegalTransition as error:
            raise HL7Error(103, "SCH-25", str(error)) from error
        status = status if known else told.status
        filler = told.filler or order.filler
        self.appointments[key] = replace(told, patient=order.patient, filler=filler, status=status)

    def find(self, *, placer: str = "", filler: str = "", accession: str = "") -> Order | None:
        """Return the order that all given numbers agree on; a number we were never told does not count."""
        order = (
            self.orders.get(placer) if placer else next(iter(self.orders.by("accession", accession)), None)
        )
        if order is None:
            return None
        told = ((filler, order.filler), (accession, order.accession))
        return order if all(not given or not known or given == known for given, known in told) else None

    def hear(self, item: Item) -> None:
        """Take what the filler says about an order (the reply to RAD-2, or RAD-3); a state never goes back."""
        order = self.find(placer=item.placer or "", filler=item.filler or "", accession=item.accession or "")
        if order is None:
            numbers = f"placer {item.placer!r}, filler {item.filler!r}, accession {item.accession!r}"
            raise HL7Error(204, "ORC-2", f"no order has {numbers}")
        status = ANSWERED.get(item.control) or REPORTED.get(item.status or "", order.status)
        self.orders[order.placer] = replace(
            order,
            filler=order.filler or item.filler or "",
            accession=order.accession or item.accession or "",
            status=status if status in FOLLOWS[order.status] else order.status,
            why=order.why or item.why or "",
        )

    def number(self, item: Item, patient: Patient, version: str, now: datetime) -> Order:
        """Take an order that the filler made: one filler number gets one placer number, however often it is told."""
        person = self.patients.get(self.survivor(patient.id))
        if person is None:
            raise HL7Error(204, "PID-3", f"patient {patient.id} was never registered")
        if not item.filler:
            raise HL7Error(101, "ORC-3", "an order made by its filler needs a filler order number")
        placer = f"P{digits(10, self.seed, 'number assigned', item.filler)}"
        if (known := self.orders.get(placer)) is not None:
            if known.patient != person.id:
                raise HL7Error(204, "PID-3", f"order {item.filler} is for another patient than {patient.id}")
            return known
        self.orders[placer] = order = Order(
            placer=placer,
            filler=item.filler,
            accession=item.accession or "",
            patient=person.id,
            procedure=item.procedure or "",
            text=item.text or "",
            priority=PRIORITY_FROM_HL7.get(item.priority or "", "routine"),
            reason=item.reason or "",
            provider=item.provider or "",
            version=version,
            placed=f"{now:%Y%m%d%H%M%S}",
        )
        return order

    def receive(self, event: ReportEvent, patient: Patient, now: datetime) -> None:
        """File a report with its order; a late preliminary is kept, and never becomes what is read."""
        order = self.find(placer=event.placer, filler=event.filler, accession=event.accession)
        if order is None:
            numbers = f"placer {event.placer!r}, filler {event.filler!r}, accession {event.accession!r}"
            raise HL7Error(204, "OBR-2", f"no order has {numbers}")
        if self.survivor(patient.id) != order.patient:
            raise HL7Error(204, "PID-3", f"order {order.placer} is for another patient than {patient.id}")
        filler = order.filler or event.filler
        old = self.reports.get(filler) or Report(filler, event.accession, order.patient, event.study)
        told = event.addendum if event.letter == "A" else event.text
        try:
            new = old.with_version(
                event.letter,
                told,
                author=event.author,
                at=event.at or f"{now:%Y%m%d%H%M%S}",
                critical=self.habits.alarms(critical=event.critical),
                sr=event.sr,
                pdf=event.pdf,
                link=event.link,
            )
        except IllegalTransition as error:
            raise HL7Error(103, "OBR-25", str(error)) from error
        self.reports[filler] = self.habits.filed(new)
        learnt = replace(
            order,
            filler=filler,
            accession=order.accession or event.accession,
            study=event.study or order.study,
        )
        if learnt != order:  # a filler that only ever acknowledged says its numbers here for the first time
            self.orders[order.placer] = learnt
