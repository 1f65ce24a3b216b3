"""The order filler's books: patients, orders, what is scheduled, what was performed, reports.

Pure: an event and the time go in, rows change, and what others must be told comes back as notices. Every status follows
a table of ``stepwedge.model.lifecycles``; an event that its table does not list changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from stepwedge.model.appointment import Appointment
from stepwedge.model.identifiers import ACCESSION_PREFIX, digits, uid
from stepwedge.model.lifecycles import APPOINTMENT, ORDER, STEP, IllegalTransition, follow
from stepwedge.model.order import PRIORITY_FROM_HL7, STATUS_TO_HL7, Order
from stepwedge.model.procedure import PerformedStep, RequestedProcedure, ScheduledStep
from stepwedge.model.report import Report
from stepwedge.sim.fhir.shelf import Shelf
from stepwedge.sim.messages import APPOINTMENT_EVENTS, Document
from stepwedge.wire.hl7 import HL7Error, timestamp

from .availability import Available
from .damage import Damage
from .notices import Notice, Oddity, ToArchive, ToCalendar, ToPlacer
from .people import People

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stepwedge.model.encounter import Encounter
    from stepwedge.model.patient import Patient
    from stepwedge.model.procedure import Procedure
    from stepwedge.sim.messages import Item

    from .habits import RisHabits

STAMP: Final = "%Y%m%d%H%M%S"
_STAMPED: Final = len("YYYYMMDDHHMMSS")
_STEP_MINUTES: Final = 20
_ACCESSION_DIGITS: Final = 12
ACCESSION_LONGEST: Final = 16
"""(0008,0050) is SH; our own numbers have 14 with their prefix."""


@dataclass(frozen=True, slots=True)
class Forestalled:
    """A cancellation whose order has not come: it must not come to life when it does."""

    placer: str
    patient: str
    why: str = ""


class Ris(People):
    """All tables of the RIS, and what may happen to them."""

    def __init__(
        self, seed: int, name: str, *, procedures: Mapping[str, Procedure], habits: RisHabits, lead: int = 10
    ) -> None:
        super().__init__(seed, name, habits=habits)
        self.procedures = procedures
        self.lead = timedelta(minutes=lead)
        self.appointments = self.table("appointments", Appointment)
        self.orders = self.table("orders", Order)
        self.requested = self.table("requested", RequestedProcedure)
        self.steps = self.table("steps", ScheduledStep)
        self.performed = self.table("performed", PerformedStep)
        self.reports = self.table("reports", Report)
        self.documents = self.table("documents", Document)
        self.documents.index("filler", lambda document: [document.filler])
        self.oddities = self.table("oddities", Oddity)
        self.available = self.table("available", Available)
        self.damages = self.table("damages", Damage)
        self.forestalled = self.table("forestalled", Forestalled)
        self.shelf = Shelf(self)
        self.orders.index("patient", lambda order: [order.patient])
        self.orders.index("accession", lambda order: [order.accession])
        self.orders.index("filler", lambda order: [order.filler])
        self.orders.index("study", lambda order: [order.study])
        self.requested.index("placer", lambda requested: [requested.placer])
        self.steps.index("requested", lambda step: [step.requested])
        self.steps.index("accession", lambda step: [step.accession])
        self.steps.index("station", lambda step: [step.station])
        self.steps.index("station and day", lambda step: [f"{step.station} {step.start[:8]}"])
        self.performed.index("step", lambda performed: performed.steps)
        self.performed.index("patient", lambda performed: [performed.patient])
        self.reports.index("patient", lambda report: [report.patient])

    def _move(self, old: Patient, survivor: Patient) -> None:
        super()._move(old, survivor)
        prior = old.id
        for key, appointment in list(self.appointments.items()):
            if appointment.patient == prior:
                self.appointments[key] = replace(appointment, patient=survivor.id)
        for order in self.orders.by("patient", prior):
            if self.habits.moves_with_merge(order, prior):
                self.orders[order.placer] = replace(order, patient=survivor.id)
        for report in self.reports.by("patient", prior):
            self.reports[report.filler] = replace(report, patient=survivor.id)
        for performed in self.performed.by("patient", prior):
            self.performed[performed.uid] = replace(performed, patient=survivor.id)

    def encounter_of(self, order: Order) -> Encounter | None:
        """Return the encounter in which an order was placed."""
        return self.encounters.get(order.visit)

    # --- orders, RAD-2

    def find(self, *, placer: str = "", filler: str = "", accession: str = "") -> Order | None:
        """Return the order that all given numbers agree on."""
        found = [
            *([self.orders.get(placer)] if placer else []),
            *([next(iter(self.orders.by("filler", filler)), None)] if filler else []),
            *([next(iter(self.orders.by("accession", accession)), None)] if accession else []),
        ]
        return self.habits.agreed(found)

    def place(
        self, item: Item, patient: Patient, version: str, now: datetime, encounter: Encounter | None = None
    ) -> tuple[Order, bool]:
        """Take a new order; return it, and whether it is new: one sent again is answered as the first time."""
        if not item.placer:
            raise HL7Error(101, "ORC-2", "an order needs a placer order number")
        if item.placer in self.forestalled:
            says = f"order {item.placer} was cancelled before it came; its number cannot be used again"
            raise HL7Error(205, "ORC-2", says)
        known = self.orders.get(item.placer)
        if known is not None and self.habits.same_order(known, item.placer):
            if known.status == "cancelled":
                raise HL7Error(
                    205, "ORC-2", f"order {item.placer} was cancelled; its number cannot be used again"
                )
            return known, False
        procedure = self.procedures.get(item.procedure or "")
        if procedure is None:
            raise HL7Error(103, "OBR-4", f"procedure {item.procedure or ''!r} is not in the catalogue")
        person = self.survivor(patient.id)
        if person not in self.patients:
            self.patients[person] = patient
        if encounter is not None and encounter.visit not in self.encounters:
            self.encounters[encounter.visit] = replace(encounter, patient=person, status="active")
        again = "" if known is None else self.next("again")
        order = Order(
            placer=item.placer,
            patient=person,
            procedure=procedure.code,
            text=procedure.text,
            filler=f"F{digits(10, self.seed, 'filler', item.placer, again)}",
            accession=self._given_accession(item) or self._accession(item.placer, again),
            priority=self._priority(version, item.priority),
            reason=item.reason or "",
            alerts=item.alerts or "",
            comments=item.comments or "",
            provider=item.provider or "",
            version=version,
            placed=timestamp(now)[:_STAMPED],
            visit=encounter.visit if encounter else "",
            study=self._given_study(item),
        )
        self.orders[order.placer] = order
        return order, True

    def draft(
        self, patient: Patient, procedure: Procedure, priority: str, reason: str, version: str
    ) -> Order:
        """Return an order that the department makes itself, before its placer has given it a number (RAD-3, SN)."""
        filler = f"F{digits(10, self.seed, 'filler', self.name, self.next('own order'))}"
        return Order(
            placer="",
            patient=patient.id,
            procedure=procedure.code,
            text=procedure.text,
            filler=filler,
            accession=self._accession(filler, ""),
            priority=priority,
            reason=reason,
            version=version,
        )

    def _given_accession(self, item: Item) -> str:
        """Return the accession number that the placer issued: whole or refused, and never one that an order has (LEN-01)."""
        given = self.habits.issued(item.accession or "")
        if len(given) > ACCESSION_LONGEST:
            says = f"accession number {given[:40]} is longer than {ACCESSION_LONGEST} characters (SH)"
            raise HL7Error(102, "OBR-18", says)
        if given and self.habits.refuses_accession(len(self.orders.by("accession", given))):
            raise HL7Error(205, "OBR-18", f"accession number {given} belongs to another order")
        return given

    def _given_study(self, item: Item) -> str:
        """Return the Study Instance UID that the placer issued; one that another order has is refused (MPR-08)."""
        given = item.study or ""
        if given and any(order.study == given for order in self.orders.by("study", given)):
            raise HL7Error(205, "IPC-3", f"study {given} belongs to another order")
        return given

    def _accession(self, placer: str, again: object) -> str:
        number, tries = "", 0
        while not number or self.orders.by("accession", number):
            number = ACCESSION_PREFIX + digits(
                _ACCESSION_DIGITS, self.seed, "accession", placer, again, tries
            )
            tries += 1
        return number

    def _priority(self, version: str, code: str | None) -> str:
        if (code or "") not in PRIORITY_FROM_HL7:
            raise HL7Error(103, "TQ1-9", f"priority {code!r} is not in HL7 table 0485")
        return self.habits.priority(version, code or "")

    def change(self, item: Item, patient: Patient) -> tuple[Order, bool, list[Notice]]:
        """Change an order that has not begun; what the message does not say stays (ITI TF-2 appendix C)."""
        order = self._known(item, patient)
        if order.status not in {"ordered", "scheduled"}:
            return order, False, []
        said: dict[str, Any] = {
            name: self.habits.unsaid(getattr(order, name))
            if (value := getattr(item, name)) is None
            else value
            for name in ("reason", "alerts", "provider", "comments")
        }
        if item.priority is not None:
            said["priority"] = self._priority(order.version, item.priority)
        self.orders[order.placer] = order = replace(order, **said)
        if item.start and order.status == "scheduled":
            return order, True, self.reschedule(order, start=datetime.strptime(item.start, STAMP))  # noqa: DTZ007 - local time, as DICOM has it
        return order, True, self._archive("XO", "SC", order)

    def suspend(self, item: Item, patient: Patient, event: str) -> tuple[Order, bool]:
        """Hold or release an order (ORC-1 HD, RL); return it, and whether that was possible: a held one keeps its time."""
        order = self._known(item, patient)
        try:
            status = follow(ORDER, order.status, event)
        except IllegalTransition:
            return order, False
        self.orders[order.placer] = order = replace(order, status=status)
        return order, True

    def cancel(self, item: Item, patient: Patient) -> tuple[Order, bool, list[Notice]]:
        """Cancel an order for its placer unless it has begun; return it, and whether it is cancelled now (CAN-02, CAN-03)."""
        if self._nobodys(item) and self.habits.remembers_cancellation(item.placer or ""):
            return self._forestalled(item, patient), True, []
        order = self._known(item, patient)
        if order.status == "cancelled":
            return order, True, []
        notices = self._cancel(order, item.why or "")
        return self.orders[order.placer], notices is not None, notices or []

    def _nobodys(self, item: Item) -> bool:
        """Tell whether a placer speaks of an order of its own that never came."""
        return bool(item.placer) and not item.filler and item.placer not in self.orders

    def _forestalled(self, item: Item, patient: Patient) -> Order:
        """Keep a cancellation that came before its order, so that the order is refused when it comes (CAN-07)."""
        placer, person = item.placer or "", self.survivor(patient.id)
        self.forestalled[placer] = Forestalled(placer, person, item.why or "")
        return Order(placer, person, item.procedure or "", item.text or "", status="cancelled")

    def withdraw(self, order: Order, why: str) -> list[Notice]:
        """Cancel an order on the department's side (RAD-3 with OC)."""
        notices = self._cancel(order, why)
        if notices is None:
            raise IllegalTransition(order.status, "cancel", sorted(ORDER[order.status]))
        return [*notices, ToPlacer("OC", "CA", self.orders[order.placer])]

    def _cancel(self, order: Order, why: str) -> list[Notice] | None:
        try:
            status = follow(ORDER, self.habits.stands(order.status), "cancel")
        except IllegalTransition:
            return None
        was_scheduled = order.status in {"scheduled", "held"}
        self.orders[order.placer] = order = replace(order, status=status, why=why)
        for step in self.steps_of(order):
            if "cancel" in STEP[step.status]:  # what was done has been done
                self.steps[step.id] = replace(step, status=follow(STEP, step.status, "cancel"))
        notices = self._archive("CA", "CA", order) if was_scheduled else []
        return [*notices, *self._appoint(order, "S15", why)]

    def _known(self, item: Item, patient: Patient) -> Order:
        order = self.find(placer=item.placer or "", filler=item.filler or "")
        if order is None:
            raise HL7Error(
                204, "ORC-2", f"no order has placer number {item.placer!r} and filler number {item.filler!r}"
            )
        if self.survivor(patient.id) != order.patient:
            raise HL7Error(204, "PID-3", f"order {order.placer} is for another patient than {patient.id}")
        return order

    # --- scheduling, RAD-4, RAD-13

    def steps_of(self, order: Order) -> list[ScheduledStep]:
        """Return every scheduled step of an order, in the order they are done."""
        return [
            step
            for requested in self.requested.by("placer", order.placer)
            for step in sorted(
                self.steps.by("requested", requested.id), key=lambda one: (len(one.id), one.id)
            )
        ]

    def schedule(
        self, order: Order, now: datetime, *, station: str = "", start: datetime | None = None
    ) -> list[Notice]:
        """Make one requested procedure with all its steps, and tell archive and placer."""
        status = follow(ORDER, order.status, "schedule")
        others = tuple(one.study for one in self.orders.by("patient", order.patient) if one.study)
        study = order.study or self.habits.study_for(uid(self.seed, "study", order.filler), others)
        requested = RequestedProcedure(
            f"RP{order.filler[1:]}", order.placer, study, order.procedure, order.text
        )
        self.requested[requested.id] = requested
        self.orders[order.placer] = order = replace(order, status=status, study=study)
        end_of_day = now.replace(hour=23, minute=59, second=0)
        for number, step in enumerate(self.procedures[order.procedure].steps):
            after = timedelta(minutes=_STEP_MINUTES * number)
            # What nobody gave a time is done today, so that today's list of the scanner holds it.
            begins = start + after if start else min(now + self.lead + after, end_of_day)
            row = ScheduledStep(
                id=f"SPS{order.filler[1:]}{number + 1}",
                requested=requested.id,
                accession=order.accession,
                code=step.code,
                text=step.text,
                modality=step.modality,
                station=station or step.station,
                start=timestamp(begins)[:_STAMPED]
                if start
                else self.habits.begins(timestamp(begins)[:_STAMPED]),
                contrast=step.contrast,
            )
            self.steps[row.id] = row
        told = [*self._archive("NW", "SC", order), ToPlacer("SC", STATUS_TO_HL7[status], order)]
        return [*told, *self._appoint(order, "S12")]

    def reschedule(
        self,
        order: Order,
        *,
        days: int = 0,
        start: datetime | None = None,
        station: str = "",
        comments: str = "",
    ) -> list[Notice]:
        """Move what has not begun by days or to a time, or to another station; every number stays."""
        waiting = [step for step in self.steps_of(order) if step.status in {"SCHEDULED", "ARRIVED"}]
        if not waiting:
            raise IllegalTransition(order.status, "update", sorted(ORDER[order.status]))
        first = datetime.strptime(min(step.start for step in waiting), STAMP)  # noqa: DTZ007 - local time, as DICOM has it
        shift = (start.replace(tzinfo=None) - first) if start else timedelta(days=days)
        for step in waiting:
            moved = (datetime.strptime(step.start, STAMP) + shift).strftime(STAMP)  # noqa: DTZ007 - the same
            row = replace(
                step, id=self.habits.rescheduled_id(step), start=moved, station=station or step.station
            )
            self.steps[row.id] = row
        if comments:
            self.orders[order.placer] = order = replace(order, comments=comments)
        return [*self._archive("XO", "SC", order), *self._appoint(order, "S13" if shift else "S14")]

    # --- appointments, RAD-48

    def miss(self, order: Order) -> list[Notice]:
        """Note that the patient did not come; the exam stays to be done until it is moved or cancelled."""
        return self._appoint(order, "S26")

    def _appoint(self, order: Order, trigger: str, why: str = "") -> list[Notice]:
        """Let the one appointment of an order follow an event, and tell the ward."""
        key = f"AP{order.filler[1:]}"
        known = self.appointments.get(key)
        if known is None and trigger != "S12":
            return []
        if known is not None and (trigger == "S12" or (trigger == "S14" and known.status != "booked")):
            trigger = "S13"  # what is scheduled again is the same appointment at another time
        status = follow(APPOINTMENT, known.status if known else "", APPOINTMENT_EVENTS[trigger])
        steps = self.steps_of(order)
        first = min(steps, key=lambda step: step.start)
        self.appointments[key] = made = Appointment(
            id=key,
            placer=order.placer,
            filler=order.filler,
            patient=order.patient,
            start=first.start,
            minutes=_STEP_MINUTES * len(self.procedures[order.procedure].steps),
            station=first.station,
            procedure=order.procedure,
            text=order.text,
            status=status,
            why=why,
        )
        return [ToCalendar(trigger, order, made)] if self.habits.notifies(trigger) else []

    def _archive(self, control: str, status: str, order: Order) -> list[Notice]:
        return [
            ToArchive(control, status, order, requested, tuple(self.steps.by("requested", requested.id)))
            for requested in self.requested.by("placer", order.placer)
        ]
