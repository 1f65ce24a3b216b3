"""What a case became so far: who is in it, by the names that the draft's steps bind, and what had to be assumed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from stepwedge.lab.recording import vocabulary

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stepwedge.lab.recording.draft import Draft
    from stepwedge.lab.recording.heard import Heard

STANDS_IN: Final = "CTCHEST"
"""Procedure that stands for one that nobody here knows, when its modality says no better."""
_NEW_NAMES: Final = "2.5"
"""From this version on orders travel as OMG^O19 (IHE RAD TF-2, 4.2), and our words write 2.5.1."""


@dataclass
class Exam:
    """One performed procedure step: the names of its binding and of its images, how many these are, and whether it is all that was scheduled."""

    caller: str
    name: str
    images: str = ""
    count: int = 0
    whole: bool = True
    stored: bool = False


@dataclass
class Plot:
    """The draft and its bindings; identifiers are inventions already.

    Attributes:
        roles: role of each actor of the lab; ``heard`` is the whole case, in order.
        patients: patient ID to the name of its binding; ``known`` what was last said of one: name, birth date, sex.
        orders: any number of an order to the name of its binding.
        exams: SOP Instance UID of the MPPS, or Study Instance UID, to the exam.
        worklists: by scanner and order, the name of the binding.
        told: what was told already, by what makes it the same (caller, kind, identifiers), and to whom.
        cancelled: whether an order was.
    """

    draft: Draft
    roles: Mapping[str, str]
    heard: Sequence[Heard]
    patients: dict[str, str] = field(default_factory=dict)
    known: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    orders: dict[str, str] = field(default_factory=dict)
    exams: dict[str, Exam] = field(default_factory=dict)
    worklists: dict[tuple[str, str], str] = field(default_factory=dict)
    told: dict[tuple[str, ...], list[str]] = field(default_factory=dict)
    cancelled: bool = False
    _names: dict[str, int] = field(default_factory=dict)

    def name(self, of: str) -> str:
        """Return a fresh name: ``order``, then ``order2``."""
        self._names[of] = self._names.get(of, 0) + 1
        return of if self._names[of] == 1 else f"{of}{self._names[of]}"

    def actor(self, role: str) -> str:
        """Return an actor of the lab that plays a role; the role's own name when there is none."""
        return next((name for name, played in self.roles.items() if played == role), role)

    # Patients

    def described(self, heard: Heard) -> dict[str, str]:
        """Return what a message says of its patient, as arguments of a word."""
        said = {key: heard.said(key) for key in ("name", "birth_date", "sex")}
        if said["sex"] not in {"F", "M", "O"}:
            del said["sex"]
        return {key: value for key, value in said.items() if value and value != '""'}

    def patient(self, heard: Heard) -> str:
        """Return the binding of the patient an exchange speaks of; one whose registration was not heard is registered."""
        for one in heard.keys.get("patient", ()):
            if one in self.patients:
                return self.patients[one]
        if not heard.key("patient") and self.patients:
            return next(iter(self.patients.values()))
        self.draft.remark("not recorded: nobody was heard who registered the patient")
        return self.register("given", heard, self.described(heard))

    def register(self, kind: str, heard: Heard, described: dict[str, str]) -> str:
        """Register a patient and return the name of the binding."""
        name = self.name("patient")
        for one in heard.keys.get("patient", ()) or ("",):
            self.patients[one] = name
        more = {"version": version(heard)} if heard.message is not None and version(heard) != "2.5.1" else {}
        if not described.get("name", "").isascii():
            more["charset"] = "8859/1"
        self.draft.step(
            kind, f"{self.actor('ehr')}.register_patient", with_={**described, **more}, as_=name, ihe="RAD-1"
        )
        return name

    # Orders

    def numbers(self, heard: Heard) -> list[str]:
        """Return every number of an order that an exchange carries."""
        return [value for kind in ("placer", "filler", "accession") for value in heard.keys.get(kind, ())]

    def remember(self, heard: Heard, order: str) -> None:
        """Let every number of an exchange mean an order."""
        for number in (*self.numbers(heard), *heard.keys.get("study", ())):
            self.orders.setdefault(number, order)

    def known_order(self, heard: Heard) -> str:
        """Return the binding of the order that an exchange speaks of, empty when none was heard."""
        for number in (*self.numbers(heard), *heard.keys.get("study", ())):
            if number in self.orders:
                self.remember(heard, self.orders[number])
                return self.orders[number]
        return ""

    def order(self, heard: Heard) -> str:
        """Return the binding of an order; one that nobody was heard to place is placed."""
        if found := self.known_order(heard):
            return found
        patient = self.patient(heard)
        self.draft.remark("not recorded: nobody was heard who placed the order")
        return self.place("given", heard, patient)

    def place(self, kind: str, heard: Heard, patient: str) -> str:
        """Place an order for a patient and return the name of the binding."""
        name = self.name("order")
        code = self._procedure(heard)
        more = {"version": "2.3.1"} if heard.message is not None and version(heard) == "2.3.1" else {}
        priority = {"S": "stat", "A": "urgent", "T": "timed"}.get(heard.said("priority"))
        given: dict[str, Any] = {"patient": f"${patient}", "procedure": code}
        if priority:
            given["priority"] = priority
        if heard.kind == "OMI^O23" and self.roles.get(heard.caller) == "ehr":
            more["form"] = "OMI^O23"  # the placer numbers the exams itself
        self.draft.step(
            kind, f"{self.actor('ehr')}.place_order", with_={**given, **more}, as_=name, ihe="RAD-2"
        )
        self.remember(heard, name)
        return name

    def _procedure(self, heard: Heard) -> str:
        code, known = heard.said("procedure"), vocabulary.procedures()
        if code in known:
            return code
        found = [one.get("CodeValue", "") for one in heard.identifier.get("ProcedureCodeSequence", ())]
        if found and found[0] in known:
            return str(found[0])
        modality = heard.said("modality") or str(heard.identifier.get("Modality", ""))
        fits = [one for one, procedure in known.items() if procedure.modality == modality and one != "FENCE"]
        stands_in = fits[0] if modality and fits else STANDS_IN
        if heard.protocol == "hl7" and code:
            self.draft.decide(
                f"which procedure of the catalogue it was; {stands_in} stands in for a code nobody here knows"
            )
        return stands_in


def version(heard: Heard) -> str:
    """Return the HL7 version in which our words say what a message said."""
    return "2.5.1" if heard.said("version") >= _NEW_NAMES else "2.3.1"
