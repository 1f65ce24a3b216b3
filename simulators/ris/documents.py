"""The report manager's documents: which MDM follows which, and what became of critical results. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from stepwedge.errors import Refused
from stepwedge.model.identifiers import digits
from stepwedge.sim.messages.documents import AVAILABLE, COMPLETION, DELETED, Document
from stepwedge.wire.hl7 import HL7Error

from .notices import ToChart

if TYPE_CHECKING:
    from datetime import datetime

    from stepwedge.model.order import Order
    from stepwedge.model.patient import Patient
    from stepwedge.sim.messages import Acknowledged

    from .notices import Notice
    from .state import Ris


def issue(ris: Ris, order: Order, now: datetime) -> list[Notice]:
    """Send the report as it is now as a document: T02 the first time, then T06 for an addendum, T10 for a new text.

    A report that was withdrawn is told with T04, as deleted (TXA-19 CA, HL7 table 0273).
    """
    report = ris.reports.get(order.filler)
    if report is None or report.current is None:
        raise Refused(f"order {order.accession} has no report yet")
    former = ris.documents.by("filler", order.filler)
    count = len(report.versions)
    number = f"D{digits(10, ris.seed, 'document', order.filler, count)}"
    if any(document.number == number and report.status != "cancelled" for document in former):
        raise Refused(f"version {count} of the report was sent as document {number} already")
    parent = ris.habits.parent(former[-1].number) if former else ""
    kind = report.current.kind
    trigger = "T02" if not former else "T06" if kind == "addendum" else "T10"
    if report.status == "cancelled":
        if not former:
            raise Refused(f"the report of order {order.accession} was withdrawn before any document was sent")
        trigger, number, parent = "T04", former[-1].number, ""
    document = Document(
        number=number,
        filler=order.filler,
        placer=order.placer,
        accession=order.accession,
        parent=parent,
        completion=COMPLETION[report.status],
        availability=DELETED if report.status == "cancelled" else AVAILABLE,
        text=report.text or "This report was withdrawn.",
        at=report.current.at or f"{now:%Y%m%d%H%M%S}",
        author=report.current.author,
    )
    ris.documents[number] = document
    return [ToChart(trigger, order, document)]


def acknowledge(ris: Ris, told: Acknowledged, patient: Patient, *, placer: str, filler: str) -> None:
    """Note who took note of a critical result; the first one counts, whoever repeats it later."""
    order = ris.find(placer=placer, filler=filler)
    report = ris.reports.get(order.filler) if order else None
    if order is None or report is None:
        raise HL7Error(204, "OBR-3", f"no report has placer {placer!r}, filler {filler!r}")
    if ris.survivor(patient.id) != order.patient:
        raise HL7Error(204, "PID-3", f"order {order.accession} is for another patient than {patient.id}")
    if not any(version.critical for version in report.versions):
        raise HL7Error(207, "OBX-3", f"the report of order {order.accession} holds no critical result")
    if report.waits:
        ris.reports[order.filler] = replace(
            report, acknowledged_by=told.by, acknowledged_at=told.at, read_back=told.read_back
        )
