"""Durable delivery: each destination strictly in order, the same message again until the receiver decides.

A message is in the outbox from the transaction that caused it until it was accepted. A lost link, a timeout or a garbled
answer is followed by the same bytes (same MSH-10) after a pause that doubles from 50 ms to 5 s. A receiver's no (AE, AR, or
a failure status) parks the message with the reason, visible by asking for ``parked``, and the queue goes on. A system with
another policy gives its own :class:`Policy`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from stepwedge.errors import Broken, LinkLost, NoAnswer, RemoteProtocolError, WireError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stepwedge.sim.bench import Bench
    from stepwedge.sim.store import Send

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 5.0
REMEMBERED = 1000
"""Decisions kept for acts that ask for them later than they came."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a receiver decided: ``reason`` is empty when it took the message; ``reply`` is its answer, ``code`` its MSA-1.

    ``settled`` is False when nobody acknowledges, and the message stays on disk until its sender says that it arrived.
    """

    reply: bytes = b""
    reason: str = ""
    code: str = ""
    settled: bool = True


class Sender(Protocol):
    """Brings one message to its destination once, and records the exchange."""

    def check(self, send: Send) -> None:
        """Refuse (Broken) what could never be delivered, before it is committed."""
        ...

    async def __call__(self, send: Send) -> Delivery:
        """Return what the receiver decided, or raise what kept it from deciding (a WireError)."""
        ...

    async def close(self) -> None:
        """End what is open."""
        ...


def trouble_word(trouble: WireError) -> str:
    """Return the journal's word for the trouble that came instead of an answer."""
    words = {LinkLost: "lost", NoAnswer: "timeout", RemoteProtocolError: "garbled"}
    return next((word for kind, word in words.items() if isinstance(trouble, kind)), "refused")


class Policy:
    """What follows a message that was not taken, and what is to be remembered of a decision."""

    def pause(self, word: str, tries: int) -> float | None:
        """Return the seconds until the same message is sent again, None to park it.

        ``word`` is what came instead of a yes: MSA-1 (``AE``), another protocol's code, or ``lost timeout garbled refused``.
        """
        undecided = word in {"lost", "timeout", "garbled"}
        return min(FIRST_PAUSE * 2 ** min(tries - 1, 16), LONGEST_PAUSE) if undecided else None

    def choose(self, waiting: int) -> int:
        """Return which of so many waiting messages goes next; 0 is the oldest."""
        return 0 * waiting

    def holds(self, to: str) -> bool:
        """Tell whether what waits for a destination is kept back; ``Outbox.wake`` when that changes."""
        return not to

    def decided(self, send: Send, delivery: Delivery) -> None:
        """Make durable what a decision means, before the message leaves the outbox."""


@dataclass
class _Queue:
    """What waits for one destination, and the task that brings it there."""

    sends: deque[Send] = field(default_factory=deque)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    trouble: WireError | None = None


class Outbox:
    """The outgoing messages of one simulated system."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.policy = Policy()
        self._senders: dict[str, Sender] = {}
        self._policies: dict[str, Policy] = {}
        self._queues: dict[str, _Queue] = {}
        self._answers: dict[tuple[str, str], asyncio.Future[Delivery]] = {}
        self._decided: dict[tuple[str, str], Delivery] = {}  # the newest, for those who ask late
        self._started = False

    def register(self, kind: str, sender: Sender, policy: Policy | None = None) -> None:
        """Let ``sender`` take messages of a kind, under a policy of their own when one is given."""
        self._senders[kind] = sender
        if policy is not None:
            self._policies[kind] = policy

    def _policy(self, send: Send) -> Policy:
        return self._policies.get(send.kind, self.policy)

    def start(self) -> None:
        """Begin to deliver, first what the store kept from before; called when every address is known."""
        self._started = True
        waiting = self._bench.store.waiting()
        for queue in self._queues.values():
            queue.sends.clear()
        self.take(waiting)

    async def stop(self) -> None:
        """Stop delivering; what was not delivered stays in the store."""
        self._started = False
        tasks = [queue.task for queue in self._queues.values() if queue.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for sender in self._senders.values():
            await sender.close()

    def check(self, send: Send) -> None:
        """Refuse a message that could never be delivered, before it is committed."""
        if send.kind not in self._senders:
            raise Broken(
                f"{self._bench.name}: no sender for {send.kind!r}; registered are {', '.join(self._senders)}"
            )
        self._senders[send.kind].check(send)

    def take(self, sends: Iterable[Send]) -> None:
        """Queue messages that are committed."""
        for send in sends:
            queue = self._queues.setdefault(send.to, _Queue())
            queue.sends.append(send)
            queue.wake.set()
            if self._started and queue.task is None:
                queue.task = asyncio.get_running_loop().create_task(self._deliver(queue))

    def wake(self, to: str) -> None:
        """Look again whether what waits for a destination may leave."""
        if (queue := self._queues.get(to)) is not None:
            queue.wake.set()

    async def answer(self, send: Send, within: float = 10.0) -> Delivery:
        """Wait until the receiver has decided about a message.

        Raises:
            LinkLost, NoAnswer, RemoteProtocolError: nothing was decided in time; the message is still tried.
        """
        key = (send.to, send.control)
        if key in self._decided:
            return self._decided[key]
        future = self._answers.setdefault(key, asyncio.get_running_loop().create_future())
        try:
            return await asyncio.wait_for(asyncio.shield(future), within)
        except TimeoutError:
            trouble = self._queues[send.to].trouble
            if trouble is not None:
                raise type(trouble)(f"{send.to} took nothing within {within:g} s: {trouble}") from trouble
            raise NoAnswer(f"{send.to} gave no answer to {send.control} within {within:g} s") from None
        finally:
            self._answers.pop(key, None)

    async def drained(self, to: str, within: float) -> None:
        """Give what waits for a destination a moment to leave; none when the destination is in trouble."""
        queue = self._queues.get(to)
        if queue is None or not self._started:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                while queue.sends and queue.trouble is None:  # noqa: ASYNC110 - the queue tells nobody that it is empty
                    await asyncio.sleep(0.005)

    def waiting(self) -> list[dict[str, str]]:
        """Tell what is on its way, oldest first, with the trouble that keeps it from arriving."""
        return [
            {
                "to": send.to,
                "kind": send.kind,
                "control": send.control,
                "case": send.case,
                "trouble": self._why(send.to),
            }
            for send in self._bench.store.waiting()
        ]

    def parked(self) -> list[dict[str, str]]:
        """Tell what receivers would not take, with their reasons."""
        return [
            {"to": send.to, "kind": send.kind, "control": send.control, "case": send.case, "reason": reason}
            for send, reason in self._bench.store.parked()
        ]

    def forget(self, to: str, control: str) -> None:
        """Drop a parked message: somebody has taken its place."""
        for send, _ in self._bench.store.parked():
            if (send.to, send.control) == (to, control):
                self._bench.store.delivered(send.place)

    def clear(self) -> None:
        """Forget everything on its way out, and what was decided: control IDs begin anew with the state."""
        for queue in self._queues.values():
            queue.sends.clear()
        self._decided.clear()
        self._bench.store.clear_outbox()

    def _why(self, to: str) -> str:
        queue = self._queues.get(to)
        return str(queue.trouble) if queue and queue.trouble else ""

    async def _deliver(self, queue: _Queue) -> None:
        while True:
            await queue.wake.wait()
            while queue.sends and not self._policy(queue.sends[0]).holds(queue.sends[0].to):
                policy = self._policy(queue.sends[0])
                send = queue.sends[policy.choose(len(queue.sends))]
                delivery = await self._insist(queue, send)
                if send in queue.sends:  # not cleared meanwhile
                    policy.decided(send, delivery)
                    queue.sends.remove(send)
                if delivery.reason:
                    self._bench.store.park(send.place, delivery.reason)
                elif delivery.settled:
                    self._bench.store.delivered(send.place)
                self._tell((send.to, send.control), delivery)
            queue.wake.clear()

    def _tell(self, key: tuple[str, str], delivery: Delivery) -> None:
        self._decided[key] = delivery
        if len(self._decided) > REMEMBERED:
            del self._decided[next(iter(self._decided))]
        future = self._answers.get(key)
        if future is not None and not future.done():
            future.set_result(delivery)

    async def _insist(self, queue: _Queue, send: Send) -> Delivery:
        """Try until the receiver decides, or the policy gives up."""
        tries = 0
        while True:
            tries += 1
            try:
                delivery = await self._senders[send.kind](send)
            except (LinkLost, NoAnswer, RemoteProtocolError) as trouble:
                queue.trouble = trouble
                delivery = Delivery(reason=f"{type(trouble).__name__}: {trouble}", code=trouble_word(trouble))
            except Exception as trouble:  # noqa: BLE001 - refused, or our own mistake: it must not stop the queue
                return Delivery(reason=f"{type(trouble).__name__}: {trouble}", code="refused")
            else:
                queue.trouble = None
                if not delivery.reason:
                    return delivery
            pause = self._policy(send).pause(delivery.code, tries)
            if pause is None:
                return delivery
            if send not in queue.sends:
                return Delivery(reason="forgotten by a reset")
            await asyncio.sleep(pause)
