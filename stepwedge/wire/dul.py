"""The DICOM upper layer (PS3.8 section 9.2), sans-io: bytes in, events out; no socket, thread or clock.

What may follow what is decided by ``dul_table`` alone, which is PS3.8 table 9-10.

Three verbs are the whole interface: ``receive_data(bytes)``, ``next_event()``, ``send(primitive) -> bytes``. When a
peer breaks the protocol, ``next_event`` raises RemoteProtocolError and ``data_to_send`` holds the A-ABORT that the
table demands. The shell keeps the ARTIM timer: it runs while ``artim`` is true and restarts when ``artim_starts``
changes; when it expires the shell calls ``artim_expired()``. The shell closes the transport when ``closing``.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from stepwedge.errors import LocalProtocolError, RemoteProtocolError
from stepwedge.wire import negotiation, pdu
from stepwedge.wire.dul_table import ACTIONS, TABLE
from stepwedge.wire.negotiation import Acceptance, Proposal, Rejection


@dataclass(frozen=True, slots=True)
class Release:
    """A-RELEASE request (sent) or indication (received)."""


@dataclass(frozen=True, slots=True)
class Released:
    """A-RELEASE response (sent) or confirmation (received)."""


@dataclass(frozen=True, slots=True)
class Abort:
    """A-ABORT or A-P-ABORT (PS3.8 table 9-26); ``source`` 0 is the peer's service user, 2 a service provider."""

    source: int = 0
    reason: int = 0

    def __str__(self) -> str:
        """Give the numbers and the standard's words."""
        if self.source == 0:
            return f"association aborted by the peer's application ({self.source}/{self.reason})"
        words = ABORT_REASONS.get(self.reason, "reason unknown to PS3.8")
        return f"association aborted by the peer's DICOM layer ({self.source}/{self.reason}): {words}"


@dataclass(frozen=True, slots=True)
class Closed:
    """The transport connection ended (A-P-ABORT indication without an A-ABORT, AA-4), or ended as agreed."""

    orderly: bool


@dataclass(frozen=True, slots=True)
class Data:
    """P-DATA indication: the presentation data values of one P-DATA-TF."""

    values: list[pdu.Value]


class NeedData:
    """More bytes are needed before the next event."""


NEED_DATA: Final = NeedData()
Event = Proposal | Acceptance | Rejection | Release | Released | Abort | Closed | Data | NeedData
Primitive = Proposal | Acceptance | Rejection | Release | Released | Abort

ABORT_REASONS: Final = {
    0: "reason not specified",
    1: "unrecognized PDU",
    2: "unexpected PDU",
    4: "unrecognized PDU parameter",
    5: "unexpected PDU parameter",
    6: "invalid PDU parameter value",
}


RECEIVED: Final = {
    pdu.Kind.ASSOCIATE_AC: 3,
    pdu.Kind.ASSOCIATE_RJ: 4,
    pdu.Kind.ASSOCIATE_RQ: 6,
    pdu.Kind.P_DATA_TF: 10,
    pdu.Kind.RELEASE_RQ: 12,
    pdu.Kind.RELEASE_RP: 13,
    pdu.Kind.ABORT: 16,
}
ESTABLISHED: Final = 6


class UpperLayer:
    """One association's upper layer over a transport connection that stands.

    Args:
        requestor: true on the side that proposes the association.
        max_pdu: our maximum length received; a longer P-DATA-TF is refused before it is read.
    """

    def __init__(self, *, requestor: bool, max_pdu: int = 16384) -> None:
        self.requestor = requestor
        self.state = 1
        self.artim = False
        self.artim_starts = 0
        self.closing = False
        self.sent = Ledger()
        self.received = Ledger()
        self.send_limit = 0
        self.receive_limit = max_pdu
        self._reader = pdu.Reader(max_pdu)
        self._owed = bytearray()
        self._closed = False
        self._before = 1
        if not requestor:
            self._step(5)

    def receive_data(self, data: bytes) -> None:
        """Take what arrived on the transport; empty bytes mean that it was closed."""
        if data:
            self.received.written += len(data)
            self._reader.receive_data(data)
        else:
            self._closed = True

    @property
    def pending(self) -> int:
        """Bytes of an incomplete PDU that are held."""
        return self._reader.pending

    def data_to_send(self) -> bytes:
        """Return, once, what the table owes the peer without being asked (A-ABORT, A-ASSOCIATE-RJ)."""
        owed = bytes(self._owed)
        self._owed.clear()
        return owed

    def send(self, primitive: Primitive) -> bytes:
        """Return the bytes that carry a request or response of the service user."""
        match primitive:
            case Proposal():
                raw = negotiation.write_proposal(primitive)
                self._local(1)
                self._local(2)
            case Acceptance():
                raw = negotiation.write_acceptance(primitive)
                self._local(7)
            case Rejection():
                raw = pdu.rejection(primitive.result, primitive.source, primitive.reason)
                self._local(8)
            case Release():
                raw = pdu.RELEASE_RQ
                self._local(11)
            case Released():
                raw = pdu.RELEASE_RP
                self._local(14)
            case Abort():
                raw = pdu.abort(0, 0)
                self._local(15)
        self.sent.pdu(len(raw))
        return raw

    def send_data(self, context_id: int, data: bytes, *, is_command: bool) -> list[bytes | memoryview]:
        """Return the P-DATA-TF buffers that carry a command set or data set in pieces the peer can take."""
        self._local(9)
        buffers = list(pdu.fragments(context_id, data, self.send_limit, is_command=is_command))
        for header, part in zip(buffers[::2], buffers[1::2], strict=True):
            self.sent.pdu(len(header) + len(part))
        return buffers

    def next_event(self) -> Event:
        """Return what happened next; raise RemoteProtocolError when the peer broke the protocol."""
        while True:
            try:
                unit = self._reader.next_pdu()
                if unit is None:
                    return self._transport_closed() if self._closed else NEED_DATA
                event = self._received(unit)
            except pdu.InvalidPdu as error:
                self._invalid(str(error), error.reason)
                continue
            if event is not None:
                return event

    def invalid(self, message: str, reason: int = pdu.INVALID_PARAMETER) -> RemoteProtocolError:
        """Abort because a P-DATA-TF was unacceptable (event 19), and return the error to raise."""
        try:
            self._invalid(message, reason)
        except RemoteProtocolError as error:
            return error
        return RemoteProtocolError(message)

    def abort(self) -> None:
        """Abort as the service user (event 15) with bytes that ``data_to_send`` returns."""
        if (15, self.state) in TABLE:
            self._owed += self.send(Abort())

    def artim_expired(self) -> None:
        """Act on the expiry of the ARTIM timer (event 18)."""
        if (18, self.state) in TABLE:
            self._step(18)

    def _received(self, unit: pdu.Pdu) -> Event | None:
        self.received.pdus += 1
        if unit.kind is pdu.Kind.P_DATA_TF and self.state == ESTABLISHED:  # DT-2 stays in Sta6
            return Data(pdu.values(unit.body))
        number = RECEIVED[unit.kind]
        event: Event | None = None
        if TABLE.get((number, self.state), "AA-6") not in {"AA-1", "AA-6", "AA-7", "AA-8"}:
            event = self._meaning(unit)  # a PDU that will not be used is not read
        action = self._step(number)
        if action in {"AA-1", "AA-8"}:
            raise RemoteProtocolError(
                f"{unit.kind.name} came in state Sta{self._before}, where PS3.8 table 9-10 forbids it"
            )
        if action == "AE-6" and isinstance(event, Proposal) and not event.protocol & 1:
            self._owed += self._refuse(negotiation.PROTOCOL_UNKNOWN)
            return None
        if isinstance(event, Acceptance | Proposal):
            self.send_limit = event.max_pdu
        if action in {"AA-2", "AR-5"}:
            return Closed(orderly=True)
        return event if ACTIONS[action].issue else None

    def _meaning(self, unit: pdu.Pdu) -> Event:
        try:
            match unit.kind:
                case pdu.Kind.ASSOCIATE_RQ:
                    return negotiation.read_proposal(unit.body)
                case pdu.Kind.ASSOCIATE_AC:
                    return negotiation.read_acceptance(unit.body)
                case pdu.Kind.ASSOCIATE_RJ:
                    return negotiation.read_rejection(unit.body)
                case pdu.Kind.P_DATA_TF:
                    return Data(pdu.values(unit.body))
                case pdu.Kind.RELEASE_RQ:
                    return Release()
                case pdu.Kind.RELEASE_RP:
                    return Released()
                case pdu.Kind.ABORT:
                    return Abort(*unit.body[2:4]) if len(unit.body) == 4 else Abort(2, 0)  # noqa: PLR2004  table 9-26
        except pdu.InvalidPdu:
            raise
        except RemoteProtocolError as error:
            raise pdu.InvalidPdu(str(error), pdu.INVALID_PARAMETER) from error

    def _refuse(self, rejection: Rejection) -> bytes:
        """Turn AE-6 into its second half: the service provider itself rejects."""
        raw = pdu.rejection(rejection.result, rejection.source, rejection.reason)
        self.sent.pdu(len(raw))
        self.state = 13
        self._start_artim()
        return raw

    def _invalid(self, message: str, reason: int) -> None:
        """Event 19; raise unless the association is over already."""
        action = self._step(19, reason)
        if action != "AA-7":
            raise RemoteProtocolError(message)
        self._reader = pdu.Reader()  # nothing that follows can be understood

    def _transport_closed(self) -> Event:
        if self.state == 1:
            return Closed(orderly=True)
        return Closed(orderly=self._step(17) in {"AA-5", "AR-5"})

    def _local(self, event: int) -> None:
        if (event, self.state) not in TABLE:
            raise LocalProtocolError(
                f"event {event} of PS3.8 table 9-10 is not allowed in state Sta{self.state}"
            )
        self._step(event)

    def _step(self, event: int, reason: int = pdu.UNEXPECTED_PDU) -> str:
        """Take one step of table 9-10 and return its action."""
        name = TABLE.get((event, self.state))
        if name is None:
            raise RemoteProtocolError(
                f"event {event} cannot happen in state Sta{self.state} (PS3.8 table 9-10)"
            )
        action = ACTIONS[name]
        self._before, self.state = self.state, action.next
        if name == "AR-8" and not self.requestor:
            self.state = 10
        if action.artim == "start":
            self._start_artim()
        elif action.artim == "stop":
            self.artim = False
        if action.send == "provider-abort":
            self._owe(pdu.abort(2, reason))
        elif action.send == "user-abort" and event != 15:  # noqa: PLR2004  an A-ABORT request returns its own bytes
            self._owe(pdu.abort(0, 0))
        self.closing = self.closing or action.close
        return name

    def _start_artim(self) -> None:
        self.artim = True
        self.artim_starts += 1

    def _owe(self, raw: bytes) -> None:
        self.sent.pdu(len(raw))
        self._owed += raw


class Ledger:
    """What passed in one direction, in whole PDUs and bytes.

    For the sending side, ``pdu`` notes what was handed to the shell and ``wrote`` what the transport took, so that
    after a lost link ``pdus`` is the exact number of PDUs that left whole.
    """

    __slots__ = ("_ends", "handed", "pdus", "written")

    def __init__(self) -> None:
        self.handed = 0
        self.written = 0
        self.pdus = 0
        self._ends: deque[int] = deque()

    def pdu(self, size: int) -> None:
        """Note a PDU of ``size`` bytes."""
        self.handed += size
        self._ends.append(self.handed)

    def whole(self, pdus: int, count: int) -> None:
        """Note PDUs that passed whole, ``count`` bytes in all."""
        self.handed += count
        self.written += count
        self.pdus += pdus

    def wrote(self, count: int) -> None:
        """Note that the transport took ``count`` more bytes."""
        self.written += count
        ends = self._ends
        while ends and ends[0] <= self.written:
            ends.popleft()
            self.pdus += 1
