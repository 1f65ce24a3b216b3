# ruff: noqa: ASYNC109 - how long to wait for one message is the protocol's own term, not a caller's cancellation
"""The verbs of a service class user on asyncio."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Self

from stepwedge.errors import LinkLost, NoAnswer, Refused, RemoteProtocolError, WireError
from stepwedge.wire import tls_asyncio
from stepwedge.wire.dimse import Channel, Message, PeerInfo
from stepwedge.wire.dimse_link import Link, anything, numbers
from stepwedge.wire.dul import Event, Release, Released, UpperLayer
from stepwedge.wire.negotiation import Acceptance, Extended, Proposal, Role
from stepwedge.wire.negotiation import contexts as numbered
from stepwedge.wire.services import Dialogue, Observer, T, Talk

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Sequence

    from stepwedge.wire.elements import Elements
    from stepwedge.wire.results import Answers, Result, Retrieved
    from stepwedge.wire.results import Event as Reported


class Speaker:
    """The verbs of a service class user on an association, whoever proposed it."""

    def __init__(self, link: Link, peer: PeerInfo, timeout: float, observer: Observer | None) -> None:
        self.peer = peer
        self.timeout = timeout
        self._link = link
        self._dialogue = Dialogue(link.channel, peer, time.monotonic, observer)

    @property
    def lasts(self) -> bool:
        """Tell whether the peer neither ended the association nor asks to release it."""
        link = self._link
        return link.ended is None and not any(isinstance(item, Release) for item in link.inbox)

    async def echo(self) -> Result:
        """C-ECHO."""
        return await self._run(self._dialogue.echo())

    async def find(self, model: str, identifier: Elements, *, limit: int = 0) -> Answers:
        """C-FIND in an information model (SOP class); ``limit`` cancels after so many matches."""
        return await self._run(self._dialogue.find(model, identifier, limit=limit))

    async def store(
        self,
        sop_class: str,
        sop_instance: str,
        transfer_syntax: str,
        data: bytes,
        *,
        originator: tuple[str, int] | None = None,
    ) -> Result:
        """C-STORE of a data set encoded in ``transfer_syntax``."""
        talk = self._dialogue.store(sop_class, sop_instance, transfer_syntax, data, originator=originator)
        return await self._run(talk)

    async def move(self, model: str, identifier: Elements, destination: str, *, limit: int = 0) -> Retrieved:
        """C-MOVE to the AE title ``destination``."""
        return await self._run(self._dialogue.move(model, identifier, destination, limit=limit))

    async def get(self, model: str, identifier: Elements, *, limit: int = 0) -> Retrieved:
        """C-GET; propose the storage classes in ``contexts`` and name them in ``scp_of`` when opening."""
        return await self._run(self._dialogue.get(model, identifier, limit=limit))

    async def create(self, sop_class: str, sop_instance: str, attributes: Elements) -> Result:
        """N-CREATE."""
        return await self._run(self._dialogue.create(sop_class, sop_instance, attributes))

    async def set(self, sop_class: str, sop_instance: str, modifications: Elements) -> Result:
        """N-SET."""
        return await self._run(self._dialogue.set(sop_class, sop_instance, modifications))

    async def get_attributes(self, sop_class: str, sop_instance: str, tags: Sequence[str] = ()) -> Result:
        """N-GET."""
        return await self._run(self._dialogue.get_attributes(sop_class, sop_instance, tags))

    async def action(
        self, sop_class: str, sop_instance: str, action_type: int, information: Elements, *, context: str = ""
    ) -> Result:
        """N-ACTION; on the ``context`` of another SOP class when one is named."""
        return await self._run(
            self._dialogue.action(sop_class, sop_instance, action_type, information, context=context)
        )

    async def delete(self, sop_class: str, sop_instance: str) -> Result:
        """N-DELETE."""
        return await self._run(self._dialogue.delete(sop_class, sop_instance))

    async def report_event(
        self, sop_class: str, sop_instance: str, event_type: int, information: Elements, *, context: str = ""
    ) -> Result:
        """N-EVENT-REPORT; on the ``context`` of another SOP class when one is named."""
        return await self._run(
            self._dialogue.report_event(sop_class, sop_instance, event_type, information, context=context)
        )

    async def next_event(self, timeout: float | None = None) -> Reported:
        """Wait for an N-EVENT-REPORT of the peer on this association and answer it."""
        return await self._run(self._dialogue.next_event(), timeout)

    def accepts(self, sop_class: str, transfer_syntax: str = "") -> bool:
        """Tell whether a SOP class (in a transfer syntax) was accepted."""
        return any(
            agreed.abstract == sop_class and transfer_syntax in {"", agreed.transfer}
            for agreed in self._link.channel.contexts.values()
        )

    def _wanted(self, item: Event | Message) -> bool:
        """Tell what a conversation hears; a client hears everything."""
        return anything(item)

    async def _run(self, talk: Talk[T], timeout: float | None = None) -> T:
        """Drive one conversation to its result."""
        try:
            step = next(talk)
            while True:
                try:
                    heard: Any = None
                    if step is None:
                        heard = await self._hear(self.timeout if timeout is None else timeout)
                    else:
                        self._link.say(step)
                        await self._link.drain()
                except BaseException as error:  # noqa: BLE001  the conversation records it and raises it again
                    step = talk.throw(error)
                else:
                    step = talk.send(heard)
        except StopIteration as end:
            value: T = end.value
            return value
        except (LinkLost, NoAnswer, RemoteProtocolError, asyncio.CancelledError) as error:
            self._link.end(error if isinstance(error, WireError) else LinkLost("the operation was cancelled"))
            self._link.abort()
            raise

    async def _hear(self, timeout: float) -> Message:
        event = await self._link.take(self._wanted, timeout)
        if isinstance(event, Message):
            return event
        if isinstance(event, Release):
            self._link.write([self._link.channel.send(Released())])
            self._link.end(Refused("the peer released the association instead of answering"))
            raise Refused("the peer released the association instead of answering")
        raise RemoteProtocolError(f"{type(event).__name__} came instead of a message")


class Association(Speaker):
    """An association that we proposed; ``async with`` releases it, an exception aborts it."""

    async def release(self) -> None:
        """Release the association and close the connection."""
        link = self._link
        try:
            link.write([link.channel.send(Release())])
            while not isinstance(event := await link.take(anything, self.timeout), Released):
                if isinstance(event, Release):  # both asked at once, PS3.8 AR-8
                    link.write([link.channel.send(Released())])
        finally:
            link.end(LinkLost("the association was released"))
            link.close()

    async def abort(self) -> None:
        """Abort the association and close the connection; never raises."""
        self._link.end(LinkLost("we aborted the association"))
        self._link.abort()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            await self.abort()
        elif self._link.ended is None:
            await self.release()


async def open(  # noqa: A001  read as dimse_asyncio.open
    host: str,
    port: int,
    *,
    calling: str,
    called: str,
    contexts: Iterable[str | tuple[str, Sequence[str]]],
    timeout: float = 30.0,
    max_pdu: int = 16384,
    scp_of: Iterable[str] = (),
    extended: Iterable[Extended] = (),
    observer: Observer | None = None,
    context: ssl.SSLContext | None = None,
) -> Association:
    """Connect and associate; arguments and errors are those of ``dimse_blocking.Association.open``."""
    roles = tuple(Role(abstract, scu=False, scp=True) for abstract in scp_of)
    proposal = Proposal(calling, called, numbered(contexts), max_pdu, roles, extended=tuple(extended))
    link = Link(Channel(UpperLayer(requestor=True, max_pdu=max_pdu)), timeout)
    try:
        async with asyncio.timeout(timeout):
            name = f"{called} at {host}:{port}"
            await tls_asyncio.connect(lambda: link, host, port, context, name=name, seconds=timeout)
    except TimeoutError as error:
        raise NoAnswer(f"no connection to {host}:{port} within {timeout:g} s") from error
    except OSError as error:
        raise LinkLost(f"no connection to {host}:{port}: {error}") from error
    association = Association(link, PeerInfo(calling, called, host, port, next(numbers)), timeout, observer)
    try:
        link.write([link.channel.send(proposal)])
        await link.take(_is_acceptance, timeout)
    except BaseException:
        await association.abort()
        raise
    return association


def _is_acceptance(item: Event | Message) -> bool:
    return isinstance(item, Acceptance)
