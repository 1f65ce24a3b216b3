"""The RIS at its HL7 door: messages to events of the books, notices of the books to messages."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from stepwedge.sim.hl7 import Handler, Reply
from stepwedge.sim.messages import (
    PATIENT_EVENTS,
    REPLY_KIND,
    Envelope,
    appointment_message,
    day_and_time,
    document_message,
    order_message,
    procedure_message,
    read_acknowledged,
    read_context,
    read_encounter,
    read_items,
    read_merge,
    read_patient,
    read_report,
    reply_segments,
    report_message,
)
from stepwedge.sim.store import Send
from stepwedge.wire.hl7 import HL7Error

from .documents import acknowledge
from .notices import ToArchive, ToCalendar, ToChart, ToPlacer
from .reports import file_report

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from stepwedge.model.encounter import Encounter
    from stepwedge.model.order import Order
    from stepwedge.model.patient import Patient
    from stepwedge.sim.bench import Bench
    from stepwedge.sim.messages import Item, ReportEvent
    from stepwedge.wire.hl7 import Message

    from .notices import Notice
    from .settings import Settings
    from .state import Ris

_NEW_DIALECT: Final = "2.4"


@dataclass(frozen=True)
class Correspondence:
    """What the RIS says and hears in HL7."""

    bench: Bench
    settings: Settings

    def handlers(self) -> dict[str, Handler]:
        """Return the handler of each trigger that the RIS takes."""
        return {
            **{f"ADT^{event}": self.admit for event in PATIENT_EVENTS},
            "ADT^A40": self.merge,
            "ADT^A47": self.change_identifier,
            "ORM^O01": self.order,
            "OMG^O19": self.order,
            "OMI^O23": self.order,
            "ORU^R01": self.report,
        }

    def admit(self, ris: Ris, message: Message, now: datetime) -> Reply:
        """Take a registration (RAD-1), an update (RAD-12), or an event of an encounter (ITI-31)."""
        del now
        patient = self._patient(ris, message)
        if ris.stale(patient.id, day_and_time(message["EVN-2.1"])):
            return Reply(text="older than what is known of the patient; not applied")
        ris.admit(patient)
        ris.note(patient.id, read_context(message, ris.context(patient.id)))
        if (encounter := read_encounter(message, patient.id)) is not None:
            ris.stay(encounter, message.type.partition("^")[2])
        return Reply()

    def change_identifier(self, ris: Ris, message: Message, now: datetime) -> Reply:
        """Take another identifier of a patient (ITI-30)."""
        del now
        _, prior = read_merge(message)
        ris.change_identifier(self._patient(ris, message), ris.habits.patient_id(prior))
        return Reply()

    def merge(self, ris: Ris, message: Message, now: datetime) -> Reply:
        """Take a merge (RAD-12, ITI-30)."""
        del now
        _, prior = read_merge(message)
        ris.merge(self._patient(ris, message), ris.habits.patient_id(prior))
        return Reply()

    def order(self, ris: Ris, message: Message, now: datetime) -> Reply:
        """Take new, changed and cancelled orders (RAD-2) and answer each with what became of it."""
        version = "2.3.1" if message.version < _NEW_DIALECT else "2.5.1"
        patient = self._patient(ris, message)
        encounter = read_encounter(message, patient.id)
        segments, sends, told = [], [], True
        items = read_items(message)
        if not items:
            raise HL7Error(100, "ORC", "an order message without ORC")
        ris.note(patient.id, read_context(message, ris.context(patient.id)))
        for item in items:
            control, order, notices = self._order(ris, item, patient, version, now, encounter)
            segments += reply_segments(control, order, imaging=message.type == "OMI^O23")
            sends += self.sends(ris, notices, now)
            told = told and bool(control)
        kind = REPLY_KIND[message.type]
        return Reply(type=kind, segments=segments, sends=sends) if told else Reply(sends=sends)

    def _order(
        self,
        ris: Ris,
        item: Item,
        patient: Patient,
        version: str,
        now: datetime,
        encounter: Encounter | None,
    ) -> tuple[str, Order, list[Notice]]:
        """Return the order control code to answer (HL7 table 0119), the order, and whom to tell what."""
        match item.control:
            case "NW":
                order, new = ris.place(item, patient, version, now, encounter)
                if not ris.habits.keeps(order):
                    ris.rollback()
                    new = False
                scheduled = new and self.settings.schedule == "automatic"
                return "OK", order, ris.schedule(order, now) if scheduled else []
            case "XO":
                order, done, notices = ris.change(item, patient)
                return "XR" if done else "UX", order, notices
            case "HD":
                order, done = ris.suspend(item, patient, "hold")
                return "HR" if done else "UH", order, []
            case "RL":
                order, done = ris.suspend(item, patient, "release")
                return "OR" if done else "UR", order, []
            case "CA":
                order, done, notices = ris.cancel(item, patient)
                return ris.habits.answers_cancel("CR" if done else "UC"), order, notices
        raise HL7Error(103, "ORC-1", f"order control {item.control!r} is none of NW, XO, HD, RL, CA")

    def report(self, ris: Ris, message: Message, now: datetime) -> Reply:
        """Take a report (RAD-28, RAD-128) and send it on to those who ordered it, or the news that they took note."""
        if (told := read_acknowledged(message)) is not None:
            numbers = {"placer": message["OBR-2.1"], "filler": message["OBR-3.1"]}
            acknowledge(ris, told, self._patient(ris, message), **numbers)
            return Reply()
        notices = file_report(ris, read_report(message), self._patient(ris, message), now)
        return Reply(sends=self.sends(ris, notices, now))

    def _patient(self, ris: Ris, message: Message) -> Patient:
        habits = ris.habits
        return read_patient(message, habits.name, habits.patient_id, habits.chosen, habits.born)

    def sends(self, ris: Ris, notices: Iterable[Notice], now: datetime, case: str = "") -> list[Send]:
        """Write each notice as the message it is, in the version of its order, for whoever has an HL7 door here."""
        sends = []
        for notice in notices:
            if isinstance(notice, ToPlacer) and notice.order.by == "fhir":
                continue  # its placer is told by Task
            to = self.settings.pacs if isinstance(notice, ToArchive) else self.settings.ehr
            if self.bench.directory.reaches(to, "hl7"):
                control = ris.control()
                sends.append(
                    Send(to, self._written(ris, notice, to, control, now), control=control, case=case)
                )
        return sends

    def _written(self, ris: Ris, notice: Notice, to: str, control: str, now: datetime) -> bytes:
        order = notice.order
        patient = ris.patients[order.patient]
        receiver = self.bench.directory[to].application or to
        envelope = Envelope(
            self.bench.application, receiver, control, now, order.version, charsets=self.bench.charsets
        )
        encounter = ris.encounter_of(order)
        match notice:
            case ToArchive(code, status, _, requested, steps):
                return procedure_message(code, status, order, requested, steps, patient, envelope, encounter)
            case ToPlacer(code, status, _):
                code = ris.habits.status_control(code, status)
                return order_message(code, order, patient, envelope, status=status, encounter=encounter)
            case ToCalendar(trigger, _, appointment):
                return appointment_message(trigger, appointment, patient, envelope, encounter)
            case ToChart(trigger, _, document):
                return document_message(trigger, document, order, patient, envelope, encounter)
        return report_message(self._linked(ris, notice.event), patient, envelope, encounter)

    def _linked(self, ris: Ris, event: ReportEvent) -> ReportEvent:
        """Add where the images of a report are shown; the address holds a UID and nothing about the patient."""
        web = (
            self.bench.directory[self.settings.archive].web
            if self.settings.archive in self.bench.directory
            else None
        )
        shown = ris.habits.link(f"{web}/studies/{event.study}")
        return replace(event, link=shown) if web and event.study else event
