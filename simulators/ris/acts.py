"""What the RIS can be told to do and asked, as ``stepwedge.actors.words_ris`` describes it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from stepwedge.actors.words_ris import FAULTS
from stepwedge.errors import BadInput, Refused
from stepwedge.model.lifecycles import IllegalTransition
from stepwedge.sim.messages import read_answer
from stepwedge.sim.objects import order_numbers, order_object, patient_number, patient_object, report_object
from stepwedge.sim.rows import pack

from . import replanning
from .damage import Damage
from .documents import issue
from .notices import ToPlacer
from .reconciliation import reconcile
from .state import STAMP

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from stepwedge.model.order import Order
    from stepwedge.sim.bench import Bench
    from stepwedge.sim.simulator import Case

    from .hl7 import Correspondence
    from .notices import Notice
    from .state import Ris

_FORMATS: Final = {12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}


@dataclass(frozen=True)
class Desk:
    """The scheduler's desk."""

    bench: Bench
    ris: Ris
    correspondence: Correspondence

    def acts(self) -> dict[str, Callable[[dict[str, Any], Case], Awaitable[dict[str, Any]]]]:
        """Return the words of this role."""
        return {
            "schedule_order": self.schedule_order,
            "reschedule": self.reschedule,
            "change_protocol": self.change_protocol,
            "move_step": self.move_step,
            "drop_step": self.drop_step,
            "note_arrival": self.note_arrival,
            "no_show": self.no_show,
            "cancel_order": self.cancel_order,
            "create_order": self.create_order,
            "reconcile": self.reconcile,
            "send_document": self.send_document,
            "damage_entry": self.damage_entry,
            "mend_entry": self.mend_entry,
        }

    def asks(self) -> dict[str, Callable[[dict[str, Any]], Any]]:
        """Return what can be asked; a thing not known is ``{}`` or an empty list."""
        ris = self.ris
        return {
            "order": lambda args: self._seen(order_numbers(args)),
            "steps": lambda args: {"steps": self._seen(order_numbers(args)).get("steps", [])},
            "patient": self._patient,
            "encounter": lambda args: pack(ris.encounters.get(str(args.get("visit", "")))) or {},
            "report": self._report,
            "performed": lambda args: pack(ris.performed.get(str(args.get("mpps", "")))) or {},
            "availability": lambda args: pack(ris.available.get(str(args.get("study", "")))) or {},
            "exceptions": self._exceptions,
            "context": lambda args: pack(ris.context(str(args.get("patient", "")))),
        }

    async def schedule_order(self, args: dict[str, Any], case: Case) -> dict[str, Any]:
        """Schedule an order that waits for it (RAD-4)."""
        order = self._order(args)
        start = _time(args.get("start"))
        now = self.bench.clock.now()
        return self._done(
            order, case, lambda: self.ris.schedule(order, now, station=args.get("station") or "", start=start)
        )

    async def reschedule(self, args: dict[str, Any], case: Case) -> dict[str, Any]:
        """Move an exam (RAD-13)."""
        order, days = self._order(args), args.get("days") or 0
        if not isinstance(days, int):
            raise BadInput("ris.reschedule: days", "a whole number of days", repr(days))
        start, station = _time(args.get("start")), args.get("station") or ""
        comments = args.get("comments") or ""
        if not (days or start or station or comments):
            raise BadInput("ris.reschedule", "days, start, station or comments", "none of them")
        return self._done(
            order,
            case,
            lambda: self.ris.reschedule(order, days=days, start=start, station=station, comments=comments),
        )

    async def change_protocol(self, args: dict[str, Any], case: Case) -> dict[str, Any]:
        """Give a step another protocol (RAD-13)."""
        order, said = self._order(args), (args["code"], args["text"], args.get("contrast") or "")
        step = int(args.get("step") or 0)
        return self._done(order, case, lambda: replanning.change_protocol(self.ris, order, step, *said))

    async def move_step(self, args: dict[str, Any], case: Case) -> dict[str, Any]:
        """Move one step of several (RAD-13)."""
        order, start, station = self._order(args), _time(args.get("start")), args.get("station") or ""
        step = int(args.get("step") or 0)
        return self._done(order, case, lambda: replanning.move_step(self.ris, order, step, start, station))

    async def drop_step(self, args: dict[str, Any], case: Case) -> dict[str, Any]:
        """Give one step of several up (RAD-13)."""
        order, step = self._order(args), int(args.get("step") or 0)
        return self._done(order, case, lambda: replanning.drop_step(self.ris, order, step))

    async def note_arrival(self, args: dict[str, Any], case: Case) -> dict[str, Any]:
        """Note that the patient has come."""
        order = self._order(args)
        return self._done(order, case, lambda: replanning.arrive(self.ris, order))

    async def no_show(self, args: dict[str, Any], case: Case) -> dict[str, Any]:
        """Note that the patient did not come (RAD-48, SIU^S26)."""
        order = self._order(args)
        return self._done(order, case, lambda: self.ris.miss(order))

    async def cancel_order(self, args: dict[str, Any], case: Case) -> dict[str, Any]:
        """Cancel an order on the department's side (RAD-3, RAD-13)."""
        order = self._order(args)
        return self._done(order, case, lambda: self.ris.withdraw(order, args.get("reason") or ""))

    async def create_order(self, args: dict[str, Any], case: Case) -> dict[str, Any]:
        """Make an order in the department; the placer gives it a number (RAD-3: SN, answered NA)."""
        ris = self.ris
        patient = ris.patients.get(ris.survivor(patient_number(args["patient"])))
        if patient is None:
            raise BadInput("ris.create_order: patient", "a patient of the RIS", str(args["patient"]))
        procedure = ris.procedures.get(str(args.get("procedure")))
        if procedure is None:
            raise BadInput(
                "ris.create_order: procedure", f"one of {', '.join(sorted(ris.procedures))}", "another"
            )
        now = self.bench.clock.now()
        with self.bench.change(ris) as change:
            version, priority = args.get("version") or "2.5.1", args.get("priority") or "routine"
            draft = ris.draft(patient, procedure, priority, args.get("reason") or "", version)
            (send,) = self.correspondence.sends(ris, [ToPlacer("SN", "", draft)], now, case.id)
            change.send(send)
        delivery = await self.bench.outbox.answer(send, self.correspondence.settings.within)
        if delivery.reason:
            raise Refused(f"{send.to} would not take order {draft.filler}: {delivery.reason}")
        items = read_answer(delivery.reply).items
        if not items or items[0].control != "NA" or not items[0].placer:
            raise Refused(f"{send.to} gave order {draft.filler} no placer number (ORC-1 NA, ORC-2)")
        order = replace(draft, placer=items[0].placer, placed=now.strftime(STAMP))
        with self.bench.change(ris):
            ris.orders[order.placer] = order
        if args.get("schedule") is False:
            return self._seen({"placer": order.placer})
        return self._done(order, case, lambda: ris.schedule(order, now))

    async def reconcile(self, args: dict[str, Any], case: Case) -> dict[str, Any]:
        """Attach an exam of the exception list to an order (IHE PIR)."""
        given = args["mpps"]
        uid = str(given.get("uid", "")) if isinstance(given, dict) else str(given)
        performed = self.ris.performed.get(uid)
        if performed is None:
            raise BadInput("ris.reconcile: mpps", "an exam that the RIS was told of", uid)
        order, now, by = self._order(args), self.bench.clock.now(), str(args.get("by") or "scheduler")
        return self._done(order, case, lambda: reconcile(self.ris, performed, order, by, now))

    async def send_document(self, args: dict[str, Any], case: Case) -> dict[str, Any]:
        """Send the report of an order as a document (MDM, HL7 chapter 9)."""
        order, now = self._order(args), self.bench.clock.now()
        self._done(order, case, lambda: issue(self.ris, order, now))
        document = self.ris.documents.by("filler", order.filler)[-1]
        return {"document": document.number, "parent": document.parent, "accession": order.accession}

    async def damage_entry(self, args: dict[str, Any], case: Case) -> dict[str, Any]:
        """Offer the entries of an order with a fault from now on."""
        del case
        order, fault = self._order(args), str(args["fault"])
        if fault not in FAULTS:
            raise BadInput("ris.damage_entry: fault", f"one of {', '.join(FAULTS)}", repr(fault))
        with self.bench.change(self.ris):
            for step in self.ris.steps_of(order):
                self.ris.damages[step.id] = Damage(step.id, fault)
        return self._seen({"placer": order.placer}) | {"fault": fault}

    async def mend_entry(self, args: dict[str, Any], case: Case) -> dict[str, Any]:
        """Offer the entries of an order as they should be."""
        del case
        order = self._order(args)
        with self.bench.change(self.ris):
            for step in self.ris.steps_of(order):
                if step.id in self.ris.damages:
                    del self.ris.damages[step.id]
        return self._seen({"placer": order.placer})

    def _exceptions(self, args: dict[str, Any]) -> dict[str, Any]:
        """Return what waits for a person, or with ``settled`` what does not wait any more."""
        wanted = bool(args.get("settled"))
        rows = [pack(oddity) for oddity in self.ris.oddities.values() if bool(oddity.settled) is wanted]
        return {"exceptions": rows, "count": len(rows)}

    def _order(self, args: dict[str, Any]) -> Order:
        numbers = order_numbers(args.get("order"))
        if (order := self.ris.find(**numbers)) is None:
            raise BadInput("order", "an order that the RIS has", str(numbers))
        return order

    def _done(self, order: Order, case: Case, change: Callable[[], list[Notice]]) -> dict[str, Any]:
        now = self.bench.clock.now()
        try:
            with self.bench.change(self.ris) as transaction:
                for send in self.correspondence.sends(self.ris, change(), now, case.id):
                    transaction.send(send)
        except IllegalTransition as error:
            raise Refused(f"order {order.accession}: {error}") from error
        return self._seen({"placer": order.placer})

    def _seen(self, numbers: dict[str, str]) -> dict[str, Any]:
        """Return an order with its steps as scenarios see it."""
        order = self.ris.find(**numbers)
        if order is None:
            return {}
        steps = self.ris.steps_of(order)
        first = min(steps, key=lambda step: step.start, default=None)
        return {
            **order_object(order),
            "start": first.start if first else "",
            "date": first.start[:8] if first else "",
            "station": first.station if first else "",
            "steps": [pack(step) for step in steps],
        }

    def _patient(self, args: dict[str, Any]) -> dict[str, Any]:
        patient = self.ris.patients.get(str(args.get("id", "")))
        return patient_object(patient) if patient else {}

    def _report(self, args: dict[str, Any]) -> dict[str, Any]:
        order = self.ris.find(**order_numbers(args))
        report = self.ris.reports.get(order.filler) if order else None
        return report_object(report) if report else {}


def _time(text: Any) -> datetime | None:
    if not text:
        return None
    written = str(text)
    try:
        return datetime.strptime(written, _FORMATS[len(written)])  # noqa: DTZ007 - local time, as DICOM has it
    except (KeyError, ValueError):
        raise BadInput("start", "YYYYMMDDHHMM or YYYYMMDDHHMMSS", written) from None
