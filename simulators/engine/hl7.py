"""The engine between its doors: what comes in is stored with all its copies, then answered; copies leave in order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from stepwedge.errors import WireError
from stepwedge.sim import keys
from stepwedge.sim.hl7 import Answered, Hl7Door, Reply, told_by
from stepwedge.sim.outbox import Delivery, Policy
from stepwedge.sim.store import Send
from stepwedge.wire.hl7 import parse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Iterable
    from datetime import datetime

    from stepwedge.sim.bench import Bench
    from stepwedge.wire import mllp_asyncio
    from stepwedge.wire.hl7 import Message
    from stepwedge.wire.mllp_asyncio import Answer

    from .settings import Settings
    from .state import Engine, Parcel

STAMP = "%Y%m%d%H%M%S"


@dataclass
class Relay(Policy):
    """Takes messages in, and follows their copies out."""

    bench: Bench
    engine: Engine
    settings: Settings

    def now(self) -> str:
        """Return the time as rows hold it."""
        return self.bench.clock.now().strftime(STAMP)

    def applications(self) -> dict[str, str]:
        """Return who can be reached by HL7, each with the application it is addressed by (MSH-5)."""
        directory = self.bench.directory
        return {
            name: directory[name].application or name
            for name in directory.having("hl7")
            if name != self.bench.name
        }

    def accept(self, engine: Engine, message: Message, now: datetime, listener: str = "") -> Reply:
        """Take one message; the door stores it, its copies and the answer in one transaction."""
        sender = self.bench.directory.by_application(message["MSH-3.1"])
        _, parcels = engine.take(message, sender, self.applications(), now.strftime(STAMP), listener)
        return Reply(sends=self.sends(parcels))

    def sends(self, parcels: Iterable[Parcel], case: str = "") -> list[Send]:
        """Return copies as the outbox takes them; the copy's number is their name there, whatever their MSH-10."""
        return [Send(one.copy.to, one.body, control=str(one.copy.number), case=case) for one in parcels]

    def said(self, send: Send) -> dict[str, Any]:
        """Return what the journal is told of an outgoing copy: for whom, of which message, and what differs why."""
        copy = self.engine.copies.get(send.control)
        if copy is None:  # forgotten by a reset
            return {}
        letter = self.engine.letters[str(copy.letter)]
        relay = {"for": letter.sender, "of": letter.control, "copy": copy.number, "changed": copy.changed}
        return {"relay": relay}

    def late(self, to: str, answer: bytes) -> None:
        """Hear an answer that nobody waits for any more: an application's, long after its CA, settles its copy."""
        told = parse(answer)
        copy = self.engine.unresolved(to, told["MSA-2"])
        if copy is None or told["MSA-1"] not in {"AA", "AE", "AR"}:
            return
        code = told["MSA-1"]
        reason = "" if code == "AA" else f"{code}: {told['ERR-8'] or told['MSA-3'] or 'no reason given'}"
        with self.bench.change(self.engine):
            self.engine.decided(copy, code, reason, answer, self.now())

    # What the outbox asks

    def pause(self, word: str, tries: int) -> float | None:
        """Decide by the answer whether the same message is tried again."""
        return self.engine.habits.pause(word, tries, self.settings.tries)

    def choose(self, waiting: int) -> int:
        """Decide which message goes next."""
        return self.engine.habits.choose(waiting)

    def holds(self, to: str) -> bool:
        """Tell whether an operator has paused a destination."""
        return to in self.engine.held

    def decided(self, send: Send, delivery: Delivery) -> None:
        """Write down what became of a copy before it leaves the outbox: after a kill it is asked for again, not forgotten."""
        if (copy := self.engine.copies.get(send.control)) is not None:
            with self.bench.change(self.engine):
                self.engine.decided(copy, delivery.code, delivery.reason, delivery.reply, self.now())


class RelayDoor(Hl7Door):
    """A listener whose answer may be the destination's own."""

    def __init__(self, bench: Bench, relay: Relay, listener: str = "") -> None:
        """Take every message; which of them are wanted is a matter of routes."""
        super().__init__(bench, relay.engine, {"*": partial(relay.accept, listener=listener)}, listener)
        self._relay = relay

    def handler(self) -> mllp_asyncio.Handler:
        """Answer when the destination did, where a route says so."""
        return self.relayed

    def relayed(self, raw: bytes, peer: str) -> Awaitable[Answer] | AsyncIterator[bytes]:
        """Store a message, wait for its destination when the sender is to hear it, and answer, as its mode asks."""
        answered = self.take(raw, peer)
        return self._in_turn(answered) if answered.accept else self._at_once(answered)

    async def _at_once(self, answered: Answered) -> Answer:
        if answered.code == "AA":
            answered = await self._reported(answered)
        return self.record(answered)

    async def _in_turn(self, answered: Answered) -> AsyncIterator[bytes]:
        """Say CA as soon as the message is stored, and what its destination said when that is here.

        A destination that says nothing in time has decided nothing, and the sender is told nothing in its name.
        """
        yield answered.accept
        told = answered
        if answered.code == "AA":
            told = await self._reported(answered)
            if told.reply == answered.reply and self._awaited(told):
                told = replace(told, reply=b"", code="CA")
        self.record(told)
        if told.reply:
            yield told.reply

    def _awaited(self, answered: Answered) -> bool:
        """Tell whether the application's answer to a message is its destination's to give."""
        letters = self._relay.engine.letters.by("control", parse(answered.request).control)
        return any(one.body == answered.request and one.replies for one in letters)

    async def _reported(self, answered: Answered) -> Answered:
        engine = self._relay.engine
        letters = engine.letters.by("control", parse(answered.request).control)
        letter = next((one for one in letters if one.body == answered.request), None)
        if letter is None:  # forgotten by a reset
            return answered
        copies = engine.copies_of(letter)
        copy = next((one for one in copies if one.to == letter.replies and not one.replays), None)
        facts = {**answered.facts, "relay": {"copies": {str(one.number): one.to for one in copies}}}
        answered = replace(answered, facts=facts)
        if copy is None:
            return answered
        reply = copy.answer
        if not reply:
            send = Send(copy.to, b"", control=str(copy.number))
            try:
                reply = (await self._bench.outbox.answer(send, self._relay.settings.within)).reply
            except WireError:
                return answered  # it is stored and will arrive: the engine's own AA says that and no more
        if not reply:
            return answered
        found = keys.merge(answered.found, told_by(reply))
        return replace(answered, reply=reply, code=parse(reply)["MSA-1"], found=found)
