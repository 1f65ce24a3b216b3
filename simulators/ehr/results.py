"""What a ward does with results: keeps documents in their order, and takes note of critical findings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from stepwedge.errors import BadInput, Refused
from stepwedge.sim.hl7 import Reply
from stepwedge.sim.messages import (
    DOCUMENT_EVENTS,
    Acknowledged,
    acknowledged_message,
    read_document,
    read_patient,
)
from stepwedge.sim.messages.documents import OBSOLETE
from stepwedge.sim.objects import order_numbers
from stepwedge.sim.rows import pack
from stepwedge.sim.store import Send
from stepwedge.wire.hl7 import HL7Error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from stepwedge.sim.messages import Document
    from stepwedge.sim.simulator import Case
    from stepwedge.wire.hl7 import Message

    from .acts import Ward
    from .state import Ehr


def receive_document(ehr: Ehr, message: Message, now: datetime) -> Reply:
    """Take a document (MDM^T02, T04, T06, T10); one that replaces another makes that one obsolete (HL7 2.5.1 9.5)."""
    del now
    trigger = message.type.partition("^")[2]
    file_document(ehr, trigger, read_document(message), read_patient(message).id)
    return Reply()


def file_document(ehr: Ehr, trigger: str, document: Document, patient: str) -> None:
    """File a document with its order; nothing that was once filed disappears."""
    order = ehr.find(placer=document.placer, filler=document.filler, accession=document.accession)
    if order is None:
        raise HL7Error(204, "TXA-14", f"no order has placer {document.placer!r}, filler {document.filler!r}")
    if ehr.survivor(patient) != order.patient:
        raise HL7Error(204, "PID-3", f"order {order.placer} is for another patient than {patient}")
    known = ehr.documents.get(document.number)
    if trigger == "T04":
        if known is None:
            raise HL7Error(204, "TXA-12", f"document {document.number} is not here")
        document = replace(known, completion=document.completion, availability=document.availability)
    elif known is not None:
        raise HL7Error(205, "TXA-12", f"document {document.number} is here already")
    if trigger in {"T06", "T10"}:
        parent = ehr.documents.get(document.parent)
        if parent is None or parent.filler != document.filler:
            raise HL7Error(204, "TXA-13", f"no document {document.parent!r} of this order is here")
        if trigger == "T10" and ehr.habits.retires(parent.number):
            ehr.documents[parent.number] = replace(parent, availability=OBSOLETE)
    ehr.documents[document.number] = document


HANDLERS = {f"MDM^{trigger}": receive_document for trigger in DOCUMENT_EVENTS}


@dataclass(frozen=True)
class Results:
    """The ward's words about results."""

    ward: Ward

    def acts(self) -> dict[str, Callable[[dict[str, Any], Case], Awaitable[dict[str, Any]]]]:
        """Return the words."""
        return {"acknowledge_result": self.acknowledge_result}

    def asks(self) -> dict[str, Callable[[dict[str, Any]], Any]]:
        """Return what can be asked."""
        return {"document": self._documents, "inbox": self._inbox}

    async def acknowledge_result(self, args: dict[str, Any], case: Case) -> dict[str, Any]:
        """Take note of a critical result, and say so to the report manager."""
        ward, order = self.ward, self.ward.order_named(args)
        report = ward.ehr.reports.get(order.filler)
        if report is None or not any(version.critical for version in report.versions):
            raise Refused(f"the ward knows no critical result of order {order.accession or order.placer}")
        if not (by := str(args.get("by") or "")):
            raise BadInput("ehr.acknowledge_result: by", "who takes note", "nobody")
        told = Acknowledged(by, f"{ward.bench.clock.now():%Y%m%d%H%M%S}", bool(args.get("read_back", True)))
        with ward.bench.change(ward.ehr) as change:
            ward.ehr.reports[order.filler] = replace(
                report, acknowledged_by=told.by, acknowledged_at=told.at, read_back=told.read_back
            )
            envelope = ward.envelope(ward.settings.ris, order.version)
            body = acknowledged_message(told, order, ward.ehr.patients[order.patient], envelope)
            send = change.send(Send(ward.settings.ris, body, control=envelope.control, case=case.id))
        await ward.heard([send])
        return {"accession": order.accession, "by": told.by, "at": told.at, "read_back": told.read_back}

    def _documents(self, args: dict[str, Any]) -> dict[str, Any]:
        """Return the documents of an order: the one that is read now, and all that ever came."""
        numbers = order_numbers(args)
        order = self.ward.ehr.find(**numbers) if numbers else None
        found = self.ward.ehr.documents.by("filler", order.filler) if order else []
        readable = [one for one in found if one.availability == "AV"]
        shown = pack(readable[-1]) if readable else {}
        return {
            **shown,
            "documents": [pack(one) for one in found],
            "count": len(found),
            "readable": len(readable),
        }

    def _inbox(self, _: dict[str, Any]) -> dict[str, Any]:
        """Return the critical results that nobody has taken note of."""
        waiting = [report.accession for report in self.ward.ehr.reports.values() if report.waits]
        return {"waiting": waiting, "count": len(waiting)}
