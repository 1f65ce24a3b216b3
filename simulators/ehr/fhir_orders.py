"""Orders placed and cancelled as FHIR R4: a transaction of Patient, ServiceRequest and Task at the filler.

The filler's answers to the task come back by a Subscription that the first order brings with it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from stepwedge.errors import BadInput, Refused
from stepwedge.sim.fhir.door import errand
from stepwedge.sim.messages import Item
from stepwedge.sim.objects import order_object
from stepwedge.sim.resources import naming
from stepwedge.sim.resources.orders import PRIORITY_TO_FHIR, TASK_CODE, service_request
from stepwedge.sim.resources.people import patient_reference, patient_resource
from stepwedge.sim.store import Send
from stepwedge.wire import fhir

if TYPE_CHECKING:
    from stepwedge.model.order import Order
    from stepwedge.sim.simulator import Case
    from stepwedge.sim.store import Change
    from stepwedge.wire.fhir import Resource

    from .acts import Ward

OK, CONFLICT = "200", "409"


@dataclass(frozen=True)
class FhirOrders:
    """Those who order by FHIR."""

    ward: Ward

    def check(self, order: Order) -> None:
        """Refuse what a ServiceRequest cannot say."""
        if order.priority not in PRIORITY_TO_FHIR:
            known = ", ".join(PRIORITY_TO_FHIR)
            raise BadInput("ehr.place_order: priority", f"one of {known} in an order by FHIR", order.priority)

    def placing(self, change: Change, order: Order, case: Case) -> Send:
        """Put the transaction that places an order into the outbox."""
        return self._send(change, "POST", "/", self._transaction(order), case)

    async def placed(self, send: Send, order: Order) -> dict[str, Any]:
        """Wait for the filler's answer and take what it says about the order."""
        answer, code = await self._answer(send)
        if code != OK:
            raise Refused(
                f"{send.to} would not take order {order.placer}: HTTP {code} {fhir.diagnostics(answer)}"
            )
        self._hear(answer, order)
        return order_object(self.ward.ehr.orders[order.placer])

    async def resend(self, order: Order, case: Case) -> dict[str, Any]:
        """Place an order again under the same number, as a sender does that is unsure whether it arrived."""
        with self.ward.bench.change(self.ward.ehr) as change:
            send = self.placing(change, order, case)
        answer, code = await self._answer(send)
        if code == OK:
            self._hear(answer, order)
        return {**order_object(self.ward.ehr.orders[order.placer]), "answer": code}

    async def cancel(self, order: Order, why: str, case: Case) -> dict[str, Any]:
        """Revoke the ServiceRequest at the filler, which decides: 200 is cancelled, 409 unable to cancel."""
        ehr = self.ward.ehr
        asked = {**_told(service_request(order)), "status": "revoked", "note": [{"text": why or "revoked"}]}
        del asked["id"]
        query = f"identifier={naming.SYSTEM}placer|{order.placer}"
        with self.ward.bench.change(ehr) as change:
            send = self._send(change, "PUT", f"/ServiceRequest?{query}", asked, case)
        _, code = await self._answer(send)
        if code == OK:
            with self.ward.bench.change(ehr):
                ehr.hear(Item("CR", placer=order.placer))
                ehr.orders[order.placer] = replace(ehr.orders[order.placer], why=why)
        control = {OK: "CR", CONFLICT: "UC"}.get(code, "")
        return {**order_object(ehr.orders[order.placer]), "control": control, "answer": code}

    def _send(self, change: Change, method: str, path: str, resource: Resource, case: Case) -> Send:
        control = self.ward.ehr.control()
        body = errand(method, path, resource, Prefer="return=representation")
        return change.send(
            Send(self.ward.settings.fhir or self.ward.settings.ris, body, "fhir", control, case.id)
        )

    async def _answer(self, send: Send) -> tuple[Resource, str]:
        delivery = await self.ward.bench.outbox.answer(send, self.ward.settings.within)
        if delivery.reason:
            raise Refused(f"{send.to} would not take what was sent by FHIR: {delivery.reason}")
        return fhir.read(delivery.reply), delivery.code

    def _hear(self, answer: Resource, order: Order) -> None:
        """Take the numbers and the state that the filler's resources tell."""
        ehr = self.ward.ehr
        for told in fhir.at(answer, "entry.resource"):
            if told.get("resourceType") != "ServiceRequest" or naming.typed(told, "PLAC") != order.placer:
                continue
            item = Item(
                "SC",
                placer=order.placer,
                filler=naming.typed(told, "FILL") or None,
                accession=naming.typed(told, "ACSN") or None,
            )
            with self.ward.bench.change(ehr):
                ehr.hear(item)

    def _transaction(self, order: Order) -> Resource:
        """Return patient, request, task and subscription, each of which is made only if it is not there (If-None-Exist)."""
        ehr, bench = self.ward.ehr, self.ward.bench
        patient, seed = ehr.patients[order.patient], (bench.seed, order.placer)
        person, request, task = (_urn(*seed, name) for name in ("patient", "request", "task"))
        asked = _told(service_request(replace(order, filler="", accession="", status="ordered")))
        asked["subject"] = {**patient_reference(patient.id), "reference": person}
        asked.pop("encounter", None)
        if order.visit:
            asked["encounter"] = {"type": "Encounter", "identifier": naming.visit(order.visit)}
        work: Resource = {
            "resourceType": "Task",
            "groupIdentifier": naming.placer(order.placer),
            "status": "requested",
            "intent": "order",
            "code": naming.code(TASK_CODE, "fulfill", "Fulfill the focal request"),
            "focus": {
                "reference": request,
                "type": "ServiceRequest",
                "identifier": naming.placer(order.placer),
            },
            "for": {**patient_reference(patient.id), "reference": person},
            "authoredOn": naming.date_time(order.placed),
            "requester": {"display": bench.application},
        }
        number = f"identifier={naming.SYSTEM}placer|{order.placer}"
        entries = [
            _entry(
                person, _told(patient_resource(patient)), f"identifier={naming.SYSTEM}patient|{patient.id}"
            ),
            _entry(request, asked, number),
            _entry(task, work, f"group-{number}"),
        ]
        if (base := bench.directory[bench.name].fhir) is not None:
            entries.append(_entry("", _subscription(base), f"url={base}"))
        return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def _subscription(base: str) -> Resource:
    channel = {"type": "rest-hook", "endpoint": base, "payload": fhir.MEDIA_TYPE}
    return {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "how the orders of the ward fare",
        "criteria": "Task?intent=order",
        "channel": channel,
    }


def _entry(full: str, resource: Resource, unless: str) -> Resource:
    kind = resource["resourceType"]
    told = {key: value for key, value in resource.items() if key != "id"}
    entry: Resource = {"resource": told, "request": {"method": "POST", "url": kind, "ifNoneExist": unless}}
    return ({"fullUrl": full} | entry) if full else entry


def _urn(*parts: object) -> str:
    import hashlib
    import uuid

    text = "\x1f".join(str(part) for part in parts)
    return f"urn:uuid:{uuid.UUID(bytes=hashlib.sha256(text.encode()).digest()[:16], version=4)}"


def _told(resource: Resource) -> Resource:
    return {key: value for key, value in resource.items() if value is not None}
