"""The wards of a load: they register, order, cancel, correct and merge, over HL7 (RAD-1, RAD-2, RAD-12).

Messages are compiled once for each kind and version (:mod:`stepwedge.wire.hl7_template`). A message without an answer is sent once
more, the same bytes under the same control ID: who got it before must not act twice.
"""

from __future__ import annotations

import contextlib
import functools
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from stepwedge.errors import Failed, LinkLost, NoAnswer
from stepwedge.model.identifiers import PATIENT_PREFIX, digits
from stepwedge.model.order import Order
from stepwedge.model.patient import Patient, PersonName
from stepwedge.sim.messages import Envelope, order_message, patient_message, read_answer
from stepwedge.wire.hl7 import timestamp
from stepwedge.wire.hl7_template import HL7Template, acknowledged

if TYPE_CHECKING:
    from stepwedge.load.ledger import Kind
    from stepwedge.load.site import Site

_SAMPLED: Final = datetime(2001, 2, 3, 4, 5, 6).astimezone()
_KINDS: Final = {"2.3.1": "ORM^O01", "2.5.1": "OMG^O19"}
"""What an order is called in each version."""
_TAKEN: Final = frozenset({"AA", "CA"})


@dataclass
class Numbers:
    """Identifiers of one arrival: unique by construction, whichever worker has it, and recognisable as synthetic."""

    seed: int
    kind: str
    number: int
    count: int = 0

    @property
    def tail(self) -> str:
        """Digits that no other arrival of any run with another seed has."""
        return f"{digits(5, self.seed, 'load')}{self.kind}{self.number:09d}"

    def patient_id(self, which: int = 0) -> str:
        """Return a patient ID."""
        return f"{PATIENT_PREFIX}{which}{self.tail}"

    def placer(self) -> str:
        """Return a placer order number, at most 22 characters (HL7 2.3.1 ORC-2.1)."""
        return f"LP{self.tail}"

    def control(self) -> str:
        """Return the next message control ID, at most 20 characters (MSH-10)."""
        self.count += 1
        return f"L{self.tail}{self.count:02d}"

    def person(self, which: int = 0) -> Patient:
        """Return a patient who never was."""
        name = PersonName(f"Load{self.number:09d}", f"Synthetic{'ABC'[which]}")
        year = 1930 + self.number % 80
        return Patient(
            self.patient_id(which), name, f"{year}0{1 + self.number % 9}15", "MFO"[self.number % 3]
        )


@functools.cache
def _template(
    kind: str, version: str, sender: str, receiver: str, sex: str, what: tuple[str, str, str]
) -> HL7Template:
    """Compile one kind of message: an ADT event, or an order control code for a procedure, its text and priority."""
    procedure, text, priority = what
    patient = Patient("SAMPLEPATIENT", PersonName("SAMPLEFAMILY", "SAMPLEGIVEN"), "19010203", sex)
    envelope = Envelope(sender, receiver, "SAMPLECONTROL", _SAMPLED, version)
    samples = {"control": envelope.control, "at": timestamp(_SAMPLED), "patient": patient.id}
    samples |= {"family": "SAMPLEFAMILY", "given": "SAMPLEGIVEN", "born": "19010203"}
    if kind.startswith("A"):
        raw = patient_message(kind, patient, envelope, prior="SAMPLEPRIOR")
        return HL7Template.of(raw, samples | ({"prior": "SAMPLEPRIOR"} if kind == "A40" else {}))
    order = Order("SAMPLEPLACER", patient.id, procedure, text, priority=priority, version=version)
    samples["placer"] = order.placer
    if kind != "NW":
        order = replace(order, filler="SAMPLEFILLER", accession="SAMPLEACCESSION")
        samples |= {"filler": order.filler, "accession": order.accession}
    start = "20010203040507" if kind == "XO" else ""
    samples |= {"start": start} if start else {}
    return HL7Template.of(order_message(kind, order, patient, envelope, start=start), samples)


@dataclass
class Ward:
    """Whoever registers and orders for one patient."""

    site: Site
    numbers: Numbers
    patient: Patient
    version: str = "2.5.1"

    def tell(
        self, name: str, event: str, *, prior: str = "", due: float | None = None, group: str = ""
    ) -> None:
        """Send an ADT event to everybody with an HL7 door who keeps patients; only the first waits since it was due."""
        for actor in receivers(self.site):
            raw = self._render(event, actor, prior=prior)
            kind: Kind = "merge" if event == "A40" else "patient"
            identity = (
                f"{self.patient.id}@{actor}" if kind == "patient" else f"{prior}>{self.patient.id}@{actor}"
            )
            keys = {"patient": self.patient.id, "at_actor": actor}
            keys |= {"survivor": self.patient.id, "prior": prior} if prior else {}
            self.site.ledger.write(kind, identity, "attempted", event=event, **keys)
            answer = acknowledged(self.ask(name, actor, raw, due=due, group=group))
            self.site.ledger.write(kind, identity, "acknowledged", code=answer.code)
            due = None

    def order(
        self, control: str, order: Order, *, group: str = "", start: str = "", twice: bool = False
    ) -> Order:
        """Place (NW), change (XO) or cancel (CA) an order; return it as the filler answered, who need not tell its numbers.

        ``twice`` delivers the same message again, as an engine does that lost the answer: it must stay one order.
        """
        site, ris = self.site, self.site.role("ris")
        raw = self._render(control, ris, order=order, start=start)
        if control == "NW":
            site.ledger.write(
                "order", order.placer, "attempted", patient=order.patient, exam=self.numbers.number
            )
        reply = self.ask(
            _KINDS[self.version], ris, raw, group=group, placer=order.placer if control == "NW" else ""
        )
        if control != "NW":
            adopt_answer(site, order.placer, reply)
            site.ledger.write("order", order.placer, "acknowledged", changed=control)
            return order
        items = read_answer(reply).items
        accession = next((one.accession for one in items if one.accession), "")
        filler = next((one.filler for one in items if one.filler), "")
        if twice:
            again = read_answer(self.ask(_KINDS[self.version], ris, raw, group=group)).items
            if {one.accession for one in again if one.accession} - {accession}:
                raise Failed(f"order {order.placer}, delivered twice, got another accession number")
        site.ledger.write(
            "order",
            order.placer,
            "acknowledged",
            accession=accession,
            filler=filler,
            exam=self.numbers.number,
        )
        return replace(order, accession=accession, filler=filler)

    def ask(
        self,
        name: str,
        actor: str,
        raw: bytes,
        *,
        due: float | None = None,
        group: str = "",
        placer: str = "",
    ) -> bytes:
        """Send a message until there is an answer, twice at most; raises Failed when it is a no."""
        for last in (False, True):
            try:
                with self.site.request(name, due=due, group=group) as asked:
                    asked.bytes = len(raw)
                    reply = self.site.ask(actor, raw)
                    answer = acknowledged(reply)
                    if answer.code not in _TAKEN:
                        asked.outcome = "refused"
            except (LinkLost, NoAnswer):
                if last:
                    raise
                due = None
                continue
            if answer.code not in _TAKEN:
                if placer:
                    self.site.ledger.write("order", placer, "refused", why=f"{answer.code} {answer.text}")
                raise Failed(f"{name} to {actor} was answered {answer.code} {answer.text}")
            return reply
        raise AssertionError  # the second attempt returned or raised

    def _render(
        self, kind: str, actor: str, *, prior: str = "", order: Order | None = None, start: str = ""
    ) -> bytes:
        sender = self.site.door("ehr", "application") or "SW_EHR"
        receiver = self.site.directory[actor].application or actor.upper()
        what = (order.procedure, order.text, order.priority) if order else ("", "", "")
        template = _template(kind, self.version, sender, receiver, self.patient.sex, what)
        values = {
            "control": self.numbers.control(),
            "at": timestamp(datetime.now().astimezone()),
            "patient": self.patient.id,
            "family": self.patient.name.family,
            "given": self.patient.name.given,
            "born": self.patient.birth_date,
            "prior": prior,
            "start": start,
        }
        if order is not None:
            values |= {"placer": order.placer, "filler": order.filler, "accession": order.accession}
        return template.render(values)


def receivers(site: Site) -> list[str]:
    """Return who is told of patients: the RIS first, then the archive; an engine alone where there is one."""
    engine = site.role("engine")
    roles = ("engine",) if engine else ("ris", "pacs")
    named = [site.role(role) for role in roles]
    return [name for name in named if name and site.directory[name].hl7 is not None]


def adopt(site: Site, patient: Patient, order: Order) -> bool:
    """Let the simulated EHR know a patient and an order of a load, whose status and report it will be told; False without one."""
    known = {
        "placer": order.placer,
        "procedure": order.procedure,
        "text": order.text,
        "priority": order.priority,
        "version": order.version,
        "filler": order.filler,
        "accession": order.accession,
        "status": order.status,
    }
    return _let_know(site, "adopt_order", order.placer, patient=person_told(patient), order=known)


def adopt_answer(site: Site, placer: str, reply: bytes) -> None:
    """Let the simulated EHR know what the filler answered when an order was changed or cancelled, byte for byte."""
    _let_know(site, "adopt_answer", placer, answer=reply.decode("latin-1"))


def adopt_merge(site: Site, survivor: Patient, prior: str) -> None:
    """Let the simulated EHR know that one of these patients is another."""
    _let_know(site, "adopt_merge", prior, patient=person_told(survivor), prior=prior)


def _let_know(site: Site, word: str, about: str, **told: object) -> bool:
    """Tell the simulated EHR, by its admin API; False where the EHR is a real one."""
    admin = site.admin("ehr")
    if admin is None:
        return False
    with contextlib.closing(admin):
        admin.act(word, told, {"id": f"load/{about}"})
    return True


def person_told(patient: Patient) -> dict[str, str]:
    """Return a patient as the simulated EHR is told."""
    told = {"id": patient.id, "name": patient.name.dicom()}
    return told | {"birth_date": patient.birth_date, "sex": patient.sex}
