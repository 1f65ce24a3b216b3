"""Patients and encounters as the order filler knows them (RAD-1, RAD-12, ITI-30, ITI-31). Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from stepwedge.model.context import NOTHING, ClinicalContext
from stepwedge.model.encounter import Encounter
from stepwedge.model.lifecycles import ENCOUNTER, IllegalTransition, follow
from stepwedge.model.patient import Patient
from stepwedge.sim import hearing
from stepwedge.sim.tables import State
from stepwedge.wire.hl7 import HL7Error

if TYPE_CHECKING:
    from .habits import RisHabits

_BEGINS_AS: Final = {"A05": "planned", "A03": "discharged", "A11": "cancelled", "A23": "deleted"}
"""State of an encounter whose beginning nobody told us, by the event we hear first; every other means it is active."""


class People(State):
    """The master file; what hangs on a patient is moved by whoever keeps it, in :meth:`_move`."""

    def __init__(self, seed: int, name: str, *, habits: RisHabits) -> None:
        super().__init__(seed, name)
        self.habits = habits
        self.patients = self.table("patients", Patient)
        self.encounters = self.table("encounters", Encounter)
        self.contexts = self.table("contexts", ClinicalContext)
        self.heard = self.table("heard", hearing.Heard)
        self.encounters.index("patient", lambda encounter: [encounter.patient])

    # --- patients, RAD-1, RAD-12, ITI-30

    def survivor(self, patient: str) -> str:
        """Return the ID under which a patient is known now."""
        while (row := self.patients.get(patient)) is not None and row.merged_into:
            patient = row.merged_into
        return patient

    def context(self, patient: str) -> ClinicalContext:
        """Return what is known of a patient."""
        return self.contexts.get(self.survivor(patient)) or NOTHING

    def note(self, patient: str, context: ClinicalContext) -> None:
        """Keep what a message said of a patient, unless it said nothing."""
        if context != self.context(patient):
            self.contexts[self.survivor(patient)] = context

    def stale(self, patient: str, at: str) -> bool:
        """Note when an event happened; tell whether a newer one is known, so that this one must not be applied (IDM-13)."""
        return hearing.stale(self.heard, patient, at, self.habits.outdated)

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
        """Move the record itself and its encounters to another."""
        self.patients[survivor.id] = survivor
        self.patients[old.id] = replace(old, merged_into=survivor.id)
        for encounter in self.encounters.by("patient", old.id):
            self.encounters[encounter.visit] = replace(encounter, patient=survivor.id)
        if (known := self.contexts.get(old.id)) is not None:
            self.contexts[survivor.id] = known.with_more(self.contexts.get(survivor.id) or NOTHING)

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
