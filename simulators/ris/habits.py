"""Every decision of the RIS that could also be taken wrongly, as a pure function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepwedge.model.order import PRIORITY_FROM_HL7
from stepwedge.model.patient import PersonName
from stepwedge.sim.fhir.offer import FhirHabits
from stepwedge.sim.messages import own
from stepwedge.sim.messages.patients import whole_day

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stepwedge.model.context import ClinicalContext
    from stepwedge.model.order import Order
    from stepwedge.model.patient import Patient
    from stepwedge.model.procedure import ScheduledStep
    from stepwedge.wire.elements import Elements

OFFERED = frozenset({"SCHEDULED", "ARRIVED", "READY"})


class RisHabits(FhirHabits):
    """What a conforming order filler does."""

    def offers(self, step: ScheduledStep) -> bool:
        """Offer a step on the worklist until a scanner has started it; never what is cancelled or done (RAD-5)."""
        return step.status in OFFERED

    def withholds(self, order_status: str) -> bool:
        """Keep the steps of an order from the worklist while it is on hold (HL7 table 0119, HD)."""
        return order_status == "held"

    def issued(self, accession: str) -> str:
        """Take the accession number that the placer issued, to the letter (OBR-18, IPC-1)."""
        return accession

    def refuses_accession(self, orders: int) -> bool:
        """Refuse an accession number that an order has already."""
        return orders > 0

    def begins(self, start: str) -> str:
        """Put an exam that nobody gave a time onto today's list (YYYYMMDDHHMMSS)."""
        return start

    def fits(self, text: str) -> str:
        """Show as much of a text as LO holds, cut between characters (PS3.5 table 6.2-1)."""
        return text[:64]

    def context(self, known: ClinicalContext) -> ClinicalContext:
        """Show the scanner everything that is known of a patient (PS3.4 table K.6-1)."""
        return known

    def keys(self, identifier: Elements) -> Elements:
        """Match every key of a worklist query (PS3.4 K.6.1.2.2)."""
        return identifier

    def complete(self, entry: Elements) -> Elements:
        """Offer an entry with a value for every key of type 1 (PS3.4 table K.6-1)."""
        return entry

    def priority_vr(self, vr: str) -> str:
        """Write the priority under its own value representation (PS3.6: SH)."""
        return vr

    def worklist_name(self, name: str) -> str:
        """Show a patient's name exactly as it was registered (PS3.5 section 6.1)."""
        return name

    def charset(self, term: str) -> str:
        """Name the character set of an answer by its defined term (PS3.3 section C.12.1.1.2)."""
        return term

    def patient_id(self, given: str) -> str:
        """Keep a patient ID to the letter."""
        return given

    def chosen(self, identifiers: list[tuple[str, str]]) -> str:
        """Take the identifier that our authority assigned, wherever it stands (CX-4; HL7 2.5.1 section 2.A.14)."""
        return own(identifiers)

    def born(self, written: str) -> str:
        """Show a date of birth that is known to the day, and make none up (PID-7, PS3.5 DA)."""
        return whole_day(written)

    def refuses_taken(self, patient: str) -> bool:
        """Refuse to give a patient an identifier that another record has (ITI-30 section 3.30.6.5.4)."""
        return bool(patient)

    def notifies(self, trigger: str) -> bool:
        """Tell the ward of every appointment (RAD-48)."""
        return bool(trigger)

    def visit(self, ordered_in: str, of_patient: Sequence[str]) -> str:
        """Show the visit number of the encounter in which an exam was ordered (PV1-19, (0038,0010))."""
        del of_patient
        return ordered_in

    def keeps(self, order: Order) -> bool:
        """Keep every order that is acknowledged."""
        return bool(order.placer)

    def name(self, components: list[str]) -> PersonName:
        """Map XPN to PN, whose prefix and suffix stand the other way round (PS3.5 section 6.2, HL7 2.5.1 section 2.A.89)."""
        return PersonName.from_hl7(components)

    def priority(self, version: str, code: str) -> str:
        """Read the priority of an order, wherever its version puts it (HL7 table 0485)."""
        del version
        return PRIORITY_FROM_HL7[code]

    def unsaid(self, value: str) -> str:
        """Keep what an update does not mention (ITI TF-2 appendix C)."""
        return value

    def remembers_cancellation(self, placer: str) -> bool:
        """Keep a cancellation whose order has not come yet: messages may change places."""
        return bool(placer)

    def reprotocolled(self, before: ScheduledStep, after: ScheduledStep) -> ScheduledStep:
        """Offer a step under the protocol that it was given last (RAD-13)."""
        del before
        return after

    def agreed(self, found: Sequence[Order | None]) -> Order | None:
        """Take the order that all numbers of a message agree on; of numbers of two orders none."""
        return found[0] if found and all(order is found[0] for order in found) else None

    def link(self, address: str) -> str:
        """Name where images are shown by an address that opens nothing by itself."""
        return address

    def stands(self, status: str) -> str:
        """Judge a cancellation by what the order is: one that was done cannot be undone (HL7 table 0119, UC)."""
        return status

    def study_for(self, own: str, others: tuple[str, ...]) -> str:
        """Give every order a study of its own, whatever ``others`` the patient has (RAD-4)."""
        del others
        return own

    def status_control(self, control: str, status: str) -> str:
        """Tell of an order's progress under the code that says so (RAD-3: SC in ORC-1)."""
        del status
        return control

    def verifier(self, author: str) -> str:
        """Name who signed a report, as the reader did (OBR-32)."""
        return author

    def attachment(self, pdf: str) -> str:
        """Send a report on with the page that came with it (OBX of type ED)."""
        return pdf

    def outdated(self, told: str, known: str) -> bool:
        """Leave out what is older than what is known of a patient (EVN-2, MSH-7)."""
        return told < known

    def flags_late(self, reported: str) -> bool:
        """Let a person look at images that came after the report was signed."""
        return reported in {"final", "corrected"}

    def same_order(self, known: Order, placer: str) -> bool:
        """Recognise an order sent again by its placer number; it keeps its accession number (IHE RAD-2)."""
        return known.placer == placer

    def rescheduled_id(self, step: ScheduledStep) -> str:
        """Keep the step's ID when it moves (RAD-13)."""
        return step.id

    def answers_cancel(self, control: str) -> str:
        """Answer a cancellation with what became of it: CR cancelled, UC unable to cancel (HL7 table 0119)."""
        return control

    def final(self, status: str) -> bool:
        """Change a performed step no more once it is completed or discontinued (PS3.4 section F.7.2.2.2)."""
        return status in {"COMPLETED", "DISCONTINUED"}

    def step_event(self, mpps_event: str) -> str:
        """Let what was performed drive what was scheduled: start, complete, discontinue."""
        return mpps_event

    def gives_back(self, reason: str) -> bool:
        """Offer a step again that was begun by mistake: 110514 DCM, incorrect worklist entry selected (CID 9300)."""
        return reason.startswith("110514^")

    def all_done(self, statuses: tuple[str, ...]) -> bool:
        """Call an order done only when nothing of it is left to do (RAD-3)."""
        return all(status in {"COMPLETED", "DISCONTINUED", "CANCELED"} for status in statuses)

    def moves_with_merge(self, order: Order, prior: str) -> bool:
        """Move every order of a merged patient, with its steps, to the survivor (ITI-30 section 3.30.6.4)."""
        return order.patient == prior

    def parent(self, document: str) -> str:
        """Name the document that a newer one replaces or adds to (TXA-13)."""
        return document

    def flags(self, *, critical: bool) -> bool:
        """Send a critical result on as critical (OBX-8)."""
        return critical

    def reported_accession(self, accession: str) -> str:
        """Send a report on under the accession number of its own order."""
        return accession

    def reported_text(self, text: str) -> str:
        """Send a report's text on as it was written."""
        return text

    def ordering_provider(self, provider: str, patient: Patient) -> str:
        """Name the physician who ordered the exam in its report (OBR-16)."""
        del patient
        return provider

    def reported_at(self, at: str, now: str) -> str:
        """Send a report on with the time at which it was signed (OBR-22)."""
        del now
        return at

    def keeps_back(self, *, late: bool) -> bool:
        """Keep a draft that comes after the final report, and tell nobody (HL7 table 0123)."""
        return late

    def result_letter(self, letter: str) -> str:
        """Send a report on with the status it was signed with (HL7 table 0123)."""
        return letter

    def task_state(self, status: str) -> str:
        """Let the Task of an order follow what becomes of it (hl7.org/fhir/R4/task.html#statemachine)."""
        return status
