"""What the radiologist does before and after dictating: reading list, study with priors on the screen, the call."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from stepwedge.errors import BadInput

from .display import displayed
from .retrieval import shown

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from stepwedge.sim.bench import Bench
    from stepwedge.sim.simulator import Case

    from .acts import Acts
    from .habits import ReaderHabits
    from .state import Desk

Args = dict[str, Any]


class Reading:
    """The words around a report."""

    def __init__(self, bench: Bench, desk: Desk, acts: Acts, habits: ReaderHabits) -> None:
        self._bench = bench
        self._desk = desk
        self._acts = acts
        self._habits = habits

    def words(self) -> dict[str, Callable[[Args, Case], Awaitable[Args]]]:
        """Return the words by name."""
        return {
            "reading_list": self.reading_list,
            "open_study": self.open_study,
            "call_result": self.call_result,
        }

    async def reading_list(self, args: Args, case: Case) -> Args:
        """Ask the archive for the studies of a day that nobody has signed here yet (RAD-14)."""
        day = str(args.get("date") or f"{self._bench.clock.now():%Y%m%d}")
        keys = {"StudyDate": day, **({"ModalitiesInStudy": args["modality"]} if args.get("modality") else {})}
        keys |= {"PatientID": str(args["patient"]["id"])} if args.get("patient") else {}
        found = await self._acts.find_study(keys, case)
        signed = {one.event.study for one in self._desk.reports.values() if one.event.letter != "P"}
        left = [study for study in found["studies"] if study.get("StudyInstanceUID") not in signed]
        left.sort(key=lambda study: (str(study.get("StudyDate")), str(study.get("StudyTime"))))
        return {"studies": left, "count": len(left)}

    async def open_study(self, args: Args, case: Case) -> Args:
        """Bring a study onto the screen, and name the patient's earlier ones (RAD-14, RAD-16)."""
        study = str(args["study"])
        status, instances = await self._acts.taken(study, args.get("door") or "c-move", case)
        opened = [shown(one) for one in instances]
        patient = str(opened[0]["header"].get("PatientID", "")) if opened else ""
        return {
            "study": study,
            "patient": patient,
            "count": len(opened),
            "screens": displayed(opened, self._habits),
            "priors": await self._priors(study, patient, case) if patient else [],
            "status": status,
        }

    async def _priors(self, study: str, patient: str, case: Case) -> list[Args]:
        found = await self._acts.find_study({"PatientID": patient}, case)
        others = [one for one in found["studies"] if one.get("StudyInstanceUID") != study]
        others.sort(key=lambda one: (str(one.get("StudyDate")), str(one.get("StudyTime"))), reverse=True)
        return [
            {
                "study": one.get("StudyInstanceUID", ""),
                "date": one.get("StudyDate", ""),
                "description": one.get("StudyDescription", ""),
            }
            for one in others
        ]

    async def call_result(self, args: Args, case: Case) -> Args:
        """Tell a critical result by telephone and write down who took it and whether it was read back, as an addendum."""
        number = args["report"]["report"] if isinstance(args["report"], dict) else str(args["report"])
        signed = self._desk.reports.get(number)
        if signed is None or not signed.event.critical:
            raise BadInput("reader.call_result: report", "a report signed as critical here", repr(number))
        said = "read back" if args.get("read_back", True) else "not read back"
        at = f"{self._bench.clock.now():%Y%m%d%H%M%S}"
        text = f"Critical result told to {args['to']} by telephone, {at}, {said}."
        given = await self._acts.add_addendum({"report": number, "text": text, "status": "A"}, case)
        with self._bench.change(self._desk):
            self._desk.reports[number] = replace(self._desk.reports[number], called=f"{args['to']} {at}")
        return {**given, "told": args["to"], "at": at, "read_back": bool(args.get("read_back", True))}
