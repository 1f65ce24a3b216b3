"""The HL7 door of a simulated system, and its way out.

A handler is pure: ``(state, message, now) -> Reply``. The door parses, answers repetitions from memory, runs the handler,
commits rows, outgoing messages and the reply as one transaction, journals, and only then lets the acknowledgement go.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from stepwedge.clock import moment
from stepwedge.errors import RemoteProtocolError, WireError
from stepwedge.evidence.redact import refusal
from stepwedge.sim import hl7_enhanced, keys
from stepwedge.sim.address import Address, Endpoint, Listeners, actor_of
from stepwedge.sim.outbox import Delivery, trouble_word
from stepwedge.sim.store import Change, Send, StoredReply, digest
from stepwedge.wire import mllp_asyncio
from stepwedge.wire.hl7 import HL7Error, Message, acknowledgement, parse
from stepwedge.wire.hl7_values import check
from stepwedge.wire.mllp import MESSAGE_LIMIT, Framer

if TYPE_CHECKING:
    from stepwedge.evidence.exchange import Exchange, Keys
    from stepwedge.sim.bench import Bench
    from stepwedge.sim.tables import State

UNSUPPORTED_MESSAGE, UNSUPPORTED_EVENT, UNKNOWN_KEY, DUPLICATE_KEY, INTERNAL_ERROR = 200, 201, 204, 205, 207
"""HL7 table 0357."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a handler answers; an answer other than AA undoes what the handler changed, and sends nothing.

    Attributes:
        code: MSA-1 (table 0008): AA, AE or AR.
        text: MSA-3 and ERR user message, for a person.
        type: message type of the answer, ``ORR^O02``; None for a plain ACK.
        segments: what follows MSA (and ERR), as ``wire.hl7.compose`` takes it.
        error: what is wrong, with code (table 0357) and location, for AE and AR; a handler may as well raise it.
        sends: messages that go out because of this one; built with ``state.control()`` as MSH-10.
    """

    code: str = "AA"
    text: str = ""
    type: str | None = None
    segments: Sequence[Any] = ()
    error: HL7Error | None = None
    sends: Sequence[Send] = ()


Handler = Callable[[Any, "Message", datetime], Reply]


@dataclass(frozen=True, slots=True)
class Answered:
    """One message and what was decided about it, as the journal takes it.

    Attributes:
        code: MSA-1 of the reply.
        began: ``moment()`` when the message was there.
        peer: actor or application that sent it, else its ``host:port``.
        hidden: it speaks of somebody who is not synthetic, so that neither message nor answer may be kept.
    """

    reply: bytes
    code: str
    began: float
    kind: str
    peer: str
    found: Keys
    facts: dict[str, Any]
    request: bytes
    hidden: bool = False
    accept: bytes = b""
    """The accept acknowledgement that goes before the reply, where the message asks for it (enhanced mode)."""

    @property
    def said(self) -> bytes | tuple[bytes, ...]:
        """All that is answered, in the order in which it leaves."""
        if not self.accept and self.reply:
            return self.reply
        return tuple(one for one in (self.accept, self.reply) if one)


class MemoryHabits:
    """What a careful receiver does."""

    def remembers(self, control: str) -> bool:
        """Tell whether a message that was accepted before is answered from memory, and does nothing again."""
        return bool(control)

    def refuses_unknown(self, trigger: str) -> bool:
        """Refuse a message of a type or event that nobody here understands (ITI TF-2 C.2.3, errors 200 and 201)."""
        return bool(trigger)

    def whole(self, payload: bytes) -> bytes:
        """Take everything between start and end block as one message, blank lines and all (MLLP release 1)."""
        return payload

    def framing(self, kind: type[Framer]) -> type[Framer]:
        """Put together what belongs together, however it comes over the line (HL7 2.5.1 appendix C.2)."""
        return kind

    def tolerates(self, value: str) -> bool:
        """Take no message whose values cannot be, such as a day that the calendar does not have (error 102)."""
        return not value

    def longest(self, limit: int) -> int:
        """Hang up on a message that is longer than any that could be meant (bytes)."""
        return limit

    def follows_up(self, control: str) -> bool:
        """Tell the application's decision after CA, as MSH-16 asks (HL7 2.5.1 section 2.9.3)."""
        return bool(control)


class Hl7Door:
    """An MLLP listener.

    A repeated message (same MSH-3, MSH-4 and MSH-10, same bytes) is answered as the first time and does nothing; the same
    control ID over other content is refused (error 205). Only accepted messages are remembered: what was answered AE may
    be sent again once its reason is gone. A handler that raises has changed nothing and is answered AE.
    """

    def __init__(
        self, bench: Bench, state: State, handlers: Mapping[str, Handler], listener: str = ""
    ) -> None:
        """Take handlers by trigger (``ADT^A04``) or message type (``ORU``), ``*`` for all; what has none is answered AR 200 or 201.

        A ``listener`` is one of several doors of a system: others call it ``ACTOR.LISTENER``.
        """
        self._listener = listener
        self._bench = bench
        self._state = state
        self._handlers = handlers
        self._codes = {kind.partition("^")[0] for kind in handlers}
        self._habits = bench.adopt(MemoryHabits())
        self._salt = int.from_bytes(digest(bench.ae_title.encode())[:7])
        self._server: mllp_asyncio.Server | None = None

    @property
    def takes(self) -> tuple[str, ...]:
        """The triggers and message types that have a handler, in order; ``*`` is any."""
        return tuple(sorted(self._handlers))

    async def start(self) -> Address:
        """Listen on the bench's ``hl7`` port, or the port of the listener, ``hl7_NAME``."""
        handler = self.handler()
        if not self._bench.security.open:
            handler = self._screened(self.answer if isinstance(handler, mllp_asyncio.Together) else handler)
        gate = self._bench.security.gate("hl7")
        self._server, port = await self._bench.listen(
            f"hl7_{self._listener}" if self._listener else "hl7",
            lambda host, port: mllp_asyncio.serve(
                host,
                port,
                handler,
                limit=self._habits.longest(MESSAGE_LIMIT),
                trouble=self._trouble,
                gate=gate,
                framer=self._framer,
            ),
        )
        endpoint = Endpoint(self._bench.ports.host, port, gate is not None)
        return (
            Address(listeners=Listeners({self._listener: endpoint}))
            if self._listener
            else Address(hl7=endpoint)
        )

    def _framer(self, longest: int) -> Framer:
        """Return what cuts the stream of a new connection into messages."""
        return self._habits.framing(Framer)(longest)

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            await self._server.close()

    def handler(self) -> mllp_asyncio.Handler | mllp_asyncio.Together:
        """Return what answers messages."""
        return mllp_asyncio.Together(self.answers)

    def _screened(self, hear: mllp_asyncio.Handler) -> mllp_asyncio.Handler:
        """Answer nodes that may not call AR, before anything else is looked at."""

        def screened(
            raw: bytes, peer: str
        ) -> Awaitable[mllp_asyncio.Answer] | AsyncIterator[bytes] | mllp_asyncio.Answer:
            try:
                message = parse(raw)
            except HL7Error:
                message = (
                    None  # what cannot be read is refused as it is for everybody, if the node is known at all
                )
            security = self._bench.security
            why = security.stranger(peer, application=message["MSH-3.1"] if message else "")
            if not why:
                return hear(raw, peer)
            security.note("hl7", message.type if message else "MLLP", peer, why)
            error = HL7Error(INTERNAL_ERROR, "MSH-3", why)
            return self._acknowledge(message, Reply("AR", error=error), digest(raw), self._bench.clock.now())

        return screened

    def answer(self, raw: bytes, peer: str) -> bytes | tuple[bytes, ...]:
        """Handle one message: everything it causes is durable and in the journal when the answer is returned."""
        return self.record(self.take(raw, peer))

    def answers(self, messages: Sequence[tuple[bytes, str]]) -> list[bytes | tuple[bytes, ...]]:
        """Handle messages of several connections: one transaction and one write to the journal, then all answers.

        When the transaction cannot be made, each message is handled alone, so that only its own trouble stops it.
        """
        taken = self._together(messages) or [self.take(raw, peer) for raw, peer in messages]
        self._bench.keep([self._exchange(one) for one in taken])
        return [one.said for one in taken]

    def take(self, raw: bytes, peer: str) -> Answered:
        """Decide about one message and commit what it causes; nothing is in the journal yet."""
        now = self._bench.clock.now()
        try:
            with self._bench.change(self._state) as change:
                return self._take(raw, peer, now, change)
        except Exception as trouble:  # noqa: BLE001 - what cannot be kept is answered, and the door stays open
            return self._failed(raw, peer, now, trouble)

    def record(self, answered: Answered) -> bytes | tuple[bytes, ...]:
        """Put a decided message into the journal and return the answer that may leave now."""
        self._bench.keep([self._exchange(answered)])
        return answered.said

    def _together(self, messages: Sequence[tuple[bytes, str]]) -> list[Answered]:
        """Decide about messages in one transaction; nothing has happened when there is nothing to return."""
        if len(messages) == 1:
            return []
        now = self._bench.clock.now()
        try:
            with self._bench.change(self._state) as change:
                return [self._take(raw, peer, now, change) for raw, peer in messages]
        except Exception:  # noqa: BLE001 - whose trouble it is comes out when each is handled alone
            return []

    def _take(self, raw: bytes, peer: str, now: datetime, change: Change) -> Answered:
        """Decide about one message; what it causes becomes durable with the change."""
        began = moment()
        content = digest(raw)
        facts: dict[str, Any] = {}
        self._state.mark()
        try:
            message = parse(self._habits.whole(raw))
        except HL7Error as error:
            facts["error"] = str(error)
            reply = self._acknowledge(error.about, Reply(error.answer, error=error), content, now)
            kind = error.about.type if error.about else "unreadable"
            return Answered(reply, error.answer, began, kind, peer, {}, facts, raw)
        found = keys.of_message(message)
        if refused := self._refusal(found):
            why = Reply("AE", error=HL7Error(UNKNOWN_KEY, *refused))
            reply = self._acknowledge(message, why, content, now)
            foreign = {"refused": "identifiers that are not synthetic"}
            no = Answered(reply, "AE", began, message.type, peer, {}, foreign, b"", hidden=True)
            return self._in_its_mode(no, message, content, now)
        application, facility = message.header.heads(3)[0], message.header.heads(4)[0]
        reply, code, told = self._decide(message, f"{application}|{facility}", content, now, facts, change)
        sender = self._bench.directory.by_application(application)
        found = keys.merge(found, told)
        return self._in_its_mode(
            Answered(reply, code, began, message.type, sender, found, facts, raw), message, content, now
        )

    def _in_its_mode(self, decided: Answered, message: Message, content: bytes, now: datetime) -> Answered:
        """Answer as the message asks, in original mode or in enhanced mode."""
        control = f"SW{int.from_bytes(content[:7]) ^ self._salt ^ 1:014x}"
        told = self._habits.follows_up(message.control)
        return hl7_enhanced.answers(decided, message, control=control, now=now, follows_up=told)

    def _decide(
        self,
        message: Message,
        sender: str,
        content: bytes,
        now: datetime,
        facts: dict[str, Any],
        change: Change,
    ) -> tuple[bytes, str, Keys]:
        """Return the answer, its code and the identifiers it adds, from memory or from the handler."""
        control = message.control
        before = change.replies.get((sender, control)) or self._bench.store.replied(sender, control)
        if before is not None and not self._habits.remembers(control):
            before = None
        if before is not None and before.digest == content:
            facts["repeated"] = True
            return before.reply, "AA", told_by(before.reply)
        try:
            self._check(message, before)
            reply = self._handle(message, now)
            answer = self._acknowledge(message, reply, content, now)
            if reply.code == "AA":
                for send in reply.sends:
                    self._bench.outbox.check(send)
                change.sends.extend(reply.sends)
                change.remember(StoredReply(sender, control, content, answer))
            else:
                self._state.rollback()
        except HL7Error as error:
            self._state.rollback()
            facts["error"] = str(error)
            return (
                self._acknowledge(message, Reply(error.answer, error=error), content, now),
                error.answer,
                {},
            )
        except Exception as trouble:  # noqa: BLE001 - whatever fails in a handler is answered, and the door stays open
            self._state.rollback()
            return self._broken(message, trouble, content, now, facts), "AE", {}
        return answer, reply.code, keys.of_segments(reply.segments) if reply.segments else {}

    def _failed(self, raw: bytes, peer: str, now: datetime, trouble: Exception) -> Answered:
        """Answer a message whose change could not be made durable."""
        message, facts = parse(raw), dict[str, Any]()
        reply = self._broken(message, trouble, digest(raw), now, facts)
        sender = self._bench.directory.by_application(message.header.heads(3)[0]) or peer
        no = Answered(reply, "AE", moment(), message.type, sender, keys.of_message(message), facts, raw)
        return self._in_its_mode(no, message, digest(raw), now)

    def _broken(
        self, message: Message, trouble: Exception, content: bytes, now: datetime, facts: dict[str, Any]
    ) -> bytes:
        """Compose the answer to a message that we failed on."""
        facts["error"] = f"{type(trouble).__name__}: {trouble}"
        internal = HL7Error(INTERNAL_ERROR, "", facts["error"])
        return self._acknowledge(message, Reply("AE", error=internal), content, now)

    def _refusal(self, found: Keys) -> tuple[str, str] | None:
        """Return place and reason when a patient is not synthetic."""
        for place, kind in (("PID-3", "patient"), ("MRG-1", "prior")):
            if kind in found and (why := refusal(self._bench.identity, patients=found[kind])):
                return place, why
        return None

    def _handle(self, message: Message, now: datetime) -> Reply:
        code = message.type.partition("^")[0]
        handler = next(
            (self._handlers[kind] for kind in (message.type, code, "*") if kind in self._handlers), None
        )
        if handler is None:
            if not self._habits.refuses_unknown(message.type):
                return Reply()
            number = UNSUPPORTED_EVENT if code in self._codes else UNSUPPORTED_MESSAGE
            place = "MSH-9.2" if code in self._codes else "MSH-9.1"
            raise HL7Error(
                number, place, f"{message.type} is not supported; {', '.join(sorted(self._handlers))} are"
            )
        return handler(self._state, message, now)

    def _check(self, message: Message, before: StoredReply | None) -> None:
        """Refuse what no handler should see: a control ID used for something else, values wrong by themselves."""
        if before is not None:
            raise HL7Error(DUPLICATE_KEY, "MSH-10", f"{message.control} was used before, for another message")
        try:
            check(message)
        except HL7Error as error:
            if not self._habits.tolerates(str(error)):
                raise

    def _acknowledge(self, message: Message | None, reply: Reply, content: bytes, now: datetime) -> bytes:
        """Compose the answer; its own control ID depends on what is answered, so that a run can be replayed."""
        return acknowledgement(
            message,
            reply.code,
            control=f"SW{int.from_bytes(content[:7]) ^ self._salt:014x}",
            now=now,
            text=reply.text,
            error=reply.error,
            segments=reply.segments,
            kind=reply.type or "ACK",
        )

    def _exchange(self, one: Answered) -> Exchange:
        """Return what the journal holds of a decided message."""
        return self._bench.exchange(
            "hl7",
            "in",
            one.kind,
            began=one.began,
            peer=one.peer,
            outcome=one.code,
            keys=one.found,
            facts=one.facts,
            request=one.request,
            response=b"" if one.hidden else one.reply or one.accept,
        )

    def _trouble(self, peer: str, error: Exception) -> None:
        """Keep what ended a connection."""
        if isinstance(error, WireError):
            facts = {"error": str(error)}
            self._bench.record("hl7", "in", "MLLP", began=moment(), peer=peer, outcome="garbled", facts=facts)


def told_by(reply: bytes) -> Keys:
    """Return the keys an application reply adds: filler and accession number (ORR, ORG, ORI)."""
    if b"ORC" not in reply:
        return {}
    found = keys.of_message(parse(reply))
    found.pop("control", None)
    return found


class SenderHabits:
    """What a careful sender does."""

    def belongs(self, answered: str, asked: str) -> bool:
        """Take an answer for that of the message whose MSH-10 it repeats in MSA-2 (HL7 2.5.1 section 2.9.2), and no other."""
        return answered == asked


class Hl7Sender:
    """Sends HL7 messages over one persistent connection per destination."""

    def __init__(
        self,
        bench: Bench,
        facts: Callable[[Send], dict[str, Any]] = lambda _: {},
        late: Callable[[str, bytes], None] | None = None,
    ) -> None:
        """Use ``hl7_timeout`` of the settings (seconds, 10 when absent).

        ``facts`` adds to what the journal says; ``late`` hears from whom an answer came that nobody waited for any more.
        """
        self._heard_late = late
        self._bench = bench
        self._facts = facts
        self._clients: dict[Endpoint, mllp_asyncio.Client] = {}
        self._habits = bench.adopt(SenderHabits())
        self._timeout = float(bench.settings.get("hl7_timeout", 10.0))

    def check(self, send: Send) -> None:
        """Make sure that the destination takes HL7."""
        self._bench.directory.door(send.to, "hl7")

    async def __call__(self, send: Send) -> Delivery:
        """Send once and return the receiver's decision."""
        endpoint = self._bench.directory.door(send.to, "hl7")
        client = self._clients.get(endpoint)
        if client is None:
            client = self._clients[endpoint] = mllp_asyncio.Client(
                endpoint.host,
                endpoint.port,
                context=self._bench.security.context(tls=endpoint.tls),
                late=partial(self._heard_late, send.to) if self._heard_late else None,
                belongs=self._belongs,
            )
        began = moment()
        reply, facts = b"", dict[str, Any]()
        try:
            reply = await client.ask(send.body, self._timeout)
            outcome, delivery = _decision(reply)
            if outcome == "CA" and hl7_enhanced.asks_application(send.body):
                told, facts = await hl7_enhanced.application(client, send.body, self._timeout)
                if told:
                    reply = told
                    outcome, delivery = _decision(told)
        except WireError as trouble:
            self._record(send, began, trouble_word(trouble), reply, {"error": str(trouble)} | _late(client))
            raise
        self._record(send, began, outcome, reply, facts | _late(client))
        return delivery

    def _belongs(self, answered: str, asked: str) -> bool:
        """Tell whether an answer (MSA-2) is that of a message (MSH-10)."""
        return self._habits.belongs(answered, asked)

    async def close(self) -> None:
        """Close every connection."""
        for client in self._clients.values():
            await client.close()

    def _record(self, send: Send, began: float, outcome: str, reply: bytes, facts: dict[str, Any]) -> None:
        message = parse(send.body)
        found = keys.of_message(message)
        if outcome == "AA":
            found = keys.merge(found, told_by(reply))
        self._bench.record(
            "hl7",
            "out",
            message.type,
            began=began,
            peer=actor_of(send.to),
            outcome=outcome,
            keys=found,
            facts=self._facts(send) | facts,
            request=send.body,
            response=reply,
            case=send.case,
        )


def _late(client: mllp_asyncio.Client) -> dict[str, Any]:
    """Return the control IDs to which further answers came meanwhile: after a time-out, or a second one."""
    late = client.take_late()
    return {"late": [parse(answer)["MSA-2"] for answer in late]} if late else {}


def _decision(reply: bytes) -> tuple[str, Delivery]:
    """Read MSA-1 (table 0008) and the reason for a no."""
    answer = parse(reply)
    code = answer["MSA-1"]
    if code in {"AA", "CA"}:
        return code, Delivery(reply, code=code)
    if code in {"AE", "AR", "CE", "CR"}:
        why = answer["ERR-8"] or answer["MSA-3"] or answer["ERR-3.2"] or "no reason given"
        return code, Delivery(reply, f"{code}: {why}", code)
    raise RemoteProtocolError(f"the acknowledgement code MSA-1 is {code!r}, not one of table 0008")
