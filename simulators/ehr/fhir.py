"""The EHR's FHIR R4 server: its books as resources, whatever brought them in, and the tasks of fillers as they tell them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stepwedge.sim.fhir.door import FhirDoor, FhirSender
from stepwedge.sim.fhir.offer import READS, WRITES, Offer
from stepwedge.sim.fhir.publisher import Projection, Publisher
from stepwedge.sim.fhir.service import Service
from stepwedge.sim.fhir.subscriptions import Hooks
from stepwedge.sim.messages import Item
from stepwedge.sim.resources import naming, results
from stepwedge.sim.resources.orders import appointment_resource, read_status, service_request
from stepwedge.sim.resources.people import encounter_resource, patient_resource
from stepwedge.wire.fhir import refused
from stepwedge.wire.hl7 import HL7Error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stepwedge.model.order import Order
    from stepwedge.model.patient import Patient
    from stepwedge.model.report import Report
    from stepwedge.sim.bench import Bench
    from stepwedge.sim.fhir.offer import Given
    from stepwedge.sim.web_client import Web
    from stepwedge.wire.fhir import Resource

    from .state import Ehr

TOLD = (
    "Patient",
    "Encounter",
    "ServiceRequest",
    "Appointment",
    "Task",
    "ImagingStudy",
    "DiagnosticReport",
    "Observation",
    "AuditEvent",
)


class Chart:
    """The ward's books as resources."""

    def __init__(self, ehr: Ehr) -> None:
        self._ehr = ehr
        self.projections = {
            "patients": Projection(("Patient",), self._patient),
            "encounters": Projection(("Encounter",), lambda _key, row: [encounter_resource(row)]),
            "orders": Projection(("ServiceRequest", "ImagingStudy"), self._order, alone=False),
            "appointments": Projection(("Appointment",), lambda _key, row: [appointment_resource(row)]),
            "reports": Projection(("DiagnosticReport", "Observation"), self._report, alone=False),
        }

    def _patient(self, _key: str, patient: Patient) -> Iterator[Resource]:
        told = patient_resource(patient)
        for name in told.get("name") or ():
            for part in ("text", "family"):
                if part in name:
                    name[part] = self._ehr.habits.shown_text(name[part])
        yield told

    def _order(self, _key: str, order: Order) -> Iterator[Resource]:
        told = service_request(order)
        if told["requester"] is not None:
            patient = self._ehr.patients[order.patient].name.spoken()
            told["requester"] = {"display": self._ehr.habits.requester(told["requester"]["display"], patient)}
        yield told
        if order.study:
            yield results.imaging_study(order.study, order)

    def _report(self, _key: str, report: Report) -> Iterator[Resource]:
        order = next((one for one in self._ehr.orders.values() if one.filler == report.filler), None)
        if order is not None:
            status = self._ehr.habits.report_status(results.report_status(report))
            yield results.diagnostic_report(report, order, status)
            yield results.observation(report, order, status)


def hear(ehr: Ehr, given: Given) -> str:
    """Take a filler's Task: what it says of an order of ours goes into the books, and it is kept as it came."""
    placer, filler, state, why = read_status(given.resource)
    order = ehr.orders.get(placer)
    if order is None:
        raise refused(422, "not-found", "no order of ours is the focus of this task", "Task.focus")
    if state:
        item = Item("SC", status=state, placer=placer, filler=filler or None, why=why or None)
        try:
            ehr.hear(item)
        except HL7Error as error:
            raise refused(422, "business-rule", str(error), "Task.focus") from error
    return given.id or naming.logical_id(filler or placer)


def open_door(bench: Bench, ehr: Ehr, web: Web) -> FhirDoor:
    """Return the EHR's FHIR door, with all that hangs on it."""
    shelf = ehr.shelf
    hooks = Hooks.of(bench, ehr, shelf, web, TOLD)
    bench.outbox.register("fhir", FhirSender(bench, web))
    Publisher(bench, ehr, shelf, Chart(ehr).projections).attach()
    shown = [Offer(kind) for kind in TOLD if kind not in {"Task", "AuditEvent"}]
    offers: list[Any] = [
        *shown,
        Offer("Task", (*READS, *WRITES), lambda given: hear(ehr, given)),
        Offer("AuditEvent", (*READS, "create")),
        Offer("Subscription", (*READS, *WRITES, "delete"), hooks.take),
    ]
    return FhirDoor(bench, Service(bench, ehr, shelf, offers, shelf=shelf, habits=ehr.habits))
