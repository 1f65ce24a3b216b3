"""What the EHR can be told to do and asked, as ``stepwedge.actors.words_ehr`` describes it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from stepwedge.errors import BadInput, Refused
from stepwedge.model.identifiers import ACCESSION_PREFIX
from stepwedge.model.order import PRIORITY_TO_DICOM, Order
from stepwedge.model.patient import Patient, PersonName
from stepwedge.sim.by_hand import at_once
from stepwedge.sim.messages import Answer, Envelope, order_message, patient_message, read_answer
from stepwedge.sim.objects import order_numbers, order_object, patient_number, patient_object, report_object
from stepwedge.sim.rows import pack
from stepwedge.sim.store import Send
from stepwedge.wire.hl7_charset import codec

from .fhir_orders import FhirOrders

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from stepwedge.model.encounter import Encounter
    from stepwedge.model.procedure import Procedure
    from stepwedge.sim.bench import Bench
    from stepwedge.sim.simulator import Case
    from stepwedge.sim.store import Change

    from .settings import Settings
    from .state import Ehr

VERSIONS = ("2.3.1", "2.5.1")


@dataclass(frozen=True)
class Ward:
    """Those who register, order and cancel."""

    bench: Bench
    ehr: Ehr
    settings: Settings
    procedures: dict[str, Procedure]

    def acts(self) -> dict[str, Callable[[dict[str, Any], Case], Awaitable[dict[str, Any]]]]:
        """Return the words of this role."""
        return {
            "register_patient": self.register_patient,
            "add_person": self.add_person,
            "update_person": self.update_person,
            "change_identifier": self.change_identifier,
            "update_patient": self.update_patient,
            "merge_patients": self.merge_patients,
            "place_order": self.place_order,
            "place_orders": self.place_orders,
            "resend_order": self.resend_order,
            "cancel_order": self.cancel_order,
            "adopt_order": self.adopt_order,
            "adopt_answer": self.adopt_answer,
            "adopt_merge": self.adopt_merge,
        }

    def asks(self) -> dict[str, Callable[[dict[str, Any]], Any]]:
        """Return what can be asked; a thing not known is ``{}``."""
        return {
            "order": self._order_seen,
            "patient": self._patient_seen,
            "report": self._report_seen,
            "encounter": lambda args: pack(self.ehr.encounters.get(str(args.get("visit", "")))) or {},
            "appointment": self._appointment_seen,
        }

    # Patients

    async def register_patient(self, args: dict[str, Any], case: Case) -> dict[str, Any]:
        """Register a patient (RAD-1, ADT^A04)."""
        charset = args.get("charset")
        if charset and codec(charset) is None:
            raise BadInput(
                "ehr.register_patient: charset", "a term of HL7 table 0211, such as 8859/1", charset
            )
        return await self._enter("A04", args, case)

    async def add_person(self, args: dict[str, Any], case: Case) -> dict[str, Any]:
        """Enter a person who is not in the hospital (ITI-30, ADT^A28)."""
        return await self._enter("A28", args, case)

    async def _enter(self, event: str, args: dict[str, Any], case: Case) -> dict[str, Any]:
        with self.bench.change(self.ehr) as change:
            number = str(args.get("id") or self.ehr.mint(case.id, case.seed).patient_id())
            if number in self.ehr.patients:
                raise BadInput("register_patient: id", "a number that nobody has", number)
            patient = self.person(number, args, case)
            self.ehr.patients[patient.id] = patient
            sends = [] if args.get("untold") else self.tell(change, event, patient, args, case)
        await self.heard(sends)
        return patient_object(patient)

    def person(self, number: str, args: dict[str, Any], case: Case) -> Patient:
        """Return the patient that was described, the rest invented."""
        from stepwedge.model.people import person

        encoding = codec(args["charset"]) if args.get("charset") else ""
        seed = self.bench.seed if case.seed is None else case.seed
        name, birth_date, sex = person(
            seed, case.id, number, locale=args.get("locale") or "en_US", fits=encoding or ""
        )
        if args.get("name"):
            name = PersonName.from_dicom(args["name"])
        birth_date, sex = args.get("birth_date") or birth_date, args.get("sex") or sex
        return Patient(number, name, birth_date, sex, self.settings.domain)

    async def update_patient(self, args: dict[str, Any], case: Case) -> dict[str, Any]:
        """Correct a patient's demographics (RAD-12, ADT^A08)."""
        return await self._correct("A08", args, case)

    async def update_person(self, args: dict[str, Any], case: Case) -> dict[str, Any]:
        """Correct a person's demographics (ITI-30, ADT^A31)."""
        return await self._correct("A31", args, case)

    async def _correct(self, event: str, args: dict[str, Any], case: Case) -> dict[str, Any]:
        patient = self.patient(args["patient"])
        name = PersonName.from_dicom(args["name"]) if args.get("name") else patient.name
        patient = replace(
            patient,
            name=name,
            birth_date=args.get("birth_date") or patient.birth_date,
            sex=args.get("sex") or patient.sex,
        )
        with self.bench.change(self.ehr) as change:
            self.ehr.patients[patient.id] = patient
            sends = self.tell(change, event, patient, args, case)
        await self.heard(sends)
        return patient_object(patient)

    async def merge_patients(self, args: dict[str, Any], case: Case) -> dict[str, Any]:
        """Merge a duplicate record into the one that survives (RAD-12, ADT^A40)."""
        survivor, prior = self.patient(args["survivor"]), self.patient(args["prior"])
        if survivor.id == prior.id:
            raise BadInput("ehr.merge_patients", "two different patients", survivor.id)
        with self.bench.change(self.ehr) as change:
            patient = self.ehr.merge(survivor.id, prior.id)
            sends = self.tell(change, "A40", patient, args, case, prior=prior.id)
        await self.heard(sends)
        return patient_object(patient)

    async def change_identifier(self, args: dict[str, Any], case: Case) -> dict[str, Any]:
        """Give a patient another identifier (ITI-30, ADT^A47); one that is taken is sent too, and changes nothing here."""
        prior = self.patient(args["patient"])
        with self.bench.change(self.ehr) as change:
            mint = self.ehr.mint(case.id, case.seed)
            number = patient_number(args["id"]) if args.get("id") else mint.patient_id()
            patient = replace(prior, id=number)
            if number not in self.ehr.patients:
                self.ehr.patients[number] = patient
                self.ehr.merge(number, prior.id)
            sends = self.tell(change, "A47", patient, args, case, prior=prior.id)
        answers = await asyncio.gather(
            *(self.bench.outbox.answer(send, self.settings.within) for send in sends)
        )
        codes = {
            send.to: read_answer(each.reply).code if each.reply else "lost"
            for send, each in zip(sends, answers, strict=True)
        }
        return {**patient_object(patient), "answers": codes}

    def patient(self, value: Any) -> Patient:
        """Return the patient that a patient object or an ID names; one merged away is none any more."""
        number = patient_number(value)
        patient = self.ehr.patients.get(number)
        if patient is None or patient.merged_into:
            found = (
                f"{number}, merged into {patient.merged_into}"
                if patient
                else f"{number}, who was never registered"
            )
            raise BadInput("patient", "a patient of the EHR", found)
        return patient

    def tell(
        self,
        change: Change,
        event: str,
        patient: Patient,
        args: dict[str, Any],
        case: Case,
        prior: str = "",
        encounter: Encounter | None = None,
    ) -> list[Send]:
        """Put an ADT message for every system that is told of patients into the outbox."""
        sends = []
        everybody = [name for name in self.bench.directory.having("hl7") if name != self.bench.name]
        for to in everybody if self.settings.tells is None else self.settings.tells:
            envelope = self.envelope(to, _version(args), args.get("charset"))
            context = self.ehr.context(patient.id)
            body = patient_message(
                event, patient, envelope, prior=prior, encounter=encounter, context=context
            )
            sends.append(change.send(Send(to, body, control=envelope.control, case=case.id)))
        return sends

    def envelope(self, to: str, version: str, charset: str | None = None) -> Envelope:
        """Return the envelope of a message to ``to``."""
        receiver = self.bench.directory[to].application or to
        now = self.bench.clock.now()
        return Envelope(
            self.bench.application, receiver, self.ehr.control(), now, version, charset, self.bench.charsets
        )

    async def heard(self, sends: list[Send]) -> None:
        """Wait until every receiver has decided; the first that will not take its message ends the word."""
        deliveries = await asyncio.gather(
            *(self.bench.outbox.answer(send, self.settings.within) for send in sends)
        )
        for send, delivery in zip(sends, deliveries, strict=True):
            if delivery.reason:
                raise Refused(f"{send.to} would not take message {send.control}: {delivery.reason}")

    # Orders

    async def adopt_order(self, args: dict[str, Any], case: Case) -> dict[str, Any]:  # noqa: ARG002 - a word's signature
        """Write an order and its patient into the books that other machines of this EHR have told, or will tell, the others.

        A load plays those machines: what becomes of its orders is told to us.
        """
        patient, order = (
            Patient(**args["patient"] | {"name": PersonName.from_dicom(args["patient"]["name"])}),
            args["order"],
        )
        with self.bench.change(self.ehr):
            self.ehr.patients[patient.id] = patient
            self.ehr.orders[order["placer"]] = Order(**order, patient=patient.id)
        return {"placer": order["placer"]}

    async def adopt_answer(self, args: dict[str, Any], case: Case) -> dict[str, Any]:  # noqa: ARG002 - a word's signature
        """Take what a filler answered to other machines of this EHR about an order (the reply to RAD-2, as received)."""
        with self.bench.change(self.ehr):
            items = read_answer(str(args["answer"]).encode("latin-1")).items
            for item in items:
                self.ehr.hear(item)
        return {"items": len(items)}

    async def adopt_merge(self, args: dict[str, Any], case: Case) -> dict[str, Any]:  # noqa: ARG002 - a word's signature
        """Write a merge into the books that other machines of this EHR tell the others."""
        survivor = Patient(**args["patient"] | {"name": PersonName.from_dicom(args["patient"]["name"])})
        with self.bench.change(self.ehr):
            self.ehr.patients[survivor.id] = survivor
            self.ehr.merge(survivor.id, str(args["prior"]))
        return {"patient": survivor.id}

    async def place_order(self, args: dict[str, Any], case: Case) -> dict[str, Any]:
        """Order an imaging procedure (RAD-2)."""
        patient = self.patient(args["patient"])
        procedure = self.procedure(args.get("procedure"))
        priority = args.get("priority") or "routine"
        if priority not in PRIORITY_TO_DICOM:
            raise BadInput("ehr.place_order: priority", f"one of {', '.join(PRIORITY_TO_DICOM)}", priority)
        encounter = self.ehr.encounter(args["visit"]) if args.get("visit") else None
        version, imaging = _version(args), args.get("form") == "OMI^O23"
        if imaging and version != VERSIONS[-1]:
            raise BadInput("ehr.place_order: form", "OMI^O23 with version 2.5.1", version)
        with self.bench.change(self.ehr) as change:
            mint = self.ehr.mint(case.id, case.seed)
            issued = str(args.get("accession") or "")
            if imaging and not issued:
                issued = mint.number("accession", ACCESSION_PREFIX, 12)
            order = Order(
                placer=str(args.get("placer") or mint.number("placer", "P", 10)),
                patient=patient.id,
                procedure=procedure.code,
                text=procedure.text,
                priority=priority,
                reason=args.get("reason") or "",
                alerts=args.get("alerts") or "",
                provider=self.settings.provider,
                comments=args.get("comments") or "",
                accession=issued,
                imaging=imaging,
                study=mint.uid("study") if imaging else "",
                version=version,
                visit=encounter.visit if encounter else "",
                placed=f"{self.bench.clock.now():%Y%m%d%H%M%S}",
                by=args.get("by") or "hl7",
            )
            by_fhir = FhirOrders(self) if order.by == "fhir" else None
            if by_fhir:
                by_fhir.check(order)
            self.ehr.orders[order.placer] = order
            send = (
                by_fhir.placing(change, order, case)
                if by_fhir
                else self.order_sent(change, "NW", order, case)
            )
        if by_fhir:
            return await by_fhir.placed(send, order)
        answer = await self.answer(send)
        if any(item.control not in {"OK", "NA", "SN"} for item in answer.items):
            raise Refused(
                f"{send.to} would not take order {order.placer}: {answer.items[0].control} {answer.text}"
            )
        return order_object(self.ehr.orders[order.placer])

    def procedure(self, code: Any) -> Procedure:
        """Return a procedure of the catalogue."""
        if (found := self.procedures.get(str(code))) is None:
            known = ", ".join(sorted(self.procedures))
            raise BadInput("ehr.place_order: procedure", f"one of {known}", str(code))
        return found

    async def place_orders(self, args: dict[str, Any], case: Case) -> dict[str, Any]:
        """Order several procedures at the same moment, each over a connection of its own (RAD-2)."""
        patient, version = self.patient(args["patient"]), _version(args)
        procedures = [self.procedure(code) for code in args["procedures"]]
        with self.bench.change(self.ehr):
            mint = self.ehr.mint(case.id, case.seed)
            orders = [
                Order(
                    placer=mint.number("placer", "P", 10),
                    patient=patient.id,
                    procedure=one.code,
                    text=one.text,
                    provider=self.settings.provider,
                    version=version,
                    placed=f"{self.bench.clock.now():%Y%m%d%H%M%S}",
                )
                for one in procedures
            ]
            for order in orders:
                self.ehr.orders[order.placer] = order
            sends = [self.order_send("NW", order, case) for order in orders]
        for send, delivery in zip(sends, await at_once(self.bench, sends), strict=True):
            if delivery.reason:
                raise Refused(f"{send.to} would not take message {send.control}: {delivery.reason}")
            with self.bench.change(self.ehr):
                for item in read_answer(delivery.reply).items:
                    self.ehr.hear(item)
        return {
            "orders": [order_object(self.ehr.orders[order.placer]) for order in orders],
            "count": len(orders),
        }

    async def resend_order(self, args: dict[str, Any], case: Case) -> dict[str, Any]:
        """Send an order again under a new control ID (IDM-02 of RAD-2: same placer number)."""
        order = self.order_named(args)
        if order.by == "fhir":
            return await FhirOrders(self).resend(order, case)
        with self.bench.change(self.ehr) as change:
            send = self.order_sent(
                change, "NW", order if order.imaging else replace(order, filler="", accession=""), case
            )
        answer = await self.answer(send)
        return {**order_object(self.ehr.orders[order.placer]), "answer": answer.code}

    async def cancel_order(self, args: dict[str, Any], case: Case) -> dict[str, Any]:
        """Cancel an order (RAD-2 with CA); the filler decides, and its answer is the result."""
        order = replace(self.order_named(args), why=args.get("reason") or "")
        if order.by == "fhir":
            return await FhirOrders(self).cancel(order, order.why, case)
        with self.bench.change(self.ehr) as change:
            send = self.order_sent(change, "CA", order, case)
        answer = await self.answer(send)
        control = answer.items[0].control if answer.items else ""
        if control == "CR":
            with self.bench.change(self.ehr):
                self.ehr.orders[order.placer] = replace(self.ehr.orders[order.placer], why=order.why)
        return {**order_object(self.ehr.orders[order.placer]), "control": control, "answer": answer.code}

    def order_sent(self, change: Change, control: str, order: Order, case: Case, start: str = "") -> Send:
        """Put an order message into the outbox (RAD-2)."""
        return change.send(self.order_send(control, order, case, start))

    def order_send(self, control: str, order: Order, case: Case, start: str = "") -> Send:
        """Return an order message on its way to the filler (RAD-2)."""
        envelope = self.envelope(self.settings.ris, order.version)
        patient, encounter = self.ehr.patients[order.patient], self.ehr.encounters.get(order.visit)
        context = self.ehr.context(order.patient)
        body = order_message(
            control, order, patient, envelope, encounter=encounter, context=context, start=start
        )
        return Send(self.settings.ris, body, control=envelope.control, case=case.id)

    async def answer(self, send: Send) -> Answer:
        """Wait for the filler's answer and take what it says about the order."""
        delivery = await self.bench.outbox.answer(send, self.settings.within)
        if delivery.reason:
            raise Refused(f"{send.to} would not take message {send.control}: {delivery.reason}")
        answer = read_answer(delivery.reply)
        with self.bench.change(self.ehr):
            for item in answer.items:
                self.ehr.hear(item)
        return answer

    def order_named(self, args: dict[str, Any]) -> Order:
        """Return the order that a word names."""
        numbers = order_numbers(args.get("order"))
        if (order := self.ehr.find(**numbers)) is None:
            raise BadInput("order", "an order that the EHR placed", str(numbers))
        return order

    # Questions

    def _order_seen(self, args: dict[str, Any]) -> dict[str, Any]:
        order = self.ehr.find(**order_numbers(args))
        return order_object(order) if order else {}

    def _patient_seen(self, args: dict[str, Any]) -> dict[str, Any]:
        patient = self.ehr.patients.get(str(args.get("id", "")))
        return patient_object(patient) if patient else {}

    def _report_seen(self, args: dict[str, Any]) -> dict[str, Any]:
        numbers = order_numbers(args)
        order = self.ehr.find(**numbers) if numbers else None
        report = self.ehr.reports.get(order.filler) if order else None
        return report_object(report) if report else {}

    def _appointment_seen(self, args: dict[str, Any]) -> dict[str, Any]:
        """Return the newest appointment of an order, and how many it has: never more than one."""
        found = self.ehr.appointments.by("placer", str(args.get("placer", "")))
        return {**pack(found[-1]), "count": len(found)} if found else {}


def _version(args: dict[str, Any]) -> str:
    version = str(args.get("version") or VERSIONS[-1])
    if version not in VERSIONS:
        raise BadInput("version", " or ".join(VERSIONS), version)
    return version
