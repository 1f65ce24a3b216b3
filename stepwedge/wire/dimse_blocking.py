"""DICOM associations over one blocking socket: what checks ask with. Works unchanged under gevent.

::

    with Association.open("127.0.0.1", 11112, calling="SW_PROBE", called="RIS", contexts=[WORKLIST]) as ris:
        answers = ris.find(WORKLIST, {"PatientID": "SW1", "ScheduledProcedureStepSequence": [{}]})
        for identifier in answers: ...          # Elements, and answers.status

Leaving the block releases the association, leaving it by an exception aborts it. A lost link is LinkLost, silence is
NoAnswer, a rejection or abort is Refused; after any of them the association is over.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import ssl
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Self

from stepwedge.errors import LinkLost, LocalProtocolError, NoAnswer, Refused, RemoteProtocolError, WireError
from stepwedge.wire import tls
from stepwedge.wire.dimse import Channel, Message, PeerInfo
from stepwedge.wire.dul import (
    NEED_DATA,
    Abort,
    Closed,
    NeedData,
    Release,
    Released,
    UpperLayer,
)
from stepwedge.wire.dul import Event as UpperEvent
from stepwedge.wire.negotiation import Acceptance, Proposal, Rejection, Role
from stepwedge.wire.negotiation import contexts as numbered
from stepwedge.wire.services import Dialogue, Observer, T, Talk
from stepwedge.wire.sockets import acknowledge

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from stepwedge.wire.elements import Elements
    from stepwedge.wire.negotiation import Extended
    from stepwedge.wire.results import Answers, Event, Result, Retrieved

_READ: Final = 1 << 18
_JOINED: Final = 1 << 16
"""Up to this size buffers are joined and sent with one call; larger messages go out without being copied."""
_numbers = itertools.count(1)


def _gathers(link: socket.socket) -> bool:
    """Tell whether a socket sends several buffers with one call; TLS does not."""
    return hasattr(link, "sendmsg") and not isinstance(link, ssl.SSLSocket)


class Association:
    """An established association in the role of service class user."""

    def __init__(
        self,
        sock: socket.socket,
        channel: Channel,
        peer: PeerInfo,
        timeout: float,
        *,
        ordinary: bool = False,
    ) -> None:
        self.peer = peer
        self.timeout = timeout
        self.ordinary = ordinary
        self._socket = sock
        self._channel = channel
        self._dialogue: Dialogue
        self._open = False

    @classmethod
    def open(
        cls,
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
        ordinary: bool = False,
    ) -> Self:
        """Connect and associate.

        Args:
            host: name or address of the peer.
            port: its port.
            calling: our AE title.
            called: the peer's AE title.
            contexts: SOP class UIDs, or pairs (SOP class, transfer syntaxes); a bare UID proposes explicit and
                implicit little endian in one presentation context.
            timeout: seconds for the connection, and for each message that is awaited.
            max_pdu: our maximum length received.
            scp_of: SOP classes that we also want to be provider of (C-GET, PS3.7 D.3.3.4).
            extended: options of SOP classes that we ask for (PS3.7 D.3.3.5).
            observer: told about every operation when it is finished.
            context: for DICOM over TLS (PS3.15 annex B).
            ordinary: use the socket as it comes, as most modalities do: Nagle's algorithm and delayed acknowledgement stay on.

        Raises:
            LinkLost: no connection, or it ended.
            NoAnswer: no association answer within ``timeout``.
            Refused: the association was rejected or aborted; TlsRefused: one side refused the other's certificate.
        """
        roles = tuple(Role(abstract, scu=False, scp=True) for abstract in scp_of)
        proposal = Proposal(calling, called, numbered(contexts), max_pdu, roles, extended=tuple(extended))
        try:
            sock = socket.create_connection((host, port), timeout)
        except TimeoutError as error:
            raise NoAnswer(f"no connection to {host}:{port} within {timeout:g} s") from error
        except OSError as error:
            raise LinkLost(f"no connection to {host}:{port}: {error}") from error
        if not ordinary:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is not None:
            sock = tls.wrap(sock, context, host, f"{called} at {host}:{port}")
        channel = Channel(UpperLayer(requestor=True, max_pdu=max_pdu))
        peer = PeerInfo(calling, called, host, port, next(_numbers))
        association = cls(sock, channel, peer, timeout, ordinary=ordinary)
        association._dialogue = Dialogue(channel, peer, time.monotonic, observer)
        try:
            association._associate(proposal)
        except BaseException:
            association.abort()
            raise
        return association

    # --- verbs ---------------------------------------------------------------------------------------------------

    def echo(self) -> Result:
        """C-ECHO."""
        return self._run(self._dialogue.echo())

    def find(self, model: str, identifier: Elements, *, limit: int = 0) -> Answers:
        """C-FIND in an information model (SOP class); ``limit`` cancels after so many matches."""
        return self._run(self._dialogue.find(model, identifier, limit=limit))

    def store(self, sop_class: str, sop_instance: str, transfer_syntax: str, data: bytes) -> Result:
        """C-STORE of a data set encoded in ``transfer_syntax``."""
        return self._run(self._dialogue.store(sop_class, sop_instance, transfer_syntax, data))

    def move(self, model: str, identifier: Elements, destination: str, *, limit: int = 0) -> Retrieved:
        """C-MOVE to the AE title ``destination``."""
        return self._run(self._dialogue.move(model, identifier, destination, limit=limit))

    def get(self, model: str, identifier: Elements, *, limit: int = 0) -> Retrieved:
        """C-GET; propose the storage classes in ``contexts`` and name them in ``scp_of`` when opening."""
        return self._run(self._dialogue.get(model, identifier, limit=limit))

    def create(self, sop_class: str, sop_instance: str, attributes: Elements) -> Result:
        """N-CREATE."""
        return self._run(self._dialogue.create(sop_class, sop_instance, attributes))

    def set(self, sop_class: str, sop_instance: str, modifications: Elements) -> Result:
        """N-SET."""
        return self._run(self._dialogue.set(sop_class, sop_instance, modifications))

    def get_attributes(self, sop_class: str, sop_instance: str, tags: Sequence[str] = ()) -> Result:
        """N-GET."""
        return self._run(self._dialogue.get_attributes(sop_class, sop_instance, tags))

    def action(self, sop_class: str, sop_instance: str, action_type: int, information: Elements) -> Result:
        """N-ACTION."""
        return self._run(self._dialogue.action(sop_class, sop_instance, action_type, information))

    def delete(self, sop_class: str, sop_instance: str) -> Result:
        """N-DELETE."""
        return self._run(self._dialogue.delete(sop_class, sop_instance))

    def report_event(
        self, sop_class: str, sop_instance: str, event_type: int, information: Elements
    ) -> Result:
        """N-EVENT-REPORT."""
        return self._run(self._dialogue.report_event(sop_class, sop_instance, event_type, information))

    def next_event(self, timeout: float | None = None) -> Event:
        """Wait for an N-EVENT-REPORT of the peer on this association and answer it."""
        return self._run(self._dialogue.next_event(), timeout)

    def accepts(self, sop_class: str, transfer_syntax: str = "") -> bool:
        """Tell whether the peer accepted a SOP class (in a transfer syntax)."""
        return any(
            agreed.abstract == sop_class and transfer_syntax in {"", agreed.transfer}
            for agreed in self._channel.contexts.values()
        )

    # --- for a sender with bytes of its own (stepwedge.wire.lane) ---------------------------------------------------

    @property
    def link(self) -> socket.socket:
        """The socket; LocalProtocolError when the association is over."""
        if not self._open:
            raise LocalProtocolError("the association is over")
        return self._socket

    @property
    def channel(self) -> Channel:
        """What was negotiated, and who reads what comes."""
        return self._channel

    def next_id(self) -> int:
        """Return the Message ID of the next request."""
        return self._dialogue.next_id()

    def hear(self, request: Message, timeout: float | None = None) -> Message:
        """Return the next response to a request that went out, serving what the peer asks meanwhile."""
        return self._run(self._dialogue.hear(request), timeout)

    def failed(self, error: OSError) -> WireError:
        """End the association because its socket failed; return what to raise."""
        try:
            if isinstance(error, TimeoutError | BlockingIOError):
                return NoAnswer(
                    f"{self._name()} said nothing, or took no more data, in time {self._account()}"
                )
            self._last_words()
            return self._broken(error)
        except WireError as said:
            return said
        finally:
            self.abort()

    # --- the end -------------------------------------------------------------------------------------------------

    def release(self) -> None:
        """Release the association and close the connection."""
        if not self._open:
            return
        self._open = False
        try:
            self._write([self._channel.send(Release())])
            deadline = time.monotonic() + self.timeout
            while not isinstance(event := self._event(deadline), Released):
                if isinstance(event, Release):  # both asked at once, PS3.8 AR-8
                    self._write([self._channel.send(Released())])
        finally:
            self._socket.close()

    def abort(self) -> None:
        """Abort the association and close the connection; never raises."""
        self._open = False
        with contextlib.suppress(OSError):
            self._channel.upper.abort()
            if owed := self._channel.upper.data_to_send():
                self._socket.settimeout(1.0)
                self._socket.sendall(owed)
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.release()
        else:
            self.abort()

    # --- driving the core ----------------------------------------------------------------------------------------

    def _associate(self, proposal: Proposal) -> None:
        self._write([self._channel.send(proposal)])
        event = self._event(time.monotonic() + self.timeout)
        if not isinstance(event, Acceptance):
            raise RemoteProtocolError(f"{type(event).__name__} came instead of an association answer")
        self._open = True
        self.peer = replace(self.peer, extended=event.extended)

    def _run(self, talk: Talk[T], timeout: float | None = None) -> T:
        """Drive one conversation to its result."""
        if not self._open:
            raise LocalProtocolError("the association is over")
        try:
            step = next(talk)
            while True:
                try:
                    heard: Any = None
                    if step is None:
                        heard = self._hear(timeout)
                    else:
                        self._say(step)
                except BaseException as error:  # noqa: BLE001  the conversation records it and raises it again
                    step = talk.throw(error)
                else:
                    step = talk.send(heard)
        except StopIteration as end:
            value: T = end.value
            return value
        except (LinkLost, NoAnswer, RemoteProtocolError):
            self.abort()
            raise

    def _say(self, message: Message) -> None:
        self._write(self._channel.send_message(message))

    def _hear(self, timeout: float | None) -> Message:
        event = self._event(time.monotonic() + (self.timeout if timeout is None else timeout))
        if isinstance(event, Message):
            return event
        if isinstance(event, Release):
            self._write([self._channel.send(Released())])
            self._open = False
            self._socket.close()
            raise Refused("the peer released the association instead of answering")
        raise RemoteProtocolError(f"{type(event).__name__} came instead of a message")

    def _event(self, deadline: float) -> UpperEvent | Message:
        """Return the next event that is not the end; raise what the end means."""
        while True:
            try:
                event = self._channel.next_event()
            except RemoteProtocolError:
                self.abort()
                raise
            match event:
                case NeedData():
                    self._channel.upper.receive_data(self._read(deadline))
                case Rejection() | Abort():
                    self._socket.close()
                    self._open = False
                    raise Refused(str(event))
                case Closed():
                    raise LinkLost(f"the connection was closed {self._account()}")
                case _:
                    return event

    def _read(self, deadline: float) -> bytes:
        try:
            self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
            data = self._socket.recv(_READ)
        except TimeoutError as error:
            raise NoAnswer(f"{self._name()} said nothing in time {self._account()}") from error
        except OSError as error:
            raise self._broken(error) from error
        if data and not self.ordinary:
            acknowledge(self._socket)
        return data

    def _write(self, buffers: list[Any]) -> None:
        total = sum(map(len, buffers))
        ledger = self._channel.upper.sent
        self._socket.settimeout(self.timeout)
        try:
            if total <= _JOINED or not _gathers(self._socket):
                buffers = [b"".join(buffers)]
            while buffers:
                count = (
                    self._socket.send(buffers[0])
                    if len(buffers) == 1
                    else self._socket.sendmsg(buffers[:512])
                )
                ledger.wrote(count)
                buffers = behind(buffers, count)
        except TimeoutError as error:
            raise NoAnswer(f"{self._name()} took no more data in time {self._account()}") from error
        except OSError as error:
            self._last_words()
            raise self._broken(error) from error

    def _broken(self, error: OSError) -> WireError:
        if isinstance(error, ssl.SSLError):
            return tls.trouble(error, self._name())
        return LinkLost(f"the connection broke ({error.strerror or error}) {self._account()}")

    def _last_words(self) -> None:
        """Read what the peer said before it closed: an A-ABORT explains more than a broken pipe."""
        with contextlib.suppress(OSError, RemoteProtocolError):
            self._socket.settimeout(0.2)
            while data := self._read_on():
                self._channel.upper.receive_data(data)
                while (event := self._channel.next_event()) is not NEED_DATA:
                    if isinstance(event, Abort):
                        raise Refused(str(event))

    def _read_on(self) -> bytes:
        """Read once; an alert of TLS is an answer too."""
        try:
            return self._socket.recv(_READ)
        except ssl.SSLError as error:
            raise self._broken(error) from error

    def _name(self) -> str:
        return f"{self.peer.called} at {self.peer.host}:{self.peer.port}"

    def _account(self) -> str:
        upper = self._channel.upper
        sent, received = upper.sent, upper.received
        return (
            f"after {sent.pdus} PDUs ({sent.written} of {sent.handed} bytes) were sent "
            f"and {received.pdus} PDUs ({received.written} bytes) received"
        )


def behind(buffers: list[Any], count: int) -> list[Any]:
    """Return what is left of buffers after ``count`` bytes went out."""
    for at, buffer in enumerate(buffers):
        if count < len(buffer):
            return [memoryview(buffer)[count:], *buffers[at + 1 :]]
        count -= len(buffer)
    return []
