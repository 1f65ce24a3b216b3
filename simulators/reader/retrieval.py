"""Studies into the workstation: C-MOVE to its own listener, C-GET, WADO-RS (RAD-16, PS3.18 section 10.4)."""

# ruff: noqa: ARG002 - handlers have the signature of wire.provider.Provider, needed or not

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import Refused
from stepwedge.sim.dimse import calling
from stepwedge.wire import multipart, part10, pixels
from stepwedge.wire.dimse_asyncio import Failure, Provider
from stepwedge.wire.elements import IMPLICIT_LE, decode
from stepwedge.wire.encodings import PLAIN
from stepwedge.wire.provider import UNRECOGNIZED_OPERATION
from stepwedge.wire.results import Instance
from stepwedge.wire.services import STUDY_GET, STUDY_MOVE, UPS_EVENT, UPS_PUSH, VERIFICATION
from stepwedge.wire.storage_classes import COMPRESSED, storage_classes

if TYPE_CHECKING:
    from collections.abc import Callable

    from stepwedge.sim.bench import Bench
    from stepwedge.sim.simulator import Case
    from stepwedge.sim.web_client import Web
    from stepwedge.wire.dimse import PeerInfo

GET_CLASSES: Final = 120
"""Storage classes proposed for C-GET: an association has 128 presentation contexts at most (PS3.8 section 9.3.2.2)."""


def accepted() -> dict[str, tuple[str, ...]]:
    """Return what the workstation accepts: SOP class to transfer syntaxes."""
    return {
        VERIFICATION: PLAIN,
        UPS_EVENT: PLAIN,
        **dict.fromkeys(storage_classes(), (*PLAIN, *COMPRESSED)),
    }


class Screen(Provider):
    """The listener: holds what a C-MOVE brings until the retrieval takes it."""

    def __init__(self, news: Callable[[str, int, dict[str, Any]], None] | None = None) -> None:
        """Tell ``news`` of event reports about tasks: their UID, event type and information."""
        self.arrived: dict[str, dict[str, Instance]] = {}
        self._news = news

    def expect(self, study: str) -> dict[str, Instance]:
        """Return the place where instances of a study will stand, emptied."""
        place = self.arrived[study] = {}
        return place

    async def on_store(
        self,
        peer: PeerInfo,
        sop_class: str,
        sop_instance: str,
        transfer_syntax: str,
        data: bytes,
    ) -> int:
        """Take an instance if its study is being retrieved; refuse what nobody asked for (A700 would say "full")."""
        header = decode(data, explicit=transfer_syntax != IMPLICIT_LE, stop_before_pixels=True)
        place = self.arrived.get(header.get("StudyInstanceUID", ""))
        if place is None:
            return NOT_EXPECTED
        place[sop_instance] = Instance(sop_class, sop_instance, transfer_syntax, data)
        return 0

    async def on_event(
        self, peer: PeerInfo, sop_class: str, sop_instance: str, event_type: int, information: dict[str, Any]
    ) -> int:
        """Hear what became of a task that is watched."""
        if sop_class != UPS_PUSH or self._news is None:
            raise Failure(UNRECOGNIZED_OPERATION, "nothing of this kind is watched")
        self._news(sop_instance, event_type, information)
        return 0


NOT_EXPECTED: Final = 0xC200
"""C-STORE failure of ours (Cxxx, PS3.4 table B.2-1): no retrieval of this study is under way."""


class Retriever:
    """The three ways to open a study."""

    def __init__(self, bench: Bench, archive: str, screen: Screen, web: Web) -> None:
        self._bench = bench
        self._archive = archive
        self._screen = screen
        self._web = web

    async def move(
        self, study: str, case: Case, *, to: str = "", stop: int = 0
    ) -> tuple[str, list[Instance]]:
        """Have the archive send the study to our listener, or ``to`` another; ``stop`` after so many (C-CANCEL, PS3.7 9.3.2.3)."""
        place = self._screen.expect(study)
        try:
            async with calling(self._bench, self._archive, [STUDY_MOVE], case=case.id) as association:
                done = await association.move(
                    STUDY_MOVE, _identifier(study), to or self._bench.ae_title, limit=stop
                )
        finally:
            self._screen.arrived.pop(study, None)
        return _judged("C-MOVE", done, stopped=bool(stop)), list(place.values())

    async def get(self, study: str, case: Case, *, stop: int = 0) -> tuple[str, list[Instance]]:
        """Take the study on the association of the request."""
        classes = storage_classes()[:GET_CLASSES]
        async with calling(
            self._bench, self._archive, [STUDY_GET, *classes], case=case.id, scp_of=classes
        ) as association:
            done = await association.get(STUDY_GET, _identifier(study), limit=stop)
        return _judged("C-GET", done, stopped=bool(stop)), done.instances

    async def wado(self, study: str, case: Case) -> tuple[str, list[Instance]]:
        """Take the study as one multipart answer."""
        answer = await self._web.ask(
            self._archive,
            "GET",
            f"/studies/{study}",
            headers={"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'},
            case=case.id,
        )
        if answer.status != 200:  # noqa: PLR2004 - anything else, 206 too, is not the whole study
            raise Refused(f"the study was not given: GET /studies answered {answer.status}")
        files = [
            part10.read(part.body)
            for part in multipart.decode(answer.body, answer.headers.get("content-type", ""))
        ]
        return "200", [
            Instance(one.sop_class, one.sop_instance, one.transfer_syntax, one.data) for one in files
        ]


def _identifier(study: str) -> dict[str, Any]:
    return {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": study}


def _judged(service: str, done: Any, *, stopped: bool) -> str:
    """Return the final status; a failure is told with what the archive said, and so is an end that nobody asked for."""
    if done.category not in {"success", "warning", *(["cancel"] if stopped else [])}:
        raise Refused(
            f"the study was not given: {service} ended with {done.status:04X} {done.comment}".strip()
        )
    return f"{done.status:04X}"


def shown(instance: Instance) -> dict[str, Any]:
    """Return what a person could compare: the header without bytes, and a SHA-256 over the pixel values."""
    elements = decode(instance.data, explicit=instance.transfer_syntax != IMPLICIT_LE)
    digest = pixels.digest(elements, instance.transfer_syntax)
    elements.pop("PixelData", None)
    return {
        "sop": instance.sop_instance,
        "sop_class": instance.sop_class,
        "pixels": digest,
        "header": {key: value for key, value in elements.items() if not isinstance(value, bytes)},
    }
