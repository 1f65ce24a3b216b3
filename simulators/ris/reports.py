"""Reports at the report manager: checked against their order, kept with every version, sent on (RAD-28, RAD-128). Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from stepwedge.model.lifecycles import IllegalTransition
from stepwedge.model.report import Report
from stepwedge.wire.hl7 import HL7Error

from .notices import Notice, ToReader
from .state import STAMP

if TYPE_CHECKING:
    from datetime import datetime

    from stepwedge.model.patient import Patient
    from stepwedge.sim.messages import ReportEvent

    from .state import Ris


def carried(event: ReportEvent) -> dict[str, Any]:
    """Return what a version of a report carries besides its text."""
    return {"critical": event.critical, "sr": event.sr, "pdf": event.pdf, "link": event.link}


def file_report(ris: Ris, event: ReportEvent, patient: Patient, now: datetime) -> list[Notice]:
    """Take a report for one of our orders and send it on; one that fits no order is refused, so it waits where it came from."""
    at = event.at or now.strftime(STAMP)
    order = ris.find(accession=event.accession, filler=event.filler, placer=event.placer)
    if order is None:
        raise HL7Error(204, "OBR-18", f"no order has accession {event.accession!r}, filler {event.filler!r}")
    if ris.survivor(patient.id) != order.patient:
        raise HL7Error(204, "PID-3", f"order {order.accession} is for another patient than {patient.id}")
    if order.status == "cancelled":
        raise HL7Error(204, "OBR-18", f"order {order.accession} was cancelled; there is nothing to report")
    old = ris.reports.get(order.filler) or Report(order.filler, order.accession, order.patient, order.study)
    told = event.addendum if event.letter == "A" else event.text
    try:
        report = old.with_version(event.letter, told, author=event.author, at=at, **carried(event))
    except IllegalTransition as error:
        raise HL7Error(103, "OBR-25", str(error)) from error
    ris.reports[order.filler] = report
    if ris.habits.keeps_back(late=report.versions[-1].late):
        return []
    sent = replace(
        event,
        letter=ris.habits.result_letter(event.letter),
        critical=ris.habits.flags(critical=event.critical),
        author=ris.habits.verifier(event.author),
        pdf=ris.habits.attachment(event.pdf),
        accession=ris.habits.reported_accession(order.accession),
        text=ris.habits.reported_text(event.text),
        placer=order.placer,
        filler=order.filler,
        study=order.study,
        procedure=order.procedure,
        procedure_text=order.text,
        provider=ris.habits.ordering_provider(order.provider, patient),
        at=ris.habits.reported_at(at, now.strftime(STAMP)),
    )
    return [ToReader(order, sent)]
