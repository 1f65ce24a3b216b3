"""The archive's own deliveries: objects to other systems, one at a time and in order (C-STORE), and recalls from nearline."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING

from stepwedge.errors import Refused
from stepwedge.sim.dimse import calling
from stepwedge.sim.outbox import FIRST_PAUSE, LONGEST_PAUSE, Delivery, Policy
from stepwedge.wire.elements import EXPLICIT_LE
from stepwedge.wire.encodings import PLAIN

from .routing import OBJECT, RECALL
from .tiers import NEARLINE, OFFLINE, ONLINE

if TYPE_CHECKING:
    from stepwedge.sim.bench import Bench
    from stepwedge.sim.store import Send
    from stepwedge.wire.results import Result

    from .life import Life
    from .settings import Settings
    from .state import Archive, Instance
    from .vault import Vault


class Deliveries:
    """Registers what the archive sends by itself."""

    def __init__(self, bench: Bench, vault: Vault, life: Life, settings: Settings) -> None:
        recall = Recall(bench, vault.archive, life, settings)
        bench.outbox.register(RECALL, recall)
        bench.outbox.register(OBJECT, ObjectSender(bench, vault, recall), Persistence(bench, vault.archive))


class Recall:
    """Brings nearline studies back online."""

    def __init__(self, bench: Bench, archive: Archive, life: Life, settings: Settings) -> None:
        self._bench = bench
        self._archive = archive
        self._life = life
        self._pause = settings.recall

    def check(self, send: Send) -> None:
        """Take every study: one that is gone needs no recall."""

    async def __call__(self, send: Send) -> Delivery:
        """Bring one study back."""
        await self.online(json.loads(send.body)["study"])
        return Delivery()

    async def online(self, study: str) -> None:
        """Wait until a study is online; nothing to do unless it lies nearline."""
        if self._archive.tier(study) != NEARLINE:
            return
        await asyncio.sleep(self._pause)
        with self._bench.change(self._archive) as change:
            self._life.move(change, [study], ONLINE)

    async def close(self) -> None:
        """Hold nothing."""


class ObjectSender:
    """Brings stored objects to destinations; the outbox calls it until a destination decides."""

    def __init__(self, bench: Bench, vault: Vault, recall: Recall) -> None:
        self._bench = bench
        self._vault = vault
        self._recall = recall

    def check(self, send: Send) -> None:
        """Take every destination: one that nobody knows is parked with that reason, and undoes no storage."""

    async def __call__(self, send: Send) -> Delivery:
        """Store one object at its destination; what was withdrawn or deleted meanwhile does not go."""
        archive = self._vault.archive
        routed = archive.routed.get(json.loads(send.body)["key"])
        instance = archive.instances.get(routed.sop) if routed else None
        if instance is None or (archive.hidden(instance.sop) and routed and routed.why != "note"):
            return Delivery()
        await self._recall.online(instance.study)
        if archive.tier(instance.study) == OFFLINE:
            return Delivery(reason=f"study {instance.study} is offline", code="offline")
        result = await self._stored(instance, send)
        if result.category in {"success", "warning"}:
            return Delivery(code=f"{result.status:04X}")
        said = f"{result.status:04X}"
        return Delivery(code=said, reason=f"{said} {result.comment}".strip())

    async def _stored(self, instance: Instance, send: Send) -> Result:
        """Store it as it is kept, else uncompressed when that loses nothing."""
        kept, sop_class = instance.transfer_syntax, instance.sop_class
        contexts = [(sop_class, [kept]), (sop_class, [one for one in PLAIN if one != kept])]
        async with calling(self._bench, send.to, contexts, case=send.case) as association:
            try:
                return await association.store(sop_class, instance.sop, kept, self._vault.give(instance))
            except Refused:
                if not association.lasts or kept in PLAIN:
                    raise
            data = self._vault.deliver(instance, EXPLICIT_LE)
            return await association.store(sop_class, instance.sop, EXPLICIT_LE, data)

    async def close(self) -> None:
        """Leave nothing open: every association ends with its object."""


class Persistence(Policy):
    """Tries again what was lost, and what a destination has no room for now; writes down what became of each object."""

    def __init__(self, bench: Bench, archive: Archive) -> None:
        self._bench = bench
        self._archive = archive

    def pause(self, word: str, tries: int) -> float | None:
        """Take "out of resources" (A7xx, PS3.4 table B.2-1) for "not now"."""
        if not self._archive.habits.insists(word):
            return None
        if word.startswith("A7"):
            return min(FIRST_PAUSE * 2.0 ** min(tries - 1, 16), LONGEST_PAUSE)
        return super().pause(word, tries)

    def decided(self, send: Send, delivery: Delivery) -> None:
        """Write down what became of an object before it leaves the outbox."""
        key = json.loads(send.body)["key"]
        if (routed := self._archive.routed.get(key)) is not None:
            status = "failed" if delivery.reason else "sent"
            with self._bench.change(self._archive):
                self._archive.routed[key] = replace(routed, status=status, reason=delivery.reason)
