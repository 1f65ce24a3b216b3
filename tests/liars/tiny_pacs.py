"""A small archive made with pynetdicom, honest by default, that can be told to lie in one way.

It shares no line with the product's own PACS or wire, so that a verdict about it is a verdict about something we
did not write. ``honest`` is the positive control: the same scenarios must pass against it.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import AE, StoragePresentationContexts, evt
from pynetdicom.sop_class import (
    PatientRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)

LIES = (
    "honest",
    "acks-and-drops",
    "stores-twice",
    "alters-one-pixel",
    "alters-a-pixel-once",
    "answers-empty",
    "loses-the-last-response",
    "refuses-everything",
)

LEVEL_KEY = {
    "STUDY": "StudyInstanceUID",
    "SERIES": "SeriesInstanceUID",
    "IMAGE": "SOPInstanceUID",
    "PATIENT": "PatientID",
}


class TinyPacs:
    """An archive in memory: C-ECHO, C-STORE, C-FIND, C-MOVE, C-GET; start it, ask ``port``, stop it."""

    def __init__(self, lie: str = "honest", destinations: dict[str, tuple[str, int]] | None = None) -> None:
        assert lie in LIES, lie
        self.lie = lie
        self.destinations = destinations or {}
        self.kept: dict[str, Dataset] = {}
        self.told: set[str] = set()

    def start(self) -> int:
        ae = AE("TINYPACS")
        ae.supported_contexts = StoragePresentationContexts
        for context in list(ae.supported_contexts):
            context.scu_role, context.scp_role = True, True
        for model in (
            Verification,
            PatientRootQueryRetrieveInformationModelFind,
            StudyRootQueryRetrieveInformationModelFind,
            StudyRootQueryRetrieveInformationModelMove,
            StudyRootQueryRetrieveInformationModelGet,
        ):
            ae.add_supported_context(model)
        handlers = [
            (evt.EVT_C_ECHO, lambda _event: 0x0000),
            (evt.EVT_C_STORE, self.on_store),
            (evt.EVT_C_FIND, self.on_find),
            (evt.EVT_C_MOVE, self.on_move),
            (evt.EVT_C_GET, self.on_get),
        ]
        self.server: Any = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        return int(self.server.socket.getsockname()[1])

    def stop(self) -> None:
        self.server.shutdown()

    def on_store(self, event: Any) -> int:
        dataset = event.dataset
        dataset.file_meta = event.file_meta
        known = self.kept.get(dataset.SOPInstanceUID)
        if self.lie == "acks-and-drops":
            return 0x0000
        if self.lie == "refuses-everything":
            return 0xA700
        if known is not None:
            return 0x0000 if known.PixelData == dataset.PixelData else 0xC111
        self.kept[dataset.SOPInstanceUID] = dataset
        return 0x0000

    def select(self, identifier: Dataset) -> list[Dataset]:
        keys = [k for k in (*LEVEL_KEY.values(), "AccessionNumber") if str(identifier.get(k, "") or "")]
        return [d for d in self.kept.values() if all(_matches(identifier.get(k), d.get(k, "")) for k in keys)]

    def on_find(self, event: Any) -> Iterator[tuple[int, Dataset | None]]:
        identifier = event.identifier
        if self.lie == "answers-empty":
            yield 0x0000, None
            return
        if self.lie == "refuses-everything":
            yield 0xA700, None
            return
        answers: dict[str, Dataset] = {}
        for dataset in self.select(identifier):
            answers.setdefault(
                str(dataset.get(LEVEL_KEY[identifier.QueryRetrieveLevel])), self.answer(identifier, dataset)
            )
        for answer in answers.values():
            for _ in range(
                2 if self.lie == "stores-twice" and identifier.QueryRetrieveLevel == "IMAGE" else 1
            ):
                yield 0xFF00, answer
        if self.lie == "loses-the-last-response":
            event.assoc.abort()

    def answer(self, identifier: Dataset, dataset: Dataset) -> Dataset:
        same = [d for d in self.kept.values() if d.StudyInstanceUID == dataset.StudyInstanceUID]
        computed = {
            "NumberOfStudyRelatedInstances": len(same) * (2 if self.lie == "stores-twice" else 1),
            "NumberOfStudyRelatedSeries": len({d.SeriesInstanceUID for d in same}),
            "ModalitiesInStudy": sorted({d.Modality for d in same}),
            "QueryRetrieveLevel": identifier.QueryRetrieveLevel,
        }
        answer = Dataset()
        answer.SpecificCharacterSet = dataset.get("SpecificCharacterSet", "")
        for element in identifier:
            if element.keyword == "SpecificCharacterSet":
                continue
            setattr(answer, element.keyword, computed.get(element.keyword, dataset.get(element.keyword, "")))
        return answer

    def leaving(self, event: Any) -> list[Dataset]:
        chosen = self.select(event.identifier)
        told = self.lie == "alters-a-pixel-once" and chosen and chosen[0].SOPInstanceUID in self.told
        if self.lie.startswith("alters") and chosen and not told:
            self.told.add(chosen[0].SOPInstanceUID)
            altered = copy.deepcopy(chosen[0])
            altered.PixelData = bytes([chosen[0].PixelData[0] ^ 1]) + chosen[0].PixelData[1:]
            chosen = [altered, *chosen[1:]]
        return chosen

    def on_move(self, event: Any) -> Iterator[Any]:
        where = self.destinations.get(event.move_destination)
        if where is None:
            yield None, None
            return
        contexts = [
            c
            for c in StoragePresentationContexts
            if c.abstract_syntax in {d.SOPClassUID for d in self.kept.values()}
        ]
        yield (*where, {"contexts": contexts} if contexts else {})
        chosen = self.leaving(event)
        yield len(chosen)
        for dataset in chosen:
            yield 0xFF00, dataset
        if self.lie == "loses-the-last-response":
            event.assoc.abort()

    def on_get(self, event: Any) -> Iterator[Any]:
        chosen = self.leaving(event)
        yield len(chosen)
        for dataset in chosen:
            yield 0xFF00, dataset
        if self.lie == "loses-the-last-response":
            event.assoc.abort()


def _matches(wanted: Any, found: Any) -> bool:
    pattern = ".*".join(re.escape(part) for part in str(wanted).split("*"))
    return re.fullmatch(pattern, str(found)) is not None
