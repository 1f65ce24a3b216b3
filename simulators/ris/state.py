"""The order filler's books: patients, orders, what is scheduled, what was performed, reports.

Pure: an event and the time go in, rows change, and what others must be told comes back as notices. Every status follows
a table of ``stepwedge.model.lifecycles``; an event that its table does not list changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from stepwedge.model.appointment import Appointment
from stepwedge.model.encounter import Encounter
from stepwedge.model.identifiers import ACCESSION_PREFIX, digits, uid
from stepwedge.model.lifecycles import APPOINTMENT, ENCOUNTER, ORDER, STEP, IllegalTransition, follow
from stepwedge.model.order import PRIORITY_FROM_HL7, STATUS_TO_HL7, Order
from stepwedge.model.patient import Patient
from stepwedge.model.procedure import PerformedStep, RequestedProcedure, ScheduledStep
from stepwedge.model.report import Report
from stepwedge.sim.fhir.shelf import Shelf
from stepwedge.sim.messages import APPOINTMENT_EVENTS
from stepwedge.sim.tables import State
from stepwedge.wire.hl7 import HL7Error, timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stepwedge.model.procedure import Procedure
    from stepwedge.sim.messages import Item, ReportEvent

    from .habits import RisHabits

STAMP: Final = "%Y%m%d%H%M%S"
_STAMPED: Final = len("YYYYMMDDHHMMSS")
_STEP_MINUTES: Final = 20
_ACCESSION_DIGITS: Final = 12
"""With the prefix 14 characters; (0008,0050) is SH and holds 16."""


_BEGINS_AS: Final = {"A05": "planned", "A03": "discharged", "A11": "cancelled", "A23": "deleted"}
"""State of an encounter whose beginning nobody told us, by the event we hear first; every other means it is active."""


@dataclass(frozen=True, slots=True)
class ToArchive:
    """RAD-4 or RAD-13: these steps of an order are now as they are."""

    control: str
    status: str
    order: Order
    requested: RequestedProcedure
    steps: tuple[ScheduledStep, ...]


@dataclass(frozen=True, slots=True)
class ToPlacer:
    """RAD-3: an order has this status (ORC-1 and ORC-5)."""

    control: str
    status: str
    order: Order


@dataclass(frozen=True, slots=True)
class ToCalendar:
    """RAD-48: the appointment of an order is now as it is."""

    trigger: str
    order: Order
    appointment: Appointment


@dataclass(frozen=True, slots=True)
class ToReader:
    """A report for those who ordered it."""

    order: Order
    event: ReportEvent


Notice = ToArchive | ToPlacer | ToCalendar | ToReader


@dataclass(frozen=True, slots=True)
class Oddity:
    """Something that fits no order and waits for a person: the exception list."""

    kind: str
    says: str
    at: str
    patient: str = ""
    accession: str = ""
    study: str = ""
    mpps: str = ""


class Ris(State):
    """All tables of the RIS, and what may happen to them."""

    def __init__(
        self, seed: int, name: str, *, procedures: Mapping[str, Procedure], habits: RisHabits, lead: int = 10
    ) -> None:
        super().__init__(seed, name)
        self.procedures = procedures
        self.habits = habits
        self.lead = timedelta(minutes=lead)
        self.patients = self.table("patients", Patient)
        self.encounters = self.table("encounters", Encounter)
        self.appointments = self.table("appointments", Appointment)
        self.orders = self.table("orders", Order)
        self.encounters.index("patient", lambda encounter: [encounter.patient])
        self.requested = self.table("requested", RequestedProcedure)
        self.steps = self.table("steps", ScheduledStep)
        self.performed = self.table("performed", PerformedStep)
        self.reports = self.table("reports", Report)
        self.oddities = self.table("oddities", Oddity)
        self.shelf = Shelf(self)
        self.orders.index("patient", lambda order: [order.patient])
        self.orders.index("accession", lambda order: [order.accession])
        self.orders.index("filler", lambda order: [order.filler])
        self.requested.index("placer", lambda requested: [requested.placer])
        self.steps.index("requested", lambda step: [step.requested])
        self.steps.index("accession", lambda step: [step.accession])
        self.steps.index("station", lambda step: [step.station])
        self.steps.index("station and day", lambda step: [f"{step.station} {step.start[:8]}"])
        self.performed.index("step", lambda performed: performed.steps)
        self.performed.index("patient", lambda performed: [performed.patient])
        self.reports.index("patient", lambda report: [report.patient])

    # --- patients, RAD-1, RAD-12, ITI-30

    def survivor(self, patient: str) -> str:
        """Return the ID under which a patient is known now."""
        while (row := self.patients.get(patient)) is not None and row.merged_into:
            patient = row.merged_into
        return patient

    def admit(self, patient: Patient) -> None:
        """Take a registration or an update; what was merged away is not touched any more."""
        if (known := self.patients.get(patient.id)) is not None and known.merged_into:
            raise HL7Error(204, "PID-3", f"patient {patient.id} was merged into {known.merged_into}")
        self.patients[patient.id] = patient

    def merge(self, survivor: Patient, prior: str) -> None:
        """Merge a record into the surviving one (ITI-30 section 3.30.6.4.4).

        A survivor not yet known makes it a change of identifier, a prior not known is nothing to do, and neither is an
        error. A record cannot be merged into itself or into one that was itself merged away.
        """
        if prior == survivor.id:
            raise HL7Error(204, "MRG-1", f"patient {prior} cannot be merged into itself")
        if (target := self.survivor(survivor.id)) != survivor.id:
            raise HL7Error(204, "PID-3", f"patient {survivor.id} was itself merged into {target}")
        old = self.patients.get(prior)
        if old is None or self.survivor(prior) == survivor.id:
            return
        if old.merged_into:
            raise HL7Error(204, "MRG-1", f"patient {prior} was already merged into {old.merged_into}")
        self._move(old, survivor)

    def change_identifier(self, patient: Patient, prior: str) -> None:
        """Give a patient another identifier (ADT^A47); one that another record has is an error (ITI-30 3.30.6.5.4)."""
        old = self.patients.get(prior)
        if old is None or old.merged_into == patient.id:
            return
        if old.merged_into:
            raise HL7Error(204, "MRG-1", f"patient {prior} is {old.merged_into} now")
        if patient.id in self.patients and self.habits.refuses_taken(patient.id):
            says = f"patient {patient.id} is here already; a merge should have been sent instead"
            raise HL7Error(205, "PID-3", says)
        self._move(old, patient)

    def _move(self, old: Patient, survivor: Patient) -> None:
        """Move everything of one record to another."""
        prior = old.id
        self.patients[survivor.id] = survivor
        self.patients[prior] = replace(old, merged_into=survivor.id)
        for encounter in self.encounters.by("patient", prior):
            self.encounters[encounter.visit] = replace(encounter, patient=survivor.id)
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

    # --- encounters, ITI-31

    def stay(self, told: Encounter, event: str) -> None:
        """Take an event of an encounter; of one not heard of before the event says how it stands."""
        known = self.encounters.get(told.visit)
        if known is not None and self.survivor(told.patient) != known.patient:
            raise HL7Error(204, "PV1-19", f"visit {told.visit} is of another patient than {told.patient}")
        try:
            status = follow(ENCOUNTER, known.status, event) if known else _BEGINS_AS.get(event, "active")
        except IllegalTransition as error:
            raise HL7Error(103, "EVN-1", str(error)) from error
        self.encounters[told.visit] = replace(told, patient=self.survivor(told.patient), status=status)

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
        return found[0] if found and all(order is found[0] for order in found) else None

    def place(
        self, item: Item, patient: Patient, version: str, now: datetime, encounter: Encounter | None = None
    ) -> tuple[Order, bool]:
        """Take a new order; return it, and whether it is new: one sent again is answered as the first time."""
        if not item.placer:
            raise HL7Error(101, "ORC-2", "an order needs a placer order number")
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
            accession=self._accession(item.placer, again),
            priority=self._priority(version, item.priority),
            reason=item.reason or "",
            alerts=item.alerts or "",
            provider=item.provider or "",
            version=version,
            placed=timestamp(now)[:_STAMPED],
            visit=encounter.visit if encounter else "",
        )
        self.orders[order.placer] = order
        return order, True

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
        said = {
            name: value
            for name in ("reason", "alerts", "provider")
            if (value := getattr(item, name)) is not None
        }
        if item.priority is not None:
            said["priority"] = self._priority(order.version, item.priority)
        self.orders[order.placer] = order = replace(order, **said)
        return order, True, self._archive("XO", "SC", order)

    def cancel(self, item: Item, patient: Patient) -> tuple[Order, bool, list[Notice]]:
        """Cancel an order for its placer unless it has begun; return it, and whether it is cancelled now (CAN-02, CAN-03)."""
        order = self._known(item, patient)
        if order.status == "cancelled":
            return order, True, []
        notices = self._cancel(order, item.why or "")
        return self.orders[order.placer], notices is not None, notices or []

    def withdraw(self, order: Order, why: str) -> list[Notice]:
        """Cancel an order on the department's side (RAD-3 with OC)."""
        notices = self._cancel(order, why)
        if notices is None:
            raise IllegalTransition(order.status, "cancel", sorted(ORDER[order.status]))
        return [*notices, ToPlacer("OC", "CA", self.orders[order.placer])]

    def _cancel(self, order: Order, why: str) -> list[Notice] | None:
        try:
            status = follow(ORDER, order.status, "cancel")
        except IllegalTransition:
            return None
        was_scheduled = order.status == "scheduled"
        self.orders[order.placer] = order = replace(order, status=status, why=why)
        for step in self.steps_of(order):
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
            for step in self.steps.by("requested", requested.id)
        ]

    def schedule(
        self, order: Order, now: datetime, *, station: str = "", start: datetime | None = None
    ) -> list[Notice]:
        """Make one requested procedure with all its steps, and tell archive and placer."""
        status = follow(ORDER, order.status, "schedule")
        study = uid(self.seed, "study", order.filler)
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
                start=timestamp(begins)[:_STAMPED],
            )
            self.steps[row.id] = row
        told = [*self._archive("NW", "SC", order), ToPlacer("SC", STATUS_TO_HL7[status], order)]
        return [*told, *self._appoint(order, "S12")]

    def reschedule(
        self, order: Order, *, days: int = 0, start: datetime | None = None, station: str = ""
    ) -> list[Notice]:
        """Move what has not begun by days or to a time, or to another station; every number stays."""
        waiting = [step for step in self.steps_of(order) if step.status == "SCHEDULED"]
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

    # --- reports, RAD-28, RAD-128

    def report(self, event: ReportEvent, patient: Patient, now: datetime) -> list[Notice]:
        """Take a report for one of our orders and send it on; one that fits no order is refused, so it waits where it came from."""
        at = event.at or now.strftime(STAMP)
        order = self.find(accession=event.accession, filler=event.filler, placer=event.placer)
        if order is None:
            raise HL7Error(
                204, "OBR-18", f"no order has accession {event.accession!r}, filler {event.filler!r}"
            )
        if self.survivor(patient.id) != order.patient:
            raise HL7Error(204, "PID-3", f"order {order.accession} is for another patient than {patient.id}")
        if order.status == "cancelled":
            raise HL7Error(
                204, "OBR-18", f"order {order.accession} was cancelled; there is nothing to report"
            )
        old = self.reports.get(order.filler) or Report(
            order.filler, order.accession, order.patient, order.study
        )
        told = event.addendum if event.letter == "A" else event.text
        try:
            report = old.with_version(event.letter, told, author=event.author, at=at)
        except IllegalTransition as error:
            raise HL7Error(103, "OBR-25", str(error)) from error
        self.reports[order.filler] = report
        if report.versions[-1].late:
            return []
        sent = replace(
            event,
            letter=self.habits.result_letter(event.letter),
            accession=self.habits.reported_accession(order.accession),
            text=self.habits.reported_text(event.text),
            placer=order.placer,
            filler=order.filler,
            study=order.study,
            procedure=order.procedure,
            procedure_text=order.text,
            at=at,
        )
        return [ToReader(order, sent)]
