"""The router's DIMSE side: storage, storage commitment, and what of query and retrieval the cache can answer."""

# ruff: noqa: ARG002 - handlers have the signature of wire.provider.Provider, needed or not

from __future__ import annotations

import functools
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import RemoteProtocolError
from stepwedge.evidence.redact import refusal
from stepwedge.wire.dimse_asyncio import Failure, Held, Provider, Reply, Retrieval
from stepwedge.wire.encodings import EVERY, PLAIN
from stepwedge.wire.services import (
    COMMITMENT,
    MODELS,
    VERIFICATION,
)
from stepwedge.wire.storage_classes import storage_classes

from . import cache
from .rules import PLACES
from .state import CANNOT_UNDERSTAND, read

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stepwedge.sim.bench import Bench
    from stepwedge.sim.files import Files
    from stepwedge.wire.dimse import PeerInfo

    from .commitment import Commitments
    from .delivery import Delivery
    from .state import Held as Object
    from .state import Router

Elements = dict[str, Any]

NOT_AUTHORIZED: Final = 0x0124
MOVE_DESTINATION_UNKNOWN: Final = 0xA801
IDENTIFIER_DOES_NOT_MATCH: Final = 0xA900
COMMENT_LIMIT: Final = 64
"""Error Comment (0000,0902) is LO."""


def accepted(*, query: bool) -> dict[str, tuple[str, ...]]:
    """Return what the router accepts: SOP class to transfer syntaxes."""
    services = (VERIFICATION, COMMITMENT, *(MODELS if query else ()))
    return {
        **dict.fromkeys(services, PLAIN),
        **dict.fromkeys(storage_classes(), EVERY),
    }


class Gate(Provider):
    """The handlers."""

    def __init__(
        self, bench: Bench, router: Router, files: Files, delivery: Delivery, commitments: Commitments
    ) -> None:
        self._bench = bench
        self._router = router
        self._files = files
        self._delivery = delivery
        self._commitments = commitments
        named = {place for rule in router.settings.rules for place in rule.where}
        self._kept = cache.KEPT | named | set(PLACES.values()) | {"RequestedProcedureCodeSequence"}

    async def on_store(
        self, peer: PeerInfo, sop_class: str, sop_instance: str, transfer_syntax: str, data: bytes
    ) -> Reply | int:
        """Keep one object and what is to be done with it: file and rows are durable before the answer leaves."""
        try:
            held = read(sop_class, sop_instance, transfer_syntax, data, frozenset(self._kept))
        except RemoteProtocolError as error:
            return Reply(CANNOT_UNDERSTAND, str(error)[:COMMENT_LIMIT])
        patient = str(held.header.get("PatientID", ""))
        if why := refusal(self._bench.identity, patients=[patient], uids=(held.study, held.series, held.sop)):
            return Reply(NOT_AUTHORIZED, why[:COMMENT_LIMIT])
        now = self._bench.clock.now()
        held = replace(held, calling=peer.calling, at=now.isoformat())
        with self._bench.change(self._router):
            taken = self._router.take(held, now.hour)
            if taken.kept:
                self._files.keep(held.file, data)
        for file in taken.gone:
            self._files.remove(file)
        if taken.kept or taken.woken:
            self._delivery.wake(job.to for job in self._router.jobs.by("sop", held.sop))
        return Reply(taken.status, taken.comment[:COMMENT_LIMIT])

    # --- what the cache answers

    def on_find(self, peer: PeerInfo, model: str, identifier: Elements) -> Iterator[Elements | bytes]:
        """Answer with every match among the objects in the cache."""
        level = self._level(model, identifier)
        answers = cache.answers(self._router, level, identifier, self._bench.ae_title)
        yield from answers

    async def on_move(self, peer: PeerInfo, model: str, identifier: Elements, destination: str) -> Retrieval:
        """Say where the cached objects go; an AE title nobody told us of is A801."""
        self._level(model, identifier, retrieval=True)
        directory = self._bench.directory
        address = directory.get(directory.by_ae(destination))
        if address is None or address.dicom is None or address.dicom.ae != destination:
            raise Failure(MOVE_DESTINATION_UNKNOWN, f"no address is known for {destination}")
        entity = address.dicom
        context = self._bench.security.context(tls=entity.tls)
        return Retrieval(entity.host, entity.port, self._requested(identifier), context)

    async def on_get(self, peer: PeerInfo, model: str, identifier: Elements) -> list[Held]:
        """Say what is sent back."""
        self._level(model, identifier, retrieval=True)
        return self._requested(identifier)

    def _level(self, model: str, identifier: Elements, *, retrieval: bool = False) -> str:
        level = str(identifier.get("QueryRetrieveLevel", ""))
        if problem := cache.problem(level, identifier, MODELS[model], retrieval=retrieval):
            raise Failure(IDENTIFIER_DOES_NOT_MATCH, problem[:COMMENT_LIMIT])
        return level

    def _requested(self, identifier: Elements) -> list[Held]:
        return [self._given(one) for one in cache.requested(self._router, identifier)]

    def _given(self, one: Object) -> Held:
        load = functools.partial(self._files.read, one.file)
        return Held(one.sop_class, one.sop, one.transfer_syntax, load)

    # --- storage commitment

    async def on_action(
        self, peer: PeerInfo, sop_class: str, sop_instance: str, action_type: int, information: Elements
    ) -> Reply | int:
        """Take a request for storage commitment; it is durable before the answer leaves."""
        return self._commitments.asked(peer.calling, action_type, information)

    async def on_event(
        self, peer: PeerInfo, sop_class: str, sop_instance: str, event_type: int, information: Elements
    ) -> Reply | int:
        """Take a destination's result that comes on an association of its own."""
        return self._commitments.heard(information)


def hour_of(at: str) -> int:
    """Return the hour of an ISO time."""
    return datetime.fromisoformat(at).hour
