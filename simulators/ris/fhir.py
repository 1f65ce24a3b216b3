"""The RIS's FHIR R4 door: orders as ServiceRequest and Task, which become the same orders as by HL7."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stepwedge.model.encounter import Encounter
from stepwedge.sim.fhir.door import FhirDoor
from stepwedge.sim.fhir.offer import READS, WRITES, Offer
from stepwedge.sim.fhir.publisher import Projection, Publisher
from stepwedge.sim.fhir.service import Service
from stepwedge.sim.fhir.subscriptions import Hooks
from stepwedge.sim.messages import Item
from stepwedge.sim.resources import naming
from stepwedge.sim.resources.orders import (
    appointment_resource,
    patient_of,
    read_request,
    service_request,
    task,
)
from stepwedge.sim.resources.people import encounter_resource, patient_resource, read_patient
from stepwedge.wire.fhir import refused
from stepwedge.wire.hl7 import HL7Error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stepwedge.model.order import Order
    from stepwedge.model.patient import Patient
    from stepwedge.sim.bench import Bench
    from stepwedge.sim.fhir.offer import Given
    from stepwedge.sim.fhir.shelf import Shelf
    from stepwedge.sim.resources.orders import Asked
    from stepwedge.sim.web_client import Web
    from stepwedge.wire.fhir import Resource

    from .hl7 import Correspondence
    from .notices import Notice
    from .state import Ris

TOLD = ("Patient", "Encounter", "ServiceRequest", "Task", "Appointment")
_PLACES = {"ORC-2": "identifier", "OBR-4": "code", "TQ1-9": "priority", "PID-3": "subject"}
"""Where a ServiceRequest says what the books complain of in words of HL7."""


@dataclass(frozen=True)
class Intake:
    """Takes patients, requests and tasks into the books."""

    ris: Ris
    shelf: Shelf
    correspondence: Correspondence

    def patient(self, given: Given) -> str:
        """Take a patient, as ADT^A04 or A08 would."""
        patient = read_patient(given.resource)
        known = self.ris.patients.get(patient.id)
        if given.id and known is not None and given.id != naming.logical_id(patient.id):
            raise refused(422, "business-rule", "this is the number of another patient", "Patient.identifier")
        try:
            self.ris.admit(patient)
        except HL7Error as error:
            raise refused(409, "conflict", str(error), "Patient.identifier") from error
        return naming.logical_id(patient.id)

    def request(self, given: Given) -> str:
        """Take an order, or its cancellation."""
        asked = read_request(given.resource)
        patient = self._patient(asked)
        known = self.ris.orders.get(asked.placer)
        try:
            if asked.revoked:
                self._cancel(asked, patient, given)
            elif known is None or given.id == "":
                self._place(asked, patient, given)
            else:
                self._keep(known, patient)
        except HL7Error as error:
            expression = f"ServiceRequest.{_PLACES.get(error.location, 'identifier')}"
            raise refused(422, "business-rule", str(error), expression) from error
        return naming.logical_id(asked.placer)

    def _patient(self, asked: Asked) -> Patient:
        number = self.ris.survivor(asked.patient)
        if (found := self.ris.patients.get(number)) is None:
            raise refused(422, "not-found", "no such patient is registered here", "ServiceRequest.subject")
        return found

    def _place(self, asked: Asked, patient: Patient, given: Given) -> None:
        item = Item(
            "NW",
            placer=asked.placer,
            procedure=asked.procedure,
            priority=asked.priority,
            reason=asked.reason,
            alerts=asked.alerts,
            provider=asked.provider,
        )
        stay = Encounter(asked.visit, patient.id) if asked.visit else None
        order, new = self.ris.place(item, patient, "2.5.1", given.now, stay)
        if not new:
            self._keep(order, patient)
            return
        self.ris.orders[order.placer] = order = replace(order, by="fhir")
        if self.correspondence.settings.schedule == "automatic":
            self._send(self.ris.schedule(order, given.now), given)

    def _keep(self, order: Order, patient: Patient) -> None:
        """Leave an order told again as it is, if it is the same patient's."""
        if order.patient != patient.id:
            says = "the placer number belongs to an order of another patient"
            raise refused(409, "conflict", says, "ServiceRequest.subject")

    def _cancel(self, asked: Asked, patient: Patient, given: Given) -> None:
        item = Item("CA", placer=asked.placer, why=asked.why)
        order, done, notices = self.ris.cancel(item, patient)
        if not done:
            raise refused(
                409, "conflict", f"the order is {order.status} and cannot be revoked", "ServiceRequest.status"
            )
        self._send(notices, given)

    def task(self, given: Given) -> str:
        """Take a task to fulfil an order; ``cancelled`` cancels the order."""
        told = given.resource
        focus = told.get("focus") or {}
        placer = str((focus.get("identifier") or {}).get("value", "")) or literal_id(focus, "ServiceRequest")
        order = self.ris.orders.get(placer)
        if order is None:
            raise refused(422, "not-found", "the focus is no ServiceRequest that is known here", "Task.focus")
        if (person := patient_of(told.get("for") or {})) and self.ris.survivor(person) != order.patient:
            raise refused(409, "conflict", "the task is for another patient than its focus", "Task.for")
        if told["status"] == "cancelled":
            why = str((told.get("statusReason") or {}).get("text", ""))
            item = Item("CA", placer=placer, why=why)
            _, done, notices = self.ris.cancel(item, self.ris.patients[order.patient])
            if not done:
                raise refused(
                    409, "conflict", f"the order is {order.status} and cannot be cancelled", "Task.status"
                )
            self._send(notices, given)
        elif given.old is None and told["status"] not in {"requested", "draft"}:
            raise refused(422, "business-rule", "a new task is requested", "Task.status")
        self.ris.orders[placer] = self.ris.orders[placer]  # shown with its task from now on
        return naming.logical_id(order.filler)

    def _send(self, notices: list[Notice], given: Given) -> None:
        for send in self.correspondence.sends(self.ris, notices, given.now):
            given.change.send(send)


def literal_id(reference: Resource, kind: str) -> str:
    """Return the id in a literal reference to a resource of a kind here; empty for anything else."""
    found, _, id_ = str(reference.get("reference", "")).partition("/")
    return id_ if found == kind else ""


class Book:
    """The filler's books as resources."""

    def __init__(self, ris: Ris, shelf: Shelf) -> None:
        self._ris, self._shelf = ris, shelf
        self.projections = {
            "patients": Projection(("Patient",), lambda _key, row: [patient_resource(row)]),
            "encounters": Projection(("Encounter",), lambda _key, row: [encounter_resource(row)]),
            "orders": Projection(("ServiceRequest", "Task"), self._order),
            "appointments": Projection(("Appointment",), lambda _key, row: [appointment_resource(row)]),
        }

    def _order(self, _key: str, order: Order) -> Iterator[Resource]:
        """Show what is asked for, and how far it is if a client made a task of it: which is no sooner than it was shown."""
        yield service_request(order)
        id_ = naming.logical_id(order.filler)
        if f"Task/{id_}" in self._shelf.current:
            shown = self._ris.habits.task_state(order.status)
            yield task(replace(order, status=shown), id_)


def open_door(bench: Bench, ris: Ris, correspondence: Correspondence, web: Web) -> FhirDoor:
    """Return the RIS's FHIR door, with all that hangs on it."""
    shelf = ris.shelf
    hooks = Hooks.of(bench, ris, shelf, web, TOLD)
    Publisher(bench, ris, shelf, Book(ris, shelf).projections).attach()
    intake = Intake(ris, shelf, correspondence)
    offers = [
        Offer("Patient", (*READS, *WRITES), intake.patient),
        Offer("Encounter"),
        Offer("ServiceRequest", (*READS, *WRITES), intake.request),
        Offer("Task", (*READS, *WRITES), intake.task),
        Offer("Appointment"),
        Offer("Subscription", (*READS, *WRITES, "delete"), hooks.take),
    ]
    return FhirDoor(bench, Service(bench, ris, shelf, offers, shelf=shelf, habits=ris.habits))
