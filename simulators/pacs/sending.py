"""Objects on their way to other archives: one at a time to each destination, in order, until it decides (C-STORE SCU)."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from stepwedge.sim.dimse import calling
from stepwedge.sim.outbox import FIRST_PAUSE, LONGEST_PAUSE, Delivery, Policy
from stepwedge.sim.store import Send
from stepwedge.wire.elements import EXPLICIT_LE, IMPLICIT_LE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stepwedge.sim.bench import Bench
    from stepwedge.sim.store import Change

    from .routing import Routed
    from .state import Archive
    from .vault import Vault

OBJECT = "object"
OVER = frozenset({"cancelled", "discontinued"})


def queue(archive: Archive, change: Change, wanted: Iterable[Routed], known: Iterable[str]) -> None:
    """Put objects on their way; a destination nobody knows is written down as failed, and stops no other."""
    there = set(known)
    for one in wanted:
        key = f"{one.sop} {one.to}"
        if one.to not in there:
            archive.routed[key] = replace(one, status="failed", reason=f"nobody is called {one.to} here")
            continue
        archive.routed[key] = one
        change.send(send_of(one))


def send_of(one: Routed) -> Send:
    """Return the outbox's message for one object."""
    key = f"{one.sop} {one.to}"
    return Send(one.to, json.dumps({"key": key}).encode(), OBJECT, key)


class ObjectSender:
    """Brings stored objects to destinations; the outbox calls it until a destination decides."""

    def __init__(self, bench: Bench, vault: Vault) -> None:
        self._bench = bench
        self._vault = vault

    def check(self, send: Send) -> None:
        """Make sure that the destination has a DICOM door."""
        self._bench.directory.door(send.to, "dicom")

    async def __call__(self, send: Send) -> Delivery:
        """Store one object at its destination; what was withdrawn or cancelled meanwhile is dropped."""
        archive = self._vault.archive
        routed = archive.routed.get(json.loads(send.body)["key"])
        if routed is None:
            return Delivery(code="dropped")
        instance = archive.instances.get(routed.sop)
        order = archive.expected.get(routed.accession) if routed.accession else None
        if instance is None or archive.hidden(routed.sop) or (order is not None and order.status in OVER):
            return Delivery(code="dropped")
        syntax = instance.transfer_syntax
        others = [one for one in (EXPLICIT_LE, IMPLICIT_LE) if one != syntax]
        plain = syntax in {EXPLICIT_LE, IMPLICIT_LE}
        contexts = [(instance.sop_class, [syntax, *others] if plain else [syntax])]
        async with calling(self._bench, send.to, contexts) as association:
            result = await association.store(
                instance.sop_class, instance.sop, syntax, self._vault.give(instance)
            )
        status = f"{result.status:04X}"
        taken = result.category == "warning" or archive.habits.delivered(status)
        return Delivery(code=status, reason="" if taken else f"{status} {result.comment}".strip())

    async def close(self) -> None:
        """Leave nothing open: every association ends with its object."""


class Persistence(Policy):
    """Tries again what was lost, and what a destination has no room for now (A7xx); remembers what became of each object."""

    def __init__(self, bench: Bench, archive: Archive) -> None:
        self._bench = bench
        self._archive = archive

    def pause(self, word: str, tries: int) -> float | None:
        """Take "out of resources" for "not now" (PS3.4 table B.2-1)."""
        if word.startswith("A7"):
            return min(FIRST_PAUSE * 2 ** min(tries - 1, 16), LONGEST_PAUSE)
        return super().pause(word, tries)

    def decided(self, send: Send, delivery: Delivery) -> None:
        """Write down what became of an object before it leaves the outbox."""
        if send.kind != OBJECT:
            return
        if (routed := self._archive.routed.get(send.control)) is None:
            return
        status = "failed" if delivery.reason else "dropped" if delivery.code == "dropped" else "sent"
        with self._bench.change(self._archive):
            self._archive.routed[send.control] = replace(routed, status=status, reason=delivery.reason)
