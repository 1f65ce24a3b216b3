"""The DICOM upper layer (PS3.8 section 9.2), sans-io: bytes in, events out; no socket, thread or clock.

Everything that decides what may follow what is in this file: ``TABLE`` is PS3.8 table 9-10 and ``ACTIONS`` are its
tables 9-6 to 9-9; hold them beside the standard.

Three verbs are the whole interface: ``receive_data(bytes)``, ``next_event()``, ``send(primitive) -> bytes``. When a
peer breaks the protocol, ``next_event`` raises RemoteProtocolError and ``data_to_send`` holds the A-ABORT that the
table demands. The shell keeps the ARTIM timer: it runs while ``artim`` is true and restarts when ``artim_starts``
changes; when it expires the shell calls ``artim_expired()``. The shell closes the transport when ``closing``.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from stepwedge.errors import LocalProtocolError, RemoteProtocolError
from stepwedge.wire import negotiation, pdu
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


class Action(NamedTuple):
    """One action of PS3.8 tables 9-6 to 9-9.

    Attributes:
        next: the state that follows.
        send: the PDU to issue: the primitive's own, or an A-ABORT by the service user or provider.
        issue: whether an indication or confirmation goes to the service user.
        artim: what to do with the ARTIM timer.
        close: whether to close the transport connection.
    """

    next: int
    send: Literal["", "primitive", "user-abort", "provider-abort"] = ""
    issue: bool = False
    artim: Literal["", "start", "stop"] = ""
    close: bool = False


ACTIONS: Final = {
    # table 9-6, association establishment
    "AE-1": Action(4),
    "AE-2": Action(5, send="primitive"),
    "AE-3": Action(6, issue=True),
    "AE-4": Action(1, issue=True, close=True),
    "AE-5": Action(2, artim="start"),
    "AE-6": Action(3, artim="stop", issue=True),  # or, when the provider refuses: A-ASSOCIATE-RJ, ARTIM, Sta13
    "AE-7": Action(6, send="primitive"),
    "AE-8": Action(13, send="primitive", artim="start"),
    # table 9-7, data transfer
    "DT-1": Action(6, send="primitive"),
    "DT-2": Action(6, issue=True),
    # table 9-8, association release
    "AR-1": Action(7, send="primitive"),
    "AR-2": Action(8, issue=True),
    "AR-3": Action(1, issue=True, close=True),
    "AR-4": Action(13, send="primitive", artim="start"),
    "AR-5": Action(1, artim="stop"),
    "AR-6": Action(7, issue=True),
    "AR-7": Action(8, send="primitive"),
    "AR-8": Action(9, issue=True),  # the requestor; the acceptor goes to Sta10
    "AR-9": Action(11, send="primitive"),
    "AR-10": Action(12, issue=True),
    # table 9-9, association abort
    "AA-1": Action(13, send="user-abort", artim="start"),
    "AA-2": Action(1, artim="stop", close=True),
    "AA-3": Action(1, issue=True, close=True),
    "AA-4": Action(1, issue=True),
    "AA-5": Action(1, artim="stop"),
    "AA-6": Action(13),
    "AA-7": Action(13, send="provider-abort"),
    "AA-8": Action(13, send="provider-abort", issue=True, artim="start"),
}

_TABLE_9_10: Final = """
 event  Sta1  Sta2  Sta3  Sta4  Sta5  Sta6  Sta7  Sta8  Sta9  Sta10 Sta11 Sta12 Sta13   what happened
 1      AE-1  .     .     .     .     .     .     .     .     .     .     .     .       A-ASSOCIATE request
 2      .     .     .     AE-2  .     .     .     .     .     .     .     .     .       transport connect confirmed
 3      .     AA-1  AA-8  .     AE-3  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-6    A-ASSOCIATE-AC received
 4      .     AA-1  AA-8  .     AE-4  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-6    A-ASSOCIATE-RJ received
 5      AE-5  .     .     .     .     .     .     .     .     .     .     .     .       transport connect indicated
 6      .     AE-6  AA-8  .     AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-7    A-ASSOCIATE-RQ received
 7      .     .     AE-7  .     .     .     .     .     .     .     .     .     .       A-ASSOCIATE response, accept
 8      .     .     AE-8  .     .     .     .     .     .     .     .     .     .       A-ASSOCIATE response, reject
 9      .     .     .     .     .     DT-1  .     AR-7  .     .     .     .     .       P-DATA request
 10     .     AA-1  AA-8  .     AA-8  DT-2  AR-6  AA-8  AA-8  AA-8  AA-8  AA-8  AA-6    P-DATA-TF received
 11     .     .     .     .     .     AR-1  .     .     .     .     .     .     .       A-RELEASE request
 12     .     AA-1  AA-8  .     AA-8  AR-2  AR-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-6    A-RELEASE-RQ received
 13     .     AA-1  AA-8  .     AA-8  AA-8  AR-3  AA-8  AA-8  AR-10 AR-3  AA-8  AA-6    A-RELEASE-RP received
 14     .     .     .     .     .     .     .     AR-4  AR-9  .     .     AR-4  .       A-RELEASE response
 15     .     .     AA-1  AA-2  AA-1  AA-1  AA-1  AA-1  AA-1  AA-1  AA-1  AA-1  .       A-ABORT request
 16     .     AA-2  AA-3  .     AA-3  AA-3  AA-3  AA-3  AA-3  AA-3  AA-3  AA-3  AA-2    A-ABORT received
 17     .     AA-5  AA-4  AA-4  AA-4  AA-4  AA-4  AA-4  AA-4  AA-4  AA-4  AA-4  AR-5    transport connection closed
 18     .     AA-2  .     .     .     .     .     .     .     .     .     .     AA-2    ARTIM expired
 19     .     AA-1  AA-8  .     AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-7    unrecognized or invalid PDU
"""


def _read(grid: str) -> dict[tuple[int, int], str]:
    rows = (line.split() for line in grid.strip().splitlines()[1:])
    return {
        (int(row[0]), state): action
        for row in rows
        for state, action in enumerate(row[1:14], start=1)
        if action != "."
    }


TABLE: Final = _read(_TABLE_9_10)
"""(event, state) -> action, PS3.8 table 9-10; a missing pair cannot happen or is not allowed."""

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
        if unit.kind is pdu.Kind.P_DATA_TF and self.state == ESTABLISHED:  # DT-2 leads back here: no need to look
            return Data(pdu.values(unit.body))
        number = RECEIVED[unit.kind]
        event: Event | None = None
        if TABLE.get((number, self.state), "AA-6") not in {"AA-1", "AA-6", "AA-7", "AA-8"}:
            event = self._meaning(unit)  # a PDU that will not be used is not read
        action = self._step(number)
        if action in {"AA-1", "AA-8"}:
            expected = "PS3.8 table 9-10"
            raise RemoteProtocolError(f"{unit.kind.name} came in state Sta{self._before}, where {expected} forbids it")
        if action == "AE-6" and isinstance(event, Proposal) and not event.protocol & 1:
            self._owed += self._refuse(negotiation.PROTOCOL_UNKNOWN)
            return None
        if isinstance(event, Acceptance):
            self.send_limit = event.max_pdu
        elif isinstance(event, Proposal):
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
            raise LocalProtocolError(f"event {event} of PS3.8 table 9-10 is not allowed in state Sta{self.state}")
        self._step(event)

    def _step(self, event: int, reason: int = pdu.UNEXPECTED_PDU) -> str:
        """Take one step of table 9-10 and return its action."""
        name = TABLE.get((event, self.state))
        if name is None:
            raise RemoteProtocolError(f"event {event} cannot happen in state Sta{self.state} (PS3.8 table 9-10)")
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

    def wrote(self, count: int) -> None:
        """Note that the transport took ``count`` more bytes."""
        self.written += count
        ends = self._ends
        while ends and ends[0] <= self.written:
            ends.popleft()
            self.pdus += 1
