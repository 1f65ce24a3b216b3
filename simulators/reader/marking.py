"""What a reader leaves in the archive beside reports: key images, presentation states, rejection notes (RAD-29, RAD-19, RAD-66)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import BadInput, Failed, Refused
from stepwedge.sim import keyobjects, presentations
from stepwedge.sim.dimse import calling
from stepwedge.wire.elements import EXPLICIT_LE, IMPLICIT_LE, encode
from stepwedge.wire.services import STUDY_FIND

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from stepwedge.sim.bench import Bench
    from stepwedge.sim.simulator import Case
    from stepwedge.wire.dimse_asyncio import Association

    from .settings import Settings
    from .state import Desk

Elements = dict[str, Any]
Args = dict[str, Any]

STUDY_KEYS: Final = dict.fromkeys(
    (*keyobjects.PATIENT_AND_STUDY, "IssuerOfPatientID", "StudyDescription"), ""
)
SERIES_KEYS: Final = {"SeriesInstanceUID": "", "Modality": "", "SeriesNumber": ""}
IMAGE_KEYS: Final = {"SOPInstanceUID": "", "SOPClassUID": "", "InstanceNumber": "", "Rows": "", "Columns": ""}
MARKS: Final = frozenset({"KO", "PR", "SR"})
"""Modalities of series that hold no images."""


class Marks:
    """The words by which a reader marks images."""

    def __init__(self, bench: Bench, desk: Desk, settings: Settings) -> None:
        self._bench = bench
        self._desk = desk
        self._settings = settings

    def words(self) -> dict[str, Callable[[Args, Case], Awaitable[Args]]]:
        """Return the words by name."""
        return {
            "reject_images": self.reject_images,
            "mark_key_images": self.mark_key_images,
            "save_presentation": self.save_presentation,
        }

    async def reject_images(self, args: Args, case: Case) -> Args:
        """Withdraw images with a rejection note (RAD-66)."""
        if (reason := str(args.get("reason"))) not in keyobjects.REJECTIONS:
            raise BadInput("reject_images: reason", ", ".join(keyobjects.REJECTIONS), repr(reason))
        done = await self._selected(args, case, reason)
        return done | {"rejected": done["marked"]}

    async def mark_key_images(self, args: Args, case: Case) -> Args:
        """Mark images that matter with a key image note (RAD-29)."""
        return await self._selected(args, case, str(args.get("title") or "113000"))

    async def _selected(self, args: Args, case: Case, title: str) -> Args:
        study, images = await self._images(args, case)
        uids = self._uids(case)
        made = keyobjects.selection(
            title,
            study,
            images,
            uids,
            self._bench.clock.now(),
            maker=self._bench.name,
            number=901,
            text=args.get("text") or "",
        )
        return await self._stored(made, images, case)

    async def save_presentation(self, args: Args, case: Case) -> Args:
        """Keep a window, and a text if there is one, as a presentation state (RAD-19)."""
        study, images = await self._images(args, case)
        made = presentations.presentation(
            study,
            images,
            self._uids(case),
            self._bench.clock.now(),
            maker=self._bench.name,
            label="AS READ",
            window=(float(args.get("center", 40)), float(args.get("width", 400))),
            number=902,
            text=args.get("text") or "",
        )
        return await self._stored(made, images, case)

    def _uids(self, case: Case) -> tuple[str, str]:
        with self._bench.change(self._desk):
            mint = self._desk.mint(case.id, case.seed)
            return mint.uid("series"), mint.uid("instance")

    async def _images(self, args: Args, case: Case) -> tuple[Elements, list[Elements]]:
        """Ask the archive for the study and its images, those of the wanted numbers only."""
        uid = args["study"]["study"] if isinstance(args["study"], dict) else str(args["study"])
        async with calling(self._bench, self._settings.archive, [STUDY_FIND], case=case.id) as association:
            studies = await _find(association, "STUDY", STUDY_KEYS | {"StudyInstanceUID": uid})
            if len(studies) != 1:
                raise Failed(f"the archive has {len(studies) or 'no'} studies {uid}; marks need exactly one")
            images = []
            for series in await _find(association, "SERIES", SERIES_KEYS | {"StudyInstanceUID": uid}):
                if series.get("Modality") in MARKS:
                    continue
                keys = {"StudyInstanceUID": uid, "SeriesInstanceUID": series["SeriesInstanceUID"]}
                images += await _find(association, "IMAGE", IMAGE_KEYS | keys)
        wanted = {str(number) for number in args.get("numbers") or ()}
        chosen = [one for one in images if not wanted or str(one.get("InstanceNumber", "")).strip() in wanted]
        if not chosen:
            raise Failed(f"study {uid} shows no image {', '.join(sorted(wanted)) or 'at all'}")
        return studies[0], chosen

    async def _stored(self, made: Elements, images: list[Elements], case: Case) -> Args:
        sop_class, sop = made["SOPClassUID"], made["SOPInstanceUID"]
        contexts = [(sop_class, (EXPLICIT_LE, IMPLICIT_LE))]
        async with calling(self._bench, self._settings.archive, contexts, case=case.id) as association:
            result = await association.store(sop_class, sop, EXPLICIT_LE, encode(made, explicit=True))
        if result.category not in {"success", "warning"}:
            raise Refused(
                f"the archive did not take it: C-STORE {result.status:04X} {result.comment}".strip()
            )
        named = [one["SOPInstanceUID"] for one in images]
        return {
            "sop": sop,
            "sop_class": sop_class,
            "series": made["SeriesInstanceUID"],
            "study": made["StudyInstanceUID"],
            "marked": named,
            "count": len(named),
            "status": f"{result.status:04X}",
        }


async def _find(association: Association, level: str, keys: Elements) -> list[Elements]:
    answers = await association.find(STUDY_FIND, {"QueryRetrieveLevel": level} | keys)
    if answers.category != "success":
        raise Refused(f"the query ended with {answers.status:04X} {answers.comment}".strip())
    return [{**keys, **one} for one in answers]
