"""A message that a system sent before, sent again with single places changed: as testers of interfaces do.

Nothing of it enters the books of the sender. It waits until what was said before has left, then goes over a connection of its
own, so that several can leave at the same moment.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import BadInput
from stepwedge.evidence.exchange import Exchange
from stepwedge.sim.hl7 import Hl7Sender
from stepwedge.sim.store import Send
from stepwedge.wire.hl7 import HL7Error, parse, timestamp
from stepwedge.wire.hl7_edit import Draft

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from stepwedge.sim.bench import Bench
    from stepwedge.sim.outbox import Delivery
    from stepwedge.sim.simulator import Case
    from stepwedge.sim.tables import State

Args = dict[str, Any]
_WHERE: Final = "send_by_hand"
_LOOKED_THROUGH: Final = 500
"""Journal lines read at a time, from the newest back."""
_DRAINING: Final = 5.0
"""Seconds that what was said before has to leave."""


async def at_once(bench: Bench, sends: Sequence[Send]) -> list[Delivery]:
    """Send messages at the same moment, each over a connection of its own, and return what was decided about each."""

    async def alone(send: Send) -> Delivery:
        sender = Hl7Sender(bench)
        try:
            return await sender(send)
        finally:
            await sender.close()

    return list(await asyncio.gather(*(alone(send) for send in sends)))


class ByHand:
    """The word ``send_by_hand`` of a system that sends HL7."""

    def __init__(self, bench: Bench, state: State) -> None:
        self._bench, self._state = bench, state

    def acts(self) -> dict[str, Callable[[Args, Case], Awaitable[Args]]]:
        """Return the word."""
        return {_WHERE: self.send_by_hand}

    async def send_by_hand(self, args: Args, case: Case) -> Args:
        """Send a message again, changed; every copy gets a control ID of its own."""
        draft = self._sent(str(args["message"]))
        to = str(args.get("to") or draft.peer)
        sets: list[Mapping[str, Any]] = [{}] if not args.get("at_once") else list(args["at_once"])
        sends = [self._written(draft, args, {**(args.get("set") or {}), **more}, to, case) for more in sets]
        await self._bench.outbox.drained(to, _DRAINING)
        deliveries = await at_once(self._bench, sends)
        told = [_told(send, delivery) for send, delivery in zip(sends, deliveries, strict=True)]
        return told[0] | {
            "late": bool(args.get("late")),
            "answers": [one["answer"] for one in told],
            "ids": [one["id"] for one in told],
        }

    def _sent(self, control: str) -> Exchange:
        """Return the newest exchange in which this system sent the message."""
        journal, needle = self._bench.journal, json.dumps(control).encode()
        for after in range(max(journal.last - _LOOKED_THROUGH, 0), -_LOOKED_THROUGH, -_LOOKED_THROUGH):
            for line in reversed(journal.lines(after, _LOOKED_THROUGH)):
                if needle not in line:
                    continue
                one = Exchange.from_json(json.loads(line))
                if (one.actor, one.direction, one.protocol) == (self._bench.name, "out", "hl7"):
                    return one
        raise BadInput(f"{_WHERE}: message", f"a message that {self._bench.name} sent", control)

    def _written(self, draft: Exchange, args: Args, places: Mapping[str, Any], to: str, case: Case) -> Send:
        with self._bench.change(self._state):
            control = self._state.control()
        edited = Draft(parse(draft.request.read()))
        if not args.get("late"):
            edited.put("MSH-7", timestamp(self._bench.clock.now()), _WHERE)
        edited.put("MSH-10", control, _WHERE)
        for name in args.get("drop") or ():
            edited.drop(str(name), _WHERE)
        try:
            for place, value in places.items():
                edited.add(place[:3])
                edited.put(place, str(value), _WHERE)
            body = edited.body()
        except HL7Error as error:
            raise BadInput(f"{_WHERE}: set", "places that a message can have", str(error)) from error
        return Send(to, body, control=control, case=case.id)


def _told(send: Send, delivery: Delivery) -> Args:
    answer = parse(delivery.reply)
    return {
        "id": send.control,
        "answer": answer["MSA-1"],
        "control": answer["ORC-1"],
        "error": answer["ERR-3.1"] or answer["ERR-1.4.1"],
        "text": answer["MSA-3"] or answer["ERR-8"],
    }
