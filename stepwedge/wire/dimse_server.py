"""A DICOM server on asyncio: no thread per association, requests of one association in order."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from stepwedge.errors import LinkLost, RemoteProtocolError, WireError
from stepwedge.wire import negotiation, tls_asyncio
from stepwedge.wire.command import Field, name
from stepwedge.wire.dimse import Channel, Message, PeerInfo
from stepwedge.wire.dimse_client import Speaker
from stepwedge.wire.dimse_link import Link, anything, numbers
from stepwedge.wire.dimse_operation import Operation
from stepwedge.wire.dul import Event, Release, Released, UpperLayer
from stepwedge.wire.negotiation import Proposal

if TYPE_CHECKING:
    from stepwedge.wire.negotiation import Rejection
    from stepwedge.wire.provider import Acceptor
    from stepwedge.wire.tls_asyncio import Gate

LOG: Final = logging.getLogger(__name__)


class Server:
    """A listening server; ``close`` aborts what is still open."""

    def __init__(self, acceptor: Acceptor) -> None:
        self.acceptor = acceptor
        self.associations: dict[int, Served] = {}
        self._listener: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """The port that is listened on."""
        if self._listener is None:
            raise LinkLost("the server is not listening")
        port: int = self._listener.sockets[0].getsockname()[1]
        return port

    async def listen(self, host: str, port: int, gate: Gate | None = None) -> None:
        """Start listening; port 0 takes a free one."""
        self._listener = await tls_asyncio.listen(self._protocol, host, port, gate)

    async def close(self) -> None:
        """Stop listening and abort open associations."""
        if self._listener is not None:
            self._listener.close()
        for served in list(self.associations.values()):
            served.abort()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _protocol(self) -> Link:
        upper = UpperLayer(requestor=False, max_pdu=self.acceptor.max_pdu)
        link = Link(Channel(upper, max_data=self.acceptor.max_data), self.acceptor.artim)
        task = asyncio.get_running_loop().create_task(self._attend(link))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return link

    async def _attend(self, link: Link) -> None:
        """Accept or reject one association and serve it until it ends."""
        number = next(numbers)
        try:
            proposal = await link.take(anything, self.acceptor.artim + 1)
            assert isinstance(proposal, Proposal)  # noqa: S101  nothing else passes Sta2 of table 9-10
            host, port = link.peer_address()
            peer = PeerInfo(proposal.calling, proposal.called, host, port, number)
            rejection = self._verdict(proposal, peer) or await self.acceptor.provider.on_associate(
                peer, proposal
            )
            if rejection is not None:
                link.write([link.channel.send(rejection)])
                await link.lost
                return
            acceptor = self.acceptor
            acceptance = negotiation.answer(
                proposal,
                acceptor.accepts,
                acceptor.max_pdu,
                as_proposed=acceptor.as_proposed,
                options=acceptor.options,
            )
            peer = replace(peer, extended=acceptance.extended)
            served = self.associations[number] = Served(link, peer, self.acceptor)
            link.write([link.channel.send(acceptance)])
            await served.serve()
        except WireError as error:
            LOG.info("association %d: %s", number, error)
            link.end(error)
            link.linger()
            await link.lost
        except Exception:
            LOG.exception("association %d is aborted: the simulated system failed", number)
            link.abort()
        finally:
            self.associations.pop(number, None)
            link.close()

    def _verdict(self, proposal: Proposal, peer: PeerInfo) -> Rejection | None:
        acceptor = self.acceptor
        if proposal.application_context != negotiation.APPLICATION_CONTEXT:
            return negotiation.APPLICATION_UNKNOWN
        if proposal.called != acceptor.ae_title and not acceptor.any_called:
            return negotiation.CALLED_UNKNOWN
        if acceptor.callers and proposal.calling not in acceptor.callers:
            return negotiation.CALLING_UNKNOWN
        if acceptor.admits is not None and not acceptor.admits(peer):
            return negotiation.CALLING_UNKNOWN
        if len(self.associations) >= acceptor.max_associations:
            return negotiation.LIMIT_EXCEEDED
        return None


async def serve(host: str, port: int, acceptor: Acceptor, gate: Gate | None = None) -> Server:
    """Listen for associations, over TLS behind a ``gate``; port 0 takes a free port, read it from ``Server.port``."""
    server = Server(acceptor)
    await server.listen(host, port, gate)
    return server


class Served(Speaker):
    """One association that a peer proposed: its requests are served, and events can be reported on it."""

    def __init__(self, link: Link, peer: PeerInfo, acceptor: Acceptor) -> None:
        super().__init__(link, peer, acceptor.timeout, acceptor.observer)
        self.acceptor = acceptor

    def abort(self) -> None:
        """Abort the association."""
        self._link.end(LinkLost("the server aborted the association"))
        self._link.abort()

    def _wanted(self, item: Event | Message) -> bool:
        """Hear responses only; what the peer asks meanwhile waits for its turn."""
        return not isinstance(item, Message) or item.is_response

    async def serve(self) -> None:
        """Serve requests in order until the association ends."""
        link = self._link
        while True:
            event = await link.take(anything, self.acceptor.idle)
            if isinstance(event, Release):
                link.write([link.channel.send(Released())])
                await link.lost
                return
            if not isinstance(event, Message):
                raise RemoteProtocolError(f"{type(event).__name__} came on an established association")
            if event.is_response:
                raise RemoteProtocolError(f"{name(event.command)} came without a request")
            if event.command["CommandField"] == Field.C_CANCEL:
                continue  # what it names is finished, PS3.7 section 9.3.2.3
            await Operation(self, link, self.acceptor, event).run()
            await link.drain()
