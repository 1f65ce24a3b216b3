"""Encounters as the ward begins, moves, ends and takes them back (ITI-31), each step told to every system with an HL7 door."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import BadInput, Refused
from stepwedge.model.encounter import CLASSES, Encounter
from stepwedge.model.lifecycles import ENCOUNTER, IllegalTransition, follow
from stepwedge.sim.rows import pack

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from stepwedge.sim.simulator import Case

    from .acts import Ward

CHANGES: Final = {
    # Word to the ADT trigger that tells it (HL7 2.5.1 section 3.3).
    "transfer": "A02",
    "discharge": "A03",
    "change_to_inpatient": "A06",
    "change_to_outpatient": "A07",
    "cancel_admit": "A11",
    "cancel_transfer": "A12",
    "cancel_discharge": "A13",
    "delete_visit": "A23",
}


@dataclass(frozen=True)
class Admissions:
    """The admission office."""

    ward: Ward

    def acts(self) -> dict[str, Callable[[dict[str, Any], Case], Awaitable[dict[str, Any]]]]:
        """Return the words about encounters."""
        changes = {word: partial(self._change, event) for word, event in CHANGES.items()}
        return {"admit": self.admit, "preadmit": self.preadmit, **changes}

    async def preadmit(self, args: dict[str, Any], case: Case) -> dict[str, Any]:
        """Announce a stay that is still to come (ADT^A05)."""
        return await self._tell("A05", self._planned(args, case), args, case)

    async def admit(self, args: dict[str, Any], case: Case) -> dict[str, Any]:
        """Begin an encounter, or a planned one: ADT^A01 for inpatients, A04 for all others."""
        encounter = self.ward.ehr.encounter(args["visit"]) if args.get("visit") else self._planned(args, case)
        location = args.get("location") or encounter.location
        encounter = replace(encounter, location=location, began=self._now())
        event = "A01" if encounter.patient_class == "I" else "A04"
        return await self._tell(event, encounter, args, case)

    def _planned(self, args: dict[str, Any], case: Case) -> Encounter:
        """Return a new encounter as it was described."""
        if not args.get("patient"):
            raise BadInput("patient", "a patient, or the visit of a planned encounter", "neither")
        patient = self.ward.patient(args["patient"])
        kind = args.get("class") or "inpatient"
        if kind not in CLASSES:
            raise BadInput("class", f"one of {', '.join(CLASSES)}", str(kind))
        number = self.ward.ehr.mint(case.id, case.seed).number("visit", "V", 9)
        return Encounter(number, patient.id, CLASSES[kind], args.get("location") or "")

    async def _change(self, event: str, args: dict[str, Any], case: Case) -> dict[str, Any]:
        encounter = self.ward.ehr.encounter(args["visit"])
        return await self._tell(event, self._changed(event, encounter, args), args, case)

    def _changed(self, event: str, encounter: Encounter, args: dict[str, Any]) -> Encounter:
        """Return the encounter with what an event changes; its status follows the table of life cycles."""
        place = args.get("location") or encounter.location
        match event:
            case "A02":
                return replace(encounter, location=place, former=encounter.location)
            case "A03":
                return replace(encounter, ended=self._now())
            case "A06" | "A07":
                kind = "I" if event == "A06" else "O"
                return replace(encounter, patient_class=kind, location=place)
            case "A12":
                if not encounter.former:
                    raise Refused(f"encounter {encounter.visit} was never transferred")
                return replace(encounter, location=encounter.former, former="")
            case "A13":
                return replace(encounter, ended="")
        return encounter

    async def _tell(
        self, event: str, encounter: Encounter, args: dict[str, Any], case: Case
    ) -> dict[str, Any]:
        try:
            encounter = replace(encounter, status=follow(ENCOUNTER, encounter.status, event))
        except IllegalTransition as error:
            raise Refused(f"encounter {encounter.visit}: {error}") from error
        ward, patient = self.ward, self.ward.patient(encounter.patient)
        with ward.bench.change(ward.ehr) as change:
            ward.ehr.encounters[encounter.visit] = encounter
            sends = ward.tell(change, event, patient, args, case, encounter=encounter)
        await ward.heard(sends)
        found: dict[str, Any] = pack(encounter)
        return found

    def _now(self) -> str:
        return f"{self.ward.bench.clock.now():%Y%m%d%H%M%S}"
