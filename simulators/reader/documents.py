"""Structured reports into the archive: evidence asked from it, the object stored in it (PS3.3 A.35.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stepwedge.errors import Refused
from stepwedge.sim.dimse import calling
from stepwedge.sim.structured_report import BASIC_TEXT_SR, basic_text_sr
from stepwedge.wire.elements import EXPLICIT_LE, encode
from stepwedge.wire.services import STUDY_FIND

from .state import full_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stepwedge.sim.bench import Bench
    from stepwedge.sim.simulator import Case

    from .habits import ReaderHabits
    from .state import Signed

Elements = dict[str, Any]


class Filing:
    """Writes each version of a report as an object of its own."""

    def __init__(self, bench: Bench, archive: str, habits: ReaderHabits) -> None:
        self._bench = bench
        self._archive = archive
        self._habits = habits

    async def file(
        self, signed: Signed, study: Mapping[str, Any], order: Mapping[str, Any], case: Case
    ) -> None:
        """Store the newest version of ``signed``; what the archive does not take was not signed."""
        event, sops = signed.event, signed.documents
        former = self._habits.predecessor(sops[-2]) if len(sops) > 1 else ""
        document = basic_text_sr(
            study,
            text=full_text(event),
            series=signed.series,
            sop=sops[-1],
            number=len(sops),
            author=event.author,
            now=self._bench.clock.now(),
            final=event.letter != "P",
            evidence=await self._evidence(event.study, case),
            order={"placer": event.placer, "filler": event.filler, "procedure": event.procedure, **order},
            predecessor={"series": signed.series, "sop": former} if former else None,
        )
        async with calling(self._bench, self._archive, [BASIC_TEXT_SR], case=case.id) as association:
            data = encode(document, explicit=True)
            result = await association.store(BASIC_TEXT_SR, sops[-1], EXPLICIT_LE, data)
        if result.category not in {"success", "warning"}:
            raise Refused(
                f"the structured report was not taken: {result.status:04X} {result.comment}".strip()
            )

    async def _evidence(self, study: str, case: Case) -> list[dict[str, str]]:
        """Ask the archive which images the study has, series by series (PS3.4 C.6.2.1)."""
        found: list[dict[str, str]] = []
        async with calling(self._bench, self._archive, [STUDY_FIND], case=case.id) as association:
            level = {"QueryRetrieveLevel": "SERIES", "StudyInstanceUID": study}
            series = await association.find(STUDY_FIND, level | {"SeriesInstanceUID": "", "Modality": ""})
            for one in series:
                if one.get("Modality") == "SR":
                    continue
                level = {
                    "QueryRetrieveLevel": "IMAGE",
                    "StudyInstanceUID": study,
                    "SeriesInstanceUID": one["SeriesInstanceUID"],
                    "SOPInstanceUID": "",
                    "SOPClassUID": "",
                }
                found += [
                    {
                        "series": str(one["SeriesInstanceUID"]),
                        "sop": str(image["SOPInstanceUID"]),
                        "sop_class": str(image["SOPClassUID"]),
                    }
                    for image in await association.find(STUDY_FIND, level)
                ]
        if not found:
            raise Refused(f"the archive names no image of study {study}, so there is nothing to report on")
        return found
