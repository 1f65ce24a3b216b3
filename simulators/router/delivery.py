"""Out of the router: one queue for each destination, the urgent lane first, again and again until the destination decides."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from stepwedge.errors import Broken, LinkLost, LocalProtocolError, NoAnswer, Refused, RemoteProtocolError
from stepwedge.sim.dimse import calling
from stepwedge.sim.outbox import trouble_word
from stepwedge.wire.encodings import PLAIN

from . import rules
from .state import DELIVERED, PARKED, WAITING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stepwedge.sim.bench import Bench
    from stepwedge.sim.files import Files
    from stepwedge.wire.dimse_asyncio import Association
    from stepwedge.wire.results import Result

    from .state import Held, Job, Router

LINGER: Final = 0.05
"""Seconds an association is kept for the next object when the queue is empty."""
CONTEXTS: Final = 60
"""Kinds of objects for which one association is proposed; 128 contexts fit into one (PS3.8 section 9.3.2.2)."""
Kind = tuple[str, str]


@dataclass
class _Queue:
    """What drives one destination: its task, when to look again, and what pauses.

    Attributes:
        pausing: job number to the time (``clock.tick``) at which it is tried again.
        tries: attempts of the association in a row that came to nothing; ``trouble`` is the last reason.
    """

    wake: asyncio.Event = field(default_factory=asyncio.Event)
    pausing: dict[int, float] = field(default_factory=dict)
    tries: int = 0
    trouble: str = ""


class Delivery:
    """The ways out of one router."""

    def __init__(self, bench: Bench, router: Router, files: Files) -> None:
        self._bench = bench
        self._router = router
        self._files = files
        self._queues = {to: _Queue() for to in router.settings.destinations}
        self._decided = asyncio.Condition()

    async def run(self) -> None:
        """Deliver to every destination until cancelled."""
        async with asyncio.TaskGroup() as group:
            for to in self._queues:
                group.create_task(self._serve(to))

    def wake(self, destinations: Iterable[str] = ()) -> None:
        """Look again whether something can leave, to these destinations or to all."""
        for to in destinations or self._queues:
            self._queues[to].wake.set()

    def trouble(self, to: str) -> str:
        """Return what keeps a destination from being reached; empty when nothing does."""
        return self._queues[to].trouble

    async def settled(self, sops: list[str], within: float) -> bool:
        """Wait until nothing of these objects is waiting any more; False when that takes too long."""
        try:
            async with asyncio.timeout(within), self._decided:
                await self._decided.wait_for(lambda: not self._router.unsettled(sops))
        except TimeoutError:
            return False
        return True

    # --- one destination

    async def _serve(self, to: str) -> None:
        queue = self._queues[to]
        while True:
            if (job := self._next(to)) is None:
                await self._rest(queue)
                continue
            try:
                await self._over_one_association(to, job)
            except (LinkLost, NoAnswer, RemoteProtocolError, Refused, Broken) as trouble:
                queue.tries += 1
                queue.trouble = f"{type(trouble).__name__}: {trouble}"
                word = "refused" if isinstance(trouble, Broken) else trouble_word(trouble)
                await self._shun(to, word, queue)

    def _next(self, to: str) -> Job | None:
        queue, now = self._queues[to], self._bench.clock.tick()
        queue.pausing = {number: until for number, until in queue.pausing.items() if until > now}
        return self._router.waiting(to, set(queue.pausing))

    async def _rest(self, queue: _Queue) -> None:
        """Wait until there is something new, or a pause is over."""
        left = min(queue.pausing.values(), default=None)
        try:
            async with asyncio.timeout(None if left is None else max(left - self._bench.clock.tick(), 0.0)):
                await queue.wake.wait()
        except TimeoutError:
            pass
        queue.wake.clear()

    async def _shun(self, to: str, word: str, queue: _Queue) -> None:
        """Leave a destination alone that cannot be spoken to; a router that gives up parks what waits."""
        settings = self._router.settings
        pause = self._router.habits.pause(word, queue.tries, settings.tries, settings.longest)
        if pause is not None:
            await asyncio.sleep(pause)
            return
        with self._bench.change(self._router):
            for job in self._router.jobs.by("waiting", to):
                self._router.decided(job.number, PARKED, queue.trouble)
        await self._tell()

    async def _over_one_association(self, to: str, first: Job) -> None:
        """Send what waits while one association takes it; it ends when a kind of object comes that was not proposed."""
        kinds = self._kinds(to, first)
        async with calling(self._bench, to, _contexts(kinds)) as association:
            job: Job | None = first
            while job is not None and self._kind(job) in kinds:
                await self._deliver(association, job)
                self._queues[to].tries, self._queues[to].trouble = 0, ""
                job = await self._after(to)

    async def _after(self, to: str) -> Job | None:
        """Return the next object, waiting a moment for one."""
        if (job := self._next(to)) is None:
            queue = self._queues[to]
            queue.wake.clear()
            try:
                await asyncio.wait_for(queue.wake.wait(), LINGER)
            except TimeoutError:
                return None
            job = self._next(to)
        return job

    def _kinds(self, to: str, first: Job) -> set[Kind]:
        kinds = {self._kind(first)}
        for job in self._router.jobs.by("waiting", to):
            if len(kinds) >= CONTEXTS:
                break
            kinds.add(self._kind(job))
        return kinds

    def _kind(self, job: Job) -> Kind:
        held = self._router.held[job.sop]
        return held.sop_class, held.transfer_syntax

    # --- one object

    async def _deliver(self, association: Association, job: Job) -> None:
        """Send one object and make the destination's decision durable."""
        held = self._router.held[job.sop]
        try:
            result = await self._send(association, held, job)
        except (
            Refused,
            LocalProtocolError,
        ) as trouble:  # not accepted for this kind, aborted, or not to be written
            if not association.lasts:
                await self._failed(job, "aborted", f"Refused: {trouble}")
                raise
            await self._failed(job, "not accepted", str(trouble))
            return
        if result.category in {"success", "warning"}:
            reason = "" if result.category == "success" else _said(result)
            with self._bench.change(self._router):
                self._router.decided(job.number, DELIVERED, reason)
            await self._tell()
        else:
            await self._failed(job, f"{result.status:04X}", _said(result))

    async def _send(self, association: Association, held: Held, job: Job) -> Result:
        router, habits = self._router, self._router.habits
        chosen = [rule for rule in router.settings.rules if rule.name in job.rules]
        now = f"{self._bench.clock.now():%Y%m%d%H%M%S}"
        data = rules.morphed(
            self._files.read(held.file), held.transfer_syntax, chosen, now, self._bench.ae_title
        )
        what = (held.sop_class, held.sop, held.transfer_syntax, habits.sent(data))
        result = await association.store(*what)
        for _ in range(1, habits.copies(self._tries(job))):
            result = await association.store(*what)
        return result

    def _tries(self, job: Job) -> int:
        return max(job.tries, self._queues[job.to].tries) + 1

    async def _failed(self, job: Job, word: str, reason: str) -> None:
        """Let an object pause, or park it with the reason."""
        router = self._router
        pause = router.habits.pause(word, job.tries + 1, router.settings.tries, router.settings.longest)
        with self._bench.change(router):
            router.decided(job.number, PARKED if pause is None else WAITING, reason)
        if pause is None:
            await self._tell()
        else:
            self._queues[job.to].pausing[job.number] = self._bench.clock.tick() + pause

    async def _tell(self) -> None:
        async with self._decided:
            self._decided.notify_all()


def _contexts(kinds: Iterable[Kind]) -> list[tuple[str, tuple[str, ...]]]:
    """Return what is proposed: each object as it is; uncompressed ones in the other uncompressed encoding too."""
    found: dict[tuple[str, tuple[str, ...]], None] = {}
    for sop_class, syntax in sorted(kinds):
        for one in dict.fromkeys((syntax, *(PLAIN if syntax in PLAIN else ()))):
            found[sop_class, (one,)] = None
    return list(found)


def _said(result: Result) -> str:
    return f"{result.status:04X} {result.comment}".strip()
