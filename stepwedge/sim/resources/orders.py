"""Imaging orders as FHIR R4: ServiceRequest for what is asked, Task for what becomes of it, Appointment for when.

IHE has no finished profile of this that could be cited; the pattern is that of hl7.org/fhir/R4/workflow.html: a Task whose focus is
the ServiceRequest asks the filler to fulfil it, and the filler tells by Task.status and Task.businessStatus.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from stepwedge.model.order import STATUS_TO_HL7
from stepwedge.model.patient import PersonName
from stepwedge.model.procedure import CODING_SCHEME
from stepwedge.sim.resources import naming
from stepwedge.sim.resources.people import encounter_reference, patient_reference
from stepwedge.wire import fhir
from stepwedge.wire.fhir import refused

if TYPE_CHECKING:
    from stepwedge.model.appointment import Appointment
    from stepwedge.model.order import Order
    from stepwedge.wire.fhir import Resource

PROCEDURES: Final = f"{naming.SYSTEM}procedures/{CODING_SCHEME}"
V2_STATUS: Final = "http://terminology.hl7.org/CodeSystem/v2-0038"
TASK_CODE: Final = "http://hl7.org/fhir/CodeSystem/task-code"
REQUEST_STATUS: Final = {
    # A state of ``lifecycles.ORDER`` to RequestStatus; a discontinued exam is not asked for any more.
    "ordered": "active",
    "scheduled": "active",
    "held": "on-hold",
    "in progress": "active",
    "completed": "completed",
    "discontinued": "revoked",
    "cancelled": "revoked",
}
TASK_STATUS: Final = {
    # A state of ``lifecycles.ORDER`` to TaskStatus.
    "ordered": "received",
    "scheduled": "accepted",
    "held": "on-hold",
    "in progress": "in-progress",
    "completed": "completed",
    "discontinued": "failed",
    "cancelled": "cancelled",
}
STATUS_OF_TASK: Final = {
    "accepted": "SC",
    "ready": "SC",
    "on-hold": "HD",
    "in-progress": "IP",
    "completed": "CM",
    "failed": "DC",
    "cancelled": "CA",
    "rejected": "CA",
}
"""TaskStatus to ORC-5 (HL7 table 0038), for fillers that give no business status."""
PRIORITY_TO_FHIR: Final = {"stat": "stat", "urgent": "urgent", "routine": "routine"}
"""RequestPriority has nothing for *timed*, which is an occurrence and no urgency."""
PRIORITY_TO_HL7: Final = {"stat": "S", "asap": "A", "urgent": "A", "routine": "R", "": "R"}
APPOINTMENT_STATUS: Final = {"booked": "booked", "cancelled": "cancelled", "no show": "noshow"}


def service_request(order: Order) -> Resource:
    """Return what the placer asks for."""
    numbers = [naming.placer(order.placer)]
    numbers += [naming.filler(order.filler)] if order.filler else []
    numbers += [naming.accession(order.accession)] if order.accession else []
    provider = PersonName.from_dicom(order.provider).spoken()
    note = [{"text": order.why}] if order.why else None
    return {
        "resourceType": "ServiceRequest",
        "id": naming.logical_id(order.placer),
        "identifier": numbers,
        "status": REQUEST_STATUS[order.status],
        "intent": "order",
        "priority": PRIORITY_TO_FHIR.get(order.priority, "routine"),
        "code": naming.code(PROCEDURES, order.procedure, order.text),
        "subject": patient_reference(order.patient),
        "encounter": encounter_reference(order.visit) if order.visit else None,
        "authoredOn": naming.date_time(order.placed),
        "requester": {"display": provider} if provider else None,
        "reasonCode": [{"text": order.reason}] if order.reason else None,
        "supportingInfo": [{"display": order.alerts}] if order.alerts else None,
        "note": note,
    }


def task(order: Order, id_: str) -> Resource:
    """Return how the filler fares with an order."""
    state = STATUS_TO_HL7.get(order.status, "")
    business = naming.code(V2_STATUS, state, order.status) if state else {"text": order.status}
    return {
        "resourceType": "Task",
        "id": id_,
        "identifier": [naming.filler(order.filler)] if order.filler else None,
        "groupIdentifier": naming.placer(order.placer),
        "status": TASK_STATUS[order.status],
        "statusReason": {"text": order.why} if order.why else None,
        "businessStatus": business,
        "intent": "order",
        "code": naming.code(TASK_CODE, "fulfill", "Fulfill the focal request"),
        "focus": naming.refer("ServiceRequest", order.placer, naming.placer(order.placer)),
        "for": patient_reference(order.patient),
        "authoredOn": naming.date_time(order.placed),
    }


@dataclass(frozen=True, slots=True)
class Asked:
    """What a ServiceRequest asks of a filler."""

    placer: str
    patient: str
    procedure: str
    priority: str
    reason: str
    alerts: str
    provider: str
    visit: str
    revoked: bool
    why: str


def read_request(resource: Resource) -> Asked:
    """Read a ServiceRequest as an order; what a filler cannot do without is refused with its expression."""
    where = "ServiceRequest"
    placer = naming.typed(resource, "PLAC") or naming.typed(resource, "PLAC", "requisition")
    only = fhir.at(resource, "identifier")
    if not placer and len(only) == 1:
        placer = str(only[0].get("value", ""))
    if not placer:
        raise refused(422, "required", "a placer order number (type PLAC) is needed", f"{where}.identifier")
    if resource["intent"] != "order":
        raise refused(422, "business-rule", "only orders are filled (intent order)", f"{where}.intent")
    if resource["status"] not in {"active", "revoked"}:
        raise refused(422, "business-rule", "an order is active or revoked", f"{where}.status")
    if resource.get("doNotPerform"):
        raise refused(
            422, "business-rule", "a request not to do something is no order", f"{where}.doNotPerform"
        )
    codes = [str(one.get("code", "")) for one in fhir.at(resource, "code.coding")]
    if not codes:
        raise refused(422, "required", "a procedure code is needed", f"{where}.code")
    requester = resource.get("requester") or {}
    return Asked(
        placer=placer,
        patient=patient_of(resource["subject"]),
        procedure=codes[0],
        priority=PRIORITY_TO_HL7[str(resource.get("priority", ""))],
        reason=", ".join(_texts(resource, "reasonCode")),
        alerts=", ".join(str(one.get("display", "")) for one in fhir.at(resource, "supportingInfo")),
        provider=_name(str(requester.get("display", ""))),
        visit=str((resource.get("encounter") or {}).get("identifier", {}).get("value", "")),
        revoked=resource["status"] == "revoked",
        why=", ".join(str(one.get("text", "")) for one in fhir.at(resource, "note")),
    )


def _texts(resource: Resource, name: str) -> list[str]:
    found = []
    for one in fhir.at(resource, name):
        displays = [str(coding.get("display") or coding.get("code")) for coding in one.get("coding", ())]
        found.append(str(one.get("text") or ", ".join(displays)))
    return found


def _name(spoken: str) -> str:
    """Return a name that a person wrote as PN: the last word is the family name, a first ``Dr`` or ``Prof`` the prefix."""
    words = spoken.replace("^", " ").split()
    prefix = []
    while words and words[0].rstrip(".") in {"Dr", "Prof"}:
        prefix.append(words.pop(0))
    if not words:
        return ""
    return PersonName(words[-1], " ".join(words[:-1]), prefix=" ".join(prefix)).dicom()


def patient_of(subject: Resource) -> str:
    """Return the patient ID that a reference names: by identifier, or by the id of a resource here."""
    named = subject.get("identifier") or {}
    if named.get("value"):
        return str(named["value"])
    found = fhir.reference(str(subject.get("reference", "")))
    return found.id if found and found.kind == "Patient" else ""


def read_status(resource: Resource) -> tuple[str, str, str, str]:
    """Read what a Task tells of an order: placer and filler number, ORC-5 (HL7 table 0038), and why."""
    focus = resource.get("focus") or {}
    known = (focus.get("identifier") or {}).get("value", "")
    placer = str(known) or naming.typed(resource, "PLAC", "groupIdentifier")
    codes = [str(one.get("code", "")) for one in fhir.at(resource, "businessStatus.coding")]
    state = next((one for one in codes if one in STATUS_TO_HL7.values()), "")
    why = str((resource.get("statusReason") or {}).get("text", ""))
    return placer, naming.typed(resource, "FILL"), state or STATUS_OF_TASK.get(resource["status"], ""), why


def appointment_resource(appointment: Appointment) -> Resource:
    """Return when and where an order is done."""
    start = naming.date_time(appointment.start)
    end = naming.date_time(_later(appointment.start, appointment.minutes))
    actor = {"actor": patient_reference(appointment.patient), "status": "accepted"}
    station = {"actor": {"display": appointment.station}, "status": "accepted"}
    return {
        "resourceType": "Appointment",
        "id": naming.logical_id(appointment.id),
        "identifier": [naming.identifier("FILL", "appointment", appointment.id)],
        "status": APPOINTMENT_STATUS[appointment.status],
        "cancelationReason": {"text": appointment.why}
        if appointment.status == "cancelled" and appointment.why
        else None,
        "serviceType": [naming.code(PROCEDURES, appointment.procedure, appointment.text)]
        if appointment.procedure
        else None,
        "start": start,
        "end": end or start,
        "minutesDuration": appointment.minutes or None,
        "basedOn": [naming.refer("ServiceRequest", appointment.placer, naming.placer(appointment.placer))],
        "participant": [actor, station] if appointment.station else [actor],
    }


def _later(stamp: str, minutes: int) -> str:
    from datetime import datetime, timedelta

    try:
        begins = datetime.strptime(stamp, "%Y%m%d%H%M%S")  # noqa: DTZ007 - local time, as DICOM has it
    except ValueError:
        return ""
    return (begins + timedelta(minutes=minutes)).strftime("%Y%m%d%H%M%S")
