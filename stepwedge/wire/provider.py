# ruff: noqa: ARG002 - the defaults refuse; the systems that override them use what they are given
"""What a simulated system answers: one handler per DIMSE service.

Subclass ``Provider`` and override what the system serves; everything else is refused as PS3.7 says. A handler returns
its ``Reply`` (or the bare status) or raises ``Failure`` to answer with a failure status; any other exception is
answered with 0110 Processing Failure and reported to the observer. Handlers of one association run one after the
other, so what a handler wrote to its store is there before its answer leaves.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence

    from stepwedge.wire.command import Command
    from stepwedge.wire.dimse import DimseExchange, PeerInfo
    from stepwedge.wire.dimse_client import Speaker
    from stepwedge.wire.elements import Elements
    from stepwedge.wire.negotiation import Proposal, Rejection
    from stepwedge.wire.services import Observer

UNRECOGNIZED_OPERATION = 0x0211
PROCESSING_FAILURE = 0x0110
NO_SUCH_SOP_CLASS = 0x0118
SOP_CLASS_NOT_SUPPORTED = 0x0122


class Failure(Exception):
    """Raised by a handler to answer with a status; ``comment`` goes into Error Comment (at most 64 characters)."""

    def __init__(self, status: int, comment: str = "") -> None:
        super().__init__(f"{status:04X} {comment}".strip())
        self.status = status
        self.comment = comment


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer of a handler.

    Attributes:
        status: the DIMSE status; 0 is success.
        comment: Error Comment (0000,0902).
        attributes: the response's data set (N-CREATE, N-SET, N-GET, N-ACTION).
        sop_instance: Affected SOP Instance UID, where we chose it (N-CREATE without one).
        then: awaited after the response has left, with the association to speak on; for example the N-EVENT-REPORT
            of a storage commitment on the same association. Its WireError (the peer released or is gone) ends
            the association and is not reported elsewhere: catch it to go on over a new association.
    """

    status: int = 0
    comment: str = ""
    attributes: Elements | None = None
    sop_instance: str = ""
    then: Callable[[Speaker], Awaitable[None]] | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """An instance that a C-MOVE or C-GET sends.

    Attributes:
        load: returns its data set in ``transfer_syntax``.
        others: transfer syntaxes it can be had in without loss, where the receiver does not take that one.
        convert: returns its data set in one of the ``others``; raises ``CannotConvert``. It is called in a thread.
    """

    sop_class: str
    sop_instance: str
    transfer_syntax: str
    load: Callable[[], bytes]
    others: tuple[str, ...] = ()
    convert: Callable[[str], bytes] | None = None


@dataclass(frozen=True, slots=True)
class Retrieval:
    """Where a C-MOVE goes and what it sends, in order; over TLS with a ``context``."""

    host: str
    port: int
    instances: Sequence[Held]
    context: ssl.SSLContext | None = None


class Provider:
    """A service class provider that refuses everything but C-ECHO."""

    async def on_associate(self, peer: PeerInfo, proposal: Proposal) -> Rejection | None:
        """Return why an association is rejected, or None to accept it."""
        return None

    async def on_echo(self, peer: PeerInfo) -> Reply | int:
        """C-ECHO."""
        return 0

    def on_find(
        self, peer: PeerInfo, model: str, identifier: Elements
    ) -> AsyncIterator[Elements | bytes] | Iterable[Elements | bytes]:
        """C-FIND: give the matches, as Elements or already encoded for ``peer``'s context.

        An async generator, or a plain iterable when nothing has to be awaited. Bytes must be explicit VR little endian;
        they are written again for the rare peer that negotiated implicit.
        """
        raise Failure(SOP_CLASS_NOT_SUPPORTED, "C-FIND is not served")

    async def on_store(
        self, peer: PeerInfo, sop_class: str, sop_instance: str, transfer_syntax: str, data: bytes
    ) -> Reply | int:
        """C-STORE: ``data`` is the data set as it came, without file meta information."""
        raise Failure(SOP_CLASS_NOT_SUPPORTED, "C-STORE is not served")

    async def on_move(self, peer: PeerInfo, model: str, identifier: Elements, destination: str) -> Retrieval:
        """C-MOVE: say what goes where; the sub-operations, pending responses and counts are made here.

        Raise ``Failure(0xA801)`` for an unknown destination, ``Failure(0xA900)`` for an identifier that does not fit.
        """
        raise Failure(SOP_CLASS_NOT_SUPPORTED, "C-MOVE is not served")

    async def on_get(self, peer: PeerInfo, model: str, identifier: Elements) -> Sequence[Held]:
        """C-GET: say what is sent back on the same association."""
        raise Failure(SOP_CLASS_NOT_SUPPORTED, "C-GET is not served")

    async def on_create(
        self, peer: PeerInfo, sop_class: str, sop_instance: str, attributes: Elements
    ) -> Reply | int:
        """N-CREATE; ``sop_instance`` is empty when the peer leaves the choice to us."""
        raise Failure(UNRECOGNIZED_OPERATION, "N-CREATE is not served")

    async def on_set(
        self, peer: PeerInfo, sop_class: str, sop_instance: str, modifications: Elements
    ) -> Reply | int:
        """N-SET."""
        raise Failure(UNRECOGNIZED_OPERATION, "N-SET is not served")

    async def on_get_attributes(
        self, peer: PeerInfo, sop_class: str, sop_instance: str, tags: Sequence[str]
    ) -> Reply | int:
        """N-GET of the attributes named by ``GGGGEEEE``, all when none is named."""
        raise Failure(UNRECOGNIZED_OPERATION, "N-GET is not served")

    async def on_action(
        self, peer: PeerInfo, sop_class: str, sop_instance: str, action_type: int, information: Elements
    ) -> Reply | int:
        """N-ACTION; a commitment result on the same association goes into ``Reply.then``."""
        raise Failure(UNRECOGNIZED_OPERATION, "N-ACTION is not served")

    async def on_delete(self, peer: PeerInfo, sop_class: str, sop_instance: str) -> Reply | int:
        """N-DELETE."""
        raise Failure(UNRECOGNIZED_OPERATION, "N-DELETE is not served")

    async def on_event(
        self, peer: PeerInfo, sop_class: str, sop_instance: str, event_type: int, information: Elements
    ) -> Reply | int:
        """N-EVENT-REPORT, on an association that the peer opened."""
        raise Failure(UNRECOGNIZED_OPERATION, "N-EVENT-REPORT is not served")

    def conclude(self, exchange: DimseExchange, response: Command, data: bytes) -> bytes:
        """Look at a final response before it leaves and return its data set; only a system wrong on purpose changes it."""
        return data


@dataclass(slots=True)
class Acceptor:
    """How a server accepts associations.

    Attributes:
        ae_title: ours; another called AE title is rejected 1/1/7 unless ``any_called``.
        accepts: SOP class -> transfer syntaxes, our preference first.
        provider: the handlers.
        callers: calling AE titles that are known; empty means any. Others are rejected 1/1/3.
        admits: says whether a peer may call, after ``callers``; one that may not is rejected 1/1/3.
        any_called: accept any called AE title.
        max_pdu: our maximum length received; also what a peer may send at once.
        max_associations: at the limit a further one is rejected 2/3/2, transient.
        max_data: bound of one data set in bytes.
        artim: seconds for the association request to come and for the peer to close (PS3.8 section 9.1.5).
        idle: seconds without a request after which an association is aborted.
        as_proposed: transfer syntaxes that a peer gets when it names them first, whatever we prefer.
        options: SOP class -> what we can do of its extended negotiation (PS3.7 D.3.3.5), one byte an option.
        timeout: seconds for each message awaited in sub-operations and event reports.
        observer: told about every operation, before its final response leaves.
    """

    ae_title: str
    accepts: Mapping[str, Sequence[str]]
    provider: Provider = field(default_factory=Provider)
    callers: frozenset[str] = frozenset()
    admits: Callable[[PeerInfo], bool] | None = None
    any_called: bool = False
    max_pdu: int = 131072
    max_associations: int = 64
    max_data: int = 1 << 28
    artim: float = 30.0
    idle: float = 600.0
    timeout: float = 30.0
    observer: Observer | None = None
    as_proposed: frozenset[str] = frozenset()
    options: Mapping[str, bytes] = field(default_factory=dict)
