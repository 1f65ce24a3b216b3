"""One request of a peer being served (PS3.7 sections 9.1 and 10.1): the provider answers, the response leaves."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import Refused, RemoteProtocolError, WireError
from stepwedge.wire import dimse_client
from stepwedge.wire import status as codes
from stepwedge.wire.codec_process import CannotConvert
from stepwedge.wire.command import NO_DATA_SET, RESPONSE, Command, Field, name
from stepwedge.wire.dimse import Agreed, DimseExchange, Message
from stepwedge.wire.elements import Elements, decode, encode, recode
from stepwedge.wire.encodings import BIG_ENDIAN, PLAIN
from stepwedge.wire.provider import (
    PROCESSING_FAILURE,
    SOP_CLASS_NOT_SUPPORTED,
    UNRECOGNIZED_OPERATION,
    Acceptor,
    Failure,
    Held,
    Reply,
)
from stepwedge.wire.services import outcome_of, suits

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from stepwedge.wire.dimse_client import Speaker
    from stepwedge.wire.dimse_link import Link

LOG: Final = logging.getLogger(__name__)
_CANNOT_UNDERSTAND: Final = 0xC000
_BREATH: Final = 32
"""Matches between two looks at what the peer sent meanwhile, such as a C-CANCEL."""


class Operation:
    """One request being served.

    Args:
        speaker: the association, to speak on.
        link: its transport.
        acceptor: how the server accepts, and its provider.
        request: what the peer asks.
    """

    def __init__(self, speaker: Speaker, link: Link, acceptor: Acceptor, request: Message) -> None:
        self.speaker = speaker
        self.link = link
        self.acceptor = acceptor
        self.provider = acceptor.provider
        self.peer = speaker.peer
        self.request = request
        self.command = request.command
        self.context: Agreed = self.link.channel.contexts[request.context_id]
        self.response = _response_to(request.command)
        self.began = time.monotonic()
        kind = self.command["CommandField"]
        service = Field(kind).service if kind in _SERVICES else name(self.command)
        self.exchange = DimseExchange("in", service, self.peer, self.context, self.command, request.data)

    async def run(self) -> None:
        """Let the provider answer, and say so to the observer before the final response leaves."""
        try:
            reply, data = await self._answer()
        except WireError as error:
            self.exchange.outcome, self.exchange.error = outcome_of(error), str(error)
            self._observe()
            raise
        self.response["Status"] = reply.status
        if reply.comment:
            self.response["ErrorComment"] = reply.comment[:64].encode("ascii", "replace").decode()
        if reply.sop_instance:
            self.response["AffectedSOPInstanceUID"] = reply.sop_instance
        data = self.acceptor.provider.conclude(self.exchange, self.response, data)
        self.response["CommandDataSetType"] = 1 if data else NO_DATA_SET
        self.exchange.response, self.exchange.response_data = self.response, data
        self.exchange.status = self.response["Status"]
        self._observe()
        self.link.say(Message(self.request.context_id, self.response, data))
        if reply.then is not None:
            await reply.then(self.speaker)

    async def _answer(self) -> tuple[Reply, bytes]:
        try:
            answer = await self._serve()
        except Failure as failure:
            return Reply(failure.status, failure.comment), b""
        except Exception as error:
            if self.link.ended is not None:
                raise
            LOG.exception("%s failed", self.exchange.kind)
            self.exchange.error = f"{type(error).__name__}: {error}"
            return Reply(PROCESSING_FAILURE, "the simulated system failed"), b""
        if isinstance(answer, tuple):
            return answer
        reply = answer if isinstance(answer, Reply) else Reply(answer)
        return reply, self._encoded(reply.attributes) if reply.attributes else b""

    async def _serve(self) -> Reply | int | tuple[Reply, bytes]:
        serve = _SERVICES.get(self.command["CommandField"])
        if serve is None:
            raise Failure(UNRECOGNIZED_OPERATION, name(self.command))
        if not suits(self.sop_class, self.context.abstract):
            raise Failure(SOP_CLASS_NOT_SUPPORTED, f"context is for {self.context.abstract}")
        return await serve(self)

    def _observe(self) -> None:
        self.exchange.took = time.monotonic() - self.began
        if self.acceptor.observer is not None:
            self.acceptor.observer(self.exchange)

    # --- the request's parts -------------------------------------------------------------------------------------

    @property
    def sop_class(self) -> str:
        """Affected or Requested SOP Class UID."""
        return str(self._needed("AffectedSOPClassUID", "RequestedSOPClassUID"))

    @property
    def sop_instance(self) -> str:
        """Affected or Requested SOP Instance UID."""
        return str(self._needed("AffectedSOPInstanceUID", "RequestedSOPInstanceUID"))

    def _needed(self, *keywords: str) -> Any:
        for keyword in keywords:
            if keyword in self.command:
                return self.command[keyword]
        raise Failure(PROCESSING_FAILURE, f"{keywords[0]} is missing")

    def _elements(self, *, unreadable: int = PROCESSING_FAILURE) -> Elements:
        try:
            return decode(self.request.data, explicit=self.context.explicit)
        except RemoteProtocolError as error:
            raise Failure(unreadable, str(error)) from error

    def _identifier(self) -> Elements:
        if not self.request.data:
            raise Failure(_CANNOT_UNDERSTAND, "the request has no identifier")
        return self._elements(unreadable=_CANNOT_UNDERSTAND)

    def _encoded(self, elements: Elements | bytes) -> bytes:
        if isinstance(elements, bytes):
            return recode(elements, explicit=True, to_explicit=self.context.explicit)
        return encode(elements, explicit=self.context.explicit)

    def _cancelled(self) -> bool:
        """Take a C-CANCEL for this request out of the inbox (PS3.7 section 9.3.2.3)."""
        inbox, number = self.link.inbox, self.command["MessageID"]
        for item in inbox:
            if (
                isinstance(item, Message)
                and item.command["CommandField"] == Field.C_CANCEL
                and item.command.get("MessageIDBeingRespondedTo") == number
            ):
                inbox.remove(item)
                return True
        return False

    # --- the services --------------------------------------------------------------------------------------------

    async def echo(self) -> Reply | int:
        """Serve C-ECHO."""
        return await self.provider.on_echo(self.peer)

    async def find(self) -> Reply | int:
        """Serve C-FIND: one pending response per match."""
        matches = self.provider.on_find(self.peer, self.sop_class, self._identifier())
        pending: Command = {**self.response, "Status": codes.PENDING, "CommandDataSetType": 1}
        if not isinstance(matches, AsyncIterator):
            matches = _each(matches)
        try:
            async for match in matches:
                raw = self._encoded(match)
                self.exchange.answers.append(raw)
                self.link.say(Message(self.request.context_id, pending, raw))
                await self.link.drain()
                if len(self.exchange.answers) % _BREATH == 0:
                    await asyncio.sleep(0)
                if self.link.inbox and self._cancelled():
                    return codes.CANCEL
        finally:
            if isinstance(matches, AsyncGenerator):
                await matches.aclose()
        return codes.SUCCESS

    async def store(self) -> Reply | int:
        """Serve C-STORE."""
        if not self.request.data:
            raise Failure(_CANNOT_UNDERSTAND, "the request has no data set")
        return await self.provider.on_store(
            self.peer, self.sop_class, self.sop_instance, self.context.transfer, self.request.data
        )

    async def move(self) -> tuple[Reply, bytes]:
        """Serve C-MOVE by C-STORE sub-operations on an association of their own (PS3.4 C.4.2.2)."""
        destination = self._needed("MoveDestination")
        retrieval = await self.provider.on_move(self.peer, self.sop_class, self._identifier(), destination)
        if not retrieval.instances:
            return await self._retrieve([], self.speaker)
        try:
            association = await dimse_client.open(
                retrieval.host,
                retrieval.port,
                calling=self.acceptor.ae_title,
                called=destination,
                contexts=_proposals(retrieval.instances),
                timeout=self.acceptor.timeout,
                observer=self.acceptor.observer,
                context=retrieval.context,
            )
        except WireError as error:
            self.exchange.error = f"{destination}: {error}"
            return await self._retrieve(retrieval.instances, None)
        originator = (self.peer.calling, self.command["MessageID"])
        outcome = await self._retrieve(retrieval.instances, association, originator)
        with contextlib.suppress(WireError):
            await association.release()
        return outcome

    async def get(self) -> tuple[Reply, bytes]:
        """Serve C-GET by C-STORE sub-operations on this association (PS3.4 C.4.3.2)."""
        instances = await self.provider.on_get(self.peer, self.sop_class, self._identifier())
        return await self._retrieve(instances, self.speaker)

    async def _retrieve(
        self, instances: Sequence[Held], to: Speaker | None, originator: tuple[str, int] | None = None
    ) -> tuple[Reply, bytes]:
        """Send instances and count; the peer learns the counts after each."""
        counts = {"Remaining": len(instances), "Completed": 0, "Failed": 0, "Warning": 0}
        failed: list[str] = []
        for held in instances:
            if self.link.inbox and self._cancelled():
                return self._ended(codes.CANCEL, counts, failed)
            outcome = await self._send(held, to, originator)
            counts[outcome] += 1
            counts["Remaining"] -= 1
            if outcome == "Failed":
                failed.append(held.sop_instance)
            if counts["Remaining"]:
                pending = {**self.response, **_numbers(counts), "Status": codes.PENDING}
                self.link.say(
                    Message(self.request.context_id, {**pending, "CommandDataSetType": NO_DATA_SET})
                )
                await self.link.drain()
        if counts["Failed"] and not counts["Completed"] and not counts["Warning"]:
            return self._ended(0xA702, counts, failed)
        return self._ended(0xB000 if counts["Failed"] or counts["Warning"] else codes.SUCCESS, counts, failed)

    async def _send(self, held: Held, to: Speaker | None, originator: tuple[str, int] | None) -> str:
        if to is None:
            return "Failed"
        try:
            syntax, data = await _as_accepted(held, to)
            result = await to.store(held.sop_class, held.sop_instance, syntax, data, originator=originator)
        except CannotConvert as error:
            self.exchange.error = self.exchange.error or str(error)
            return "Failed"
        except WireError as error:
            if to is self.speaker and not isinstance(error, Refused):
                raise
            self.exchange.error = self.exchange.error or str(error)
            return "Failed"
        return {"success": "Completed", "warning": "Warning"}.get(result.category, "Failed")

    def _ended(self, status: int, counts: dict[str, int], failed: list[str]) -> tuple[Reply, bytes]:
        self.response |= _numbers(counts)
        if status != codes.CANCEL:
            self.response.pop("NumberOfRemainingSuboperations")
        data = self._encoded({"FailedSOPInstanceUIDList": "\\".join(failed)}) if failed else b""
        return Reply(status), data

    async def create(self) -> Reply | int:
        """Serve N-CREATE."""
        instance = self.command.get("AffectedSOPInstanceUID", "")
        return await self.provider.on_create(self.peer, self.sop_class, instance, self._elements())

    async def set(self) -> Reply | int:
        """Serve N-SET."""
        return await self.provider.on_set(self.peer, self.sop_class, self.sop_instance, self._elements())

    async def get_attributes(self) -> Reply | int:
        """Serve N-GET."""
        tags = self.command.get("AttributeIdentifierList", [])
        return await self.provider.on_get_attributes(self.peer, self.sop_class, self.sop_instance, tags)

    async def action(self) -> Reply | int:
        """Serve N-ACTION."""
        kind = self.response["ActionTypeID"] = self._needed("ActionTypeID")
        return await self.provider.on_action(
            self.peer, self.sop_class, self.sop_instance, kind, self._elements()
        )

    async def delete(self) -> Reply | int:
        """Serve N-DELETE."""
        return await self.provider.on_delete(self.peer, self.sop_class, self.sop_instance)

    async def event(self) -> Reply | int:
        """Serve N-EVENT-REPORT."""
        kind = self.response["EventTypeID"] = self._needed("EventTypeID")
        return await self.provider.on_event(
            self.peer, self.sop_class, self.sop_instance, kind, self._elements()
        )


_SERVICES: Final[dict[int, Callable[[Operation], Awaitable[Reply | int | tuple[Reply, bytes]]]]] = {
    Field.C_ECHO: Operation.echo,
    Field.C_FIND: Operation.find,
    Field.C_STORE: Operation.store,
    Field.C_MOVE: Operation.move,
    Field.C_GET: Operation.get,
    Field.N_CREATE: Operation.create,
    Field.N_SET: Operation.set,
    Field.N_GET: Operation.get_attributes,
    Field.N_ACTION: Operation.action,
    Field.N_DELETE: Operation.delete,
    Field.N_EVENT_REPORT: Operation.event,
}


def _response_to(request: Command) -> Command:
    """Start the response of a request: what it answers and what it is about."""
    if "MessageID" not in request:
        raise RemoteProtocolError(f"{name(request)} has no Message ID (0000,0110) (PS3.7 annex E)")
    response: Command = {
        "CommandField": request["CommandField"] | RESPONSE,
        "MessageIDBeingRespondedTo": request["MessageID"],
    }
    for affected, requested in (
        ("AffectedSOPClassUID", "RequestedSOPClassUID"),
        ("AffectedSOPInstanceUID", "RequestedSOPInstanceUID"),
    ):
        if value := request.get(affected) or request.get(requested):
            response[affected] = value
    return response


def _numbers(counts: dict[str, int]) -> Command:
    return {f"NumberOf{kind}Suboperations": count for kind, count in counts.items()}


async def _as_accepted(held: Held, to: Speaker) -> tuple[str, bytes]:
    """Return an instance as it is where the receiver takes it so, else in the first other encoding that it takes."""
    if held.convert is not None and not to.accepts(held.sop_class, held.transfer_syntax):
        for syntax in held.others:
            if to.accepts(held.sop_class, syntax):
                return syntax, await asyncio.to_thread(held.convert, syntax)
    return held.transfer_syntax, held.load()


def _proposals(instances: Sequence[Held]) -> list[tuple[str, list[str]]]:
    """Propose each pair of SOP class and transfer syntax, with the other encodings that the instances can be had in.

    What is compressed gets a context of its own: a receiver that takes both shall have it as it is. Big endian is
    retired (PS3.5 A.3) and never proposed.
    """
    wanted: dict[tuple[str, tuple[str, ...]], None] = {}
    for held in instances:
        syntax = held.transfer_syntax
        plain = tuple(each for each in PLAIN if each != syntax)
        others = tuple(each for each in held.others if each != BIG_ENDIAN)
        if syntax in PLAIN:
            wanted[held.sop_class, (syntax, *(others or plain))] = None
        else:
            wanted[held.sop_class, (syntax,)] = None
            if others:
                wanted[held.sop_class, others] = None
    return [(sop_class, list(syntaxes)) for sop_class, syntaxes in list(wanted)[:128]]


async def _each(matches: Iterable[Elements | bytes]) -> AsyncIterator[Elements | bytes]:
    for match in matches:
        yield match
