"""The archive's DIMSE side: storage, storage commitment, query and retrieval (PS3.4 annexes B, J and C)."""

# ruff: noqa: ARG002 - handlers have the signature of wire.provider.Provider, needed or not

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import Refused
from stepwedge.evidence.redact import refusal
from stepwedge.sim.address import Address
from stepwedge.wire.dimse_asyncio import Failure, Held, Provider, Reply, Retrieval
from stepwedge.wire.encodings import EVERY, PLAIN
from stepwedge.wire.pixels import convertible
from stepwedge.wire.provider import UNRECOGNIZED_OPERATION
from stepwedge.wire.services import (
    COMMITMENT,
    MODELS,
    MPPS,
    VERIFICATION,
)
from stepwedge.wire.storage_classes import storage_classes

from . import query, steps
from .commitment import Commitments
from .negotiate import Agreement
from .tiers import ONLINE
from .ups import PUSH
from .ups_dimse import CLASSES, Workitems
from .vault import NOT_AUTHORIZED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from stepwedge.sim.address import Entity
    from stepwedge.sim.bench import Bench
    from stepwedge.wire.command import Command
    from stepwedge.wire.dimse import DimseExchange, PeerInfo

    from .life import Life
    from .settings import Settings
    from .state import Instance
    from .vault import Vault

Elements = dict[str, Any]

MOVE_DESTINATION_UNKNOWN: Final = 0xA801
IDENTIFIER_DOES_NOT_MATCH: Final = 0xA900


def accepted() -> dict[str, tuple[str, ...]]:
    """Return what the archive accepts: SOP class to transfer syntaxes."""
    services = (VERIFICATION, COMMITMENT, MPPS, *MODELS, *CLASSES)
    return {
        **dict.fromkeys(services, PLAIN),
        **dict.fromkeys(storage_classes(), EVERY),
    }


class Pacs(Provider):
    """The handlers."""

    def __init__(self, bench: Bench, vault: Vault, settings: Settings, life: Life) -> None:
        self._bench = bench
        self._life = life
        self._vault = vault
        self._archive = vault.archive
        self._settings = settings
        self._commitments = Commitments(bench, vault, settings, self._entity)
        self._workitems = Workitems(bench, vault.archive, life.watchers)

    async def on_store(
        self, peer: PeerInfo, sop_class: str, sop_instance: str, transfer_syntax: str, data: bytes
    ) -> Reply | int:
        """Keep one instance; file and index are durable before the answer leaves."""
        filing = self._vault.take(sop_class, sop_instance, transfer_syntax, data, peer.calling)
        return Reply(filing.status, filing.comment)

    # --- query and retrieval

    def on_find(self, peer: PeerInfo, model: str, identifier: Elements) -> Iterator[Elements | bytes]:
        """Answer with every match of the level that was asked, or with workitems."""
        if model in CLASSES:
            return self._workitems.find(identifier)
        agreed = self._agreed(peer, model)
        level = self._level(model, identifier, agreed)
        rows = query.select(self._archive, level, identifier, agreed)
        ae_title = self._bench.ae_title
        return (query.answer(row, identifier, level, ae_title) for row in rows)

    async def on_move(self, peer: PeerInfo, model: str, identifier: Elements, destination: str) -> Retrieval:
        """Say where the instances go; an AE title nobody told us of is A801."""
        self._level(model, identifier, self._agreed(peer, model), retrieval=True)
        await self._recall(identifier)
        instead = self._archive.habits.reroutes(peer.calling)
        if (entity := self._entity(destination) or self._entity(instead)) is None:
            raise Failure(MOVE_DESTINATION_UNKNOWN, f"no address is known for {destination}")
        context = self._bench.security.context(tls=entity.tls)
        return Retrieval(entity.host, entity.port, self._held(identifier), context)

    async def on_get(self, peer: PeerInfo, model: str, identifier: Elements) -> list[Held]:
        """Say what is sent back."""
        self._level(model, identifier, self._agreed(peer, model), retrieval=True)
        await self._recall(identifier)
        return self._held(identifier)

    def conclude(self, exchange: DimseExchange, response: Command, data: bytes) -> bytes:
        """Let the final status and the count of completed sub-operations pass the habits."""
        if exchange.kind in {"C-MOVE", "C-GET"} and response.get("Status") not in {None, 0xFF00}:
            response["Status"] = self._archive.habits.ended(response["Status"])
        if (done := response.get("NumberOfCompletedSuboperations")) is not None:
            response["NumberOfCompletedSuboperations"] = self._archive.habits.completed(done)
        return data

    def _agreed(self, peer: PeerInfo, model: str) -> Agreement:
        return Agreement.of(peer, model, self._archive.habits)

    def _level(self, model: str, identifier: Elements, agreed: Agreement, *, retrieval: bool = False) -> str:
        level = str(identifier.get("QueryRetrieveLevel", ""))
        problem = query.problem(
            level, identifier, MODELS[model], retrieval=retrieval, relational=agreed.relational
        )
        if problem:
            raise Failure(IDENTIFIER_DOES_NOT_MATCH, problem)
        return level

    def _held(self, identifier: Elements) -> list[Held]:
        instances = self._archive.habits.delivers(query.requested(self._archive, identifier))
        return [
            Held(
                one.sop_class,
                one.sop,
                one.transfer_syntax,
                functools.partial(self._give, one),
                convertible(one.transfer_syntax),
                functools.partial(self._deliver, one),
            )
            for one in instances
        ]

    def _give(self, instance: Instance) -> bytes:
        """Return a data set; what lies offline is a failed sub-operation (PS3.4 C.4.2.1.5)."""
        self._within_reach(instance)
        return self._vault.give(instance)

    def _deliver(self, instance: Instance, transfer_syntax: str) -> bytes:
        self._within_reach(instance)
        return self._vault.deliver(instance, transfer_syntax)

    def _within_reach(self, instance: Instance) -> None:
        if (tier := self._archive.tier(instance.study)) != ONLINE:
            raise Refused(f"study {instance.study} is {tier.lower()}")

    async def _recall(self, identifier: Elements) -> None:
        """Bring nearline studies back before they are sent; whoever retrieves waits for that."""
        instances = query.requested(self._archive, identifier)
        brings = self._archive.habits.brings_back
        near = {one.study for one in instances if brings(self._archive.tier(one.study))}
        if near:
            await asyncio.sleep(self._settings.recall)
            with self._bench.change(self._archive) as change:
                self._life.move(change, sorted(near), ONLINE)

    def _entity(self, ae_title: str) -> Entity | None:
        """Return where an AE title is: an actor of the directory, or one the settings name."""
        address = self._bench.directory.get(self._bench.directory.by_ae(ae_title))
        if address is not None and address.dicom is not None and address.dicom.ae == ae_title:
            return address.dicom
        for url in self._settings.destinations:
            entity = Address.parse({"dicom": url}, f"{self._bench.name}: destinations").dicom
            if entity is not None and entity.ae == ae_title:
                return entity
        return None

    # --- performed procedure steps

    async def on_create(
        self, peer: PeerInfo, sop_class: str, sop_instance: str, attributes: Elements
    ) -> Reply | int:
        """Hear of a performed step that began (RAD-6), or take a workitem."""
        if sop_class == PUSH:
            return self._workitems.create(sop_instance, attributes)
        patient = str(attributes.get("PatientID") or "")
        if why := refusal(self._bench.identity, patients=[patient], uids=[sop_instance]):
            raise Failure(NOT_AUTHORIZED, why[:64])
        with self._bench.change(self._archive):
            status, comment = steps.create(self._archive, sop_instance, attributes)
        return Reply(status, comment[:64])

    async def on_set(
        self, peer: PeerInfo, sop_class: str, sop_instance: str, modifications: Elements
    ) -> Reply | int:
        """Hear what became of a performed step (RAD-7); when all of it is here, that is told (RAD-49). Or change a workitem."""
        if sop_class == PUSH:
            return self._workitems.set(sop_instance, modifications)
        with self._bench.change(self._archive) as change:
            status, comment = steps.change(self._archive, sop_instance, modifications)
            if not status:
                self._life.ended(change, self._archive.performed[sop_instance])
        return Reply(status, comment[:64])

    async def on_get_attributes(
        self, peer: PeerInfo, sop_class: str, sop_instance: str, tags: Sequence[str]
    ) -> Reply | int:
        """Show a workitem."""
        if sop_class != PUSH:
            raise Failure(UNRECOGNIZED_OPERATION, "N-GET is for workitems")
        return self._workitems.get(sop_instance, tags)

    # --- storage commitment

    async def on_echo(self, peer: PeerInfo) -> Reply | int:
        """Answer, and then report what is owed to this requester, where results wait for its next association."""
        return self._commitments.greeted(peer)

    async def on_action(
        self,
        peer: PeerInfo,
        sop_class: str,
        sop_instance: str,
        action_type: int,
        information: Elements,
    ) -> Reply | int:
        """Decide on a request for storage commitment, or about a workitem."""
        if sop_class == PUSH:
            return self._workitems.act(peer, sop_instance, action_type, information)
        return self._commitments.asked(peer, action_type, information)

    async def resume(self) -> None:
        """Call back for every promise that was made before the process died and never reported."""
        self._commitments.resume()
