"""One association as a third party hears it that says nothing (PS3.7, PS3.8 section 9), sans-io.

    association = Overheard(room)
    for told in association.heard(REQUESTOR, data, at): ...   # DimseExchange or Incident, as soon as each is complete

Whoever is heard decides what is said: a stream that cannot be followed is an :class:`Incident` with the reason, and from then on
nothing is read any more. What is longer than may be held is counted and hashed (:class:`Part`).
"""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from stepwedge.errors import RemoteProtocolError
from stepwedge.wire import command as commands
from stepwedge.wire import negotiation, pdu
from stepwedge.wire.command import RESPONSE, Command, Field
from stepwedge.wire.dimse import MAX_COMMAND, Agreed, DimseExchange, PeerInfo
from stepwedge.wire.dul import Abort
from stepwedge.wire.status import PENDING, PENDING_WARNING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stepwedge.wire.negotiation import Acceptance, Proposal

REQUESTOR, ACCEPTOR = 0, 1
"""The two sides of an association, in the order in which they speak."""
MOST_PDU: Final = 16 << 20
"""Bytes of one P-DATA-TF that are waited for; systems agree on kilobytes."""
HEAD: Final = 1 << 20
"""Bytes of a data set too long to be held that are kept: what stands before the pixels."""
MOST_ANSWERS: Final = 500
"""Answers of one query whose data sets are kept; further ones are counted."""
MOST_OPEN: Final = 256
"""Operations of one side that wait for their answers."""
_NUMBERS: Final = itertools.count(1)


class Room:
    """Bytes that may be held, by all who share it."""

    def __init__(self, most: int = 256 << 20, each: int = 64 << 20) -> None:
        """Give ``most`` bytes in all, and ``each`` to one data set or body."""
        self.left, self.each = most, each

    def take(self, size: int) -> bool:
        """Take room for so many bytes, if there is."""
        if size > self.left:
            return False
        self.left -= size
        return True

    def give(self, size: int) -> None:
        """Give room back."""
        self.left += size


class Part(bytes):
    """The first bytes of what was too long to be held; ``size`` and ``sha256`` are those of the whole."""

    size: int
    sha256: str


class Gathering:
    """Pieces of one data set or body, held as long as there is room, hashed and counted when there is not."""

    def __init__(self, room: Room) -> None:
        """Hold nothing yet."""
        self._room, self._pieces = room, list[bytes | memoryview]()
        self.held = self.size = 0
        self._hash: Any = None

    def add(self, piece: bytes | memoryview) -> None:
        """Take the next piece."""
        self.size += len(piece)
        if self._hash is None:
            if self.size <= self._room.each and self._room.take(len(piece)):
                self.held += len(piece)
                self._pieces.append(piece)
                return
            self._overflow()
        self._hash.update(piece)

    def _overflow(self) -> None:
        """Keep the head alone from here on."""
        self._hash = hashlib.sha256()
        for one in self._pieces:
            self._hash.update(one)
        self._pieces = [b"".join(self._pieces)[:HEAD]]
        self._room.give(self.held)
        self.held = 0

    def end(self) -> bytes:
        """Return the whole, or a :class:`Part` of it; the ``held`` bytes are to be given back when it is done with."""
        pieces, self._pieces = self._pieces, []
        if self._hash is None:
            return b"".join(pieces)
        part = Part(pieces[0])
        part.size, part.sha256 = self.size, self._hash.hexdigest()
        return part


@dataclass(frozen=True, slots=True)
class Incident:
    """What happened beside whole operations.

    Attributes:
        kind: ``A-ASSOCIATE``, ``A-ABORT``, the name of a message that stayed without its data set, ``unreadable``.
        side: who began it.
        outcome: ``refused``, ``lost`` or ``garbled``.
        command: the command set of a message that was cut off.
    """

    kind: str
    side: int
    outcome: str
    error: str
    calling: str
    called: str
    began: float
    command: Command = field(default_factory=dict)


Told = DimseExchange | Incident


class _Message(NamedTuple):
    context: Agreed
    command: Command
    data: bytes
    held: int
    began: float


class _Side:
    """What one side says: PDUs, and messages out of their values."""

    def __init__(self, room: Room) -> None:
        self.reader = pdu.Reader(MOST_PDU)
        self.open: dict[int, DimseExchange] = {}
        self.began: dict[int, float] = {}
        self.held: dict[int, int] = {}
        self._room = room
        self.command: Command | None = None
        self.started = 0.0
        self._pieces: Gathering | None = None
        self._context = 0

    def value(self, value: pdu.Value, contexts: dict[int, Agreed], at: float) -> _Message | None:
        """Take one presentation data value (PS3.8 annex E); return the message it completes."""
        if value.context_id not in contexts:
            raise RemoteProtocolError(
                f"data came for presentation context {value.context_id}, which is not accepted"
            )
        fresh = self._pieces is None and self.command is None
        if not fresh and value.context_id != self._context:
            raise RemoteProtocolError(
                f"context {value.context_id} interrupts a message of context {self._context}"
            )
        if value.is_command is not (self.command is None):
            raise RemoteProtocolError("a command set and a data set are interleaved (PS3.7 section 6.3)")
        if fresh:
            self._context, self.started = value.context_id, at
        if self._pieces is None:
            self._pieces = Gathering(self._room)
        self._pieces.add(value.fragment)
        if value.is_command and self._pieces.size > MAX_COMMAND:
            raise RemoteProtocolError("a command set grows beyond its bound")
        return self._complete(contexts[value.context_id]) if value.is_last else None

    def _complete(self, context: Agreed) -> _Message | None:
        assert self._pieces is not None  # noqa: S101 - a value was just added
        raw, held, self._pieces = self._pieces.end(), self._pieces.held, None
        if self.command is None:
            self._room.give(held)
            command = commands.decode(raw)
            if commands.has_data_set(command):
                self.command = command
                return None
            return _Message(context, command, b"", 0, self.started)
        command, self.command = self.command, None
        return _Message(context, command, raw, held, self.started)

    def close(self, number: int) -> DimseExchange:
        """Take an operation out that is over."""
        self._room.give(self.held.pop(number))
        return self.open.pop(number)

    def drop(self) -> None:
        """Let go of a message that never became whole."""
        if self._pieces is not None:
            self._room.give(self._pieces.held)
            self._pieces = None


class Overheard:
    """Both directions of one association."""

    def __init__(self, room: Room, asked: Callable[[DimseExchange], None] = lambda _: None) -> None:
        """Hear an association from its first byte; whence it comes is not said in it.

        ``asked`` hears of each operation as soon as its request is whole: there is time until the answer.
        """
        self._asked = asked
        self._sides = (_Side(room), _Side(room))
        self._room = room
        self._contexts: dict[int, Agreed] = {}
        self._proposal: Proposal | None = None
        self._peer: PeerInfo | None = None
        self._began = 0.0
        self._number = next(_NUMBERS)
        self._done = False
        self._released: set[int] = set()

    def heard(self, side: int, data: bytes, at: float) -> Iterator[Told]:
        """Take what one side said at a time; yield what it completes."""
        if self._done:
            return
        reader = self._sides[side].reader
        reader.receive_data(data)
        try:
            while not self._done and (one := reader.next_pdu()) is not None:
                yield from self._pdu(side, one, at)
        except RemoteProtocolError as error:
            yield from self._end("garbled", str(error), at)
            yield self._incident("unreadable", side, "garbled", str(error), at)

    def over(self, at: float) -> Iterator[Told]:
        """Take note that the connection is over."""
        if self._done:
            return
        orderly = len(self._released) == len(self._sides)
        error = "the connection ended without a release of the association"
        open_ = list(self._end("lost", error, at))
        yield from open_
        if self._proposal is not None and not orderly and not open_:
            yield self._incident("A-ASSOCIATE", REQUESTOR, "lost", error, self._began)

    def lose(self, why: str, at: float) -> Iterator[Told]:
        """Hear nothing more of it."""
        if not self._done:
            yield from self._end("garbled", why, at)
            yield self._incident("unreadable", REQUESTOR, "garbled", why, at)

    # --- the association -----------------------------------------------------------------------------------------

    def _pdu(self, side: int, one: pdu.Pdu, at: float) -> Iterator[Told]:
        match one.kind:
            case pdu.Kind.P_DATA_TF:
                self._expect(self._peer is not None, one.kind)
                for value in pdu.values(one.body):
                    message = self._sides[side].value(value, self._contexts, at)
                    if message is not None:
                        yield from self._message(side, message, at)
            case pdu.Kind.ASSOCIATE_RQ:
                self._expect(side == REQUESTOR and self._proposal is None, one.kind)
                self._proposal, self._began = negotiation.read_proposal(one.body), at
            case pdu.Kind.ASSOCIATE_AC:
                self._expect(side == ACCEPTOR and self._proposal is not None and self._peer is None, one.kind)
                self._agree(negotiation.read_acceptance(one.body))
            case pdu.Kind.ASSOCIATE_RJ:
                self._expect(side == ACCEPTOR and self._proposal is not None and self._peer is None, one.kind)
                self._done = True
                error = str(negotiation.read_rejection(one.body))
                yield self._incident("A-ASSOCIATE", REQUESTOR, "refused", error, self._began)
            case pdu.Kind.ABORT:
                self._expect(self._proposal is not None and len(one.body) == 4, one.kind)  # noqa: PLR2004 - PS3.8 table 9-26
                error = str(Abort(one.body[2], one.body[3])).replace("the peer", self._name(side))
                yield from self._end("refused", error, at)
                yield self._incident("A-ABORT", side, "refused", error, at)
            case pdu.Kind.RELEASE_RQ | pdu.Kind.RELEASE_RP:
                self._expect(self._peer is not None, one.kind)
                self._released.add(side)

    def _expect(self, true: bool, kind: pdu.Kind) -> None:
        if not true:
            raise RemoteProtocolError(f"{kind.name} is out of place (PS3.8 table 9-10)")

    def _name(self, side: int) -> str:
        proposal = self._proposal
        return "" if proposal is None else proposal.called if side == ACCEPTOR else proposal.calling

    def _agree(self, acceptance: Acceptance) -> None:
        proposal = self._proposal
        assert proposal is not None  # noqa: S101 - the caller made sure
        proposed = {one.id: one for one in proposal.contexts}
        for answer in acceptance.answers:
            if answer.id not in proposed:
                raise RemoteProtocolError(
                    f"presentation context {answer.id} is answered but was not proposed"
                )
            if answer.result == negotiation.ACCEPTED:
                self._contexts[answer.id] = Agreed(answer.id, proposed[answer.id].abstract, answer.transfer)
        self._peer = PeerInfo(proposal.calling, proposal.called, "", 0, self._number, acceptance.extended)

    # --- operations ----------------------------------------------------------------------------------------------

    def _message(self, side: int, message: _Message, at: float) -> Iterator[Told]:
        code = message.command["CommandField"]
        if code & RESPONSE:
            yield from self._response(side, message, at)
        elif code != Field.C_CANCEL:
            self._request(side, message)

    def _request(self, side: int, message: _Message) -> None:
        command, mine = message.command, self._sides[side]
        number = command.get("MessageID")
        name = commands.name(command)
        if number is None:
            raise RemoteProtocolError(f"{name} has no Message ID (0000,0110) (PS3.7 annex E)")
        if number in mine.open:
            raise RemoteProtocolError(f"{name} repeats Message ID {number} of an operation under way")
        if len(mine.open) >= MOST_OPEN:
            raise RemoteProtocolError(f"more than {MOST_OPEN} operations are under way")
        assert self._peer is not None  # noqa: S101 - data comes on an association
        mine.open[number] = DimseExchange(
            "in" if side == REQUESTOR else "out",
            name.removesuffix("-RQ"),
            self._peer,
            message.context,
            command,
            message.data,
        )
        self._asked(mine.open[number])
        mine.began[number], mine.held[number] = message.began, message.held

    def _response(self, side: int, message: _Message, at: float) -> Iterator[Told]:
        command, other = message.command, self._sides[1 - side]
        number, status = command.get("MessageIDBeingRespondedTo"), command.get("Status")
        exchange = other.open.get(number) if number is not None else None
        name = commands.name(command)
        if exchange is None or status is None or name != f"{exchange.kind}-RSP":
            lacks = "has no Status" if status is None else "answers nothing that was asked"
            self._room.give(message.held)
            yield self._incident(name, side, "garbled", f"{name} {lacks} (PS3.7 section 9.1)", at)
            return
        assert number is not None  # noqa: S101 - something is open under it
        other.held[number] += message.held
        if status in {PENDING, PENDING_WARNING}:
            if message.data:  # those beyond the bound still count
                kept = len(exchange.answers) < MOST_ANSWERS and not isinstance(message.data, Part)
                exchange.answers.append(message.data if kept else b"")
            return
        other.close(number)
        exchange.response, exchange.response_data, exchange.status = command, message.data, status
        exchange.took = at - other.began.pop(number)
        yield exchange

    def _end(self, outcome: str, error: str, at: float) -> Iterator[Told]:
        """Read no more: what was under way has no answer."""
        self._done = True
        for number, one in enumerate(self._sides):
            one.drop()
            for message in tuple(one.open):
                exchange = one.close(message)
                exchange.outcome, exchange.error = outcome, error
                exchange.took = at - one.began[message]
                yield exchange
            if one.command is not None:
                name = commands.name(one.command).removesuffix("-RQ")
                said = f"{error}, within the data set"
                yield self._incident(name, number, outcome, said, one.started, one.command)

    def _incident(
        self, kind: str, side: int, outcome: str, error: str, began: float, command: Command | None = None
    ) -> Incident:
        proposal = self._proposal
        who = (proposal.calling, proposal.called) if proposal else ("", "")
        return Incident(kind, side, outcome, error, *who, began, command or {})


def prepare() -> None:
    """Load what the first association would otherwise wait for: the libraries and dictionaries behind negotiation and data sets."""
    from stepwedge.wire.elements import IMPLICIT_LE, decode, encode

    proposal = negotiation.Proposal("CALLING", "CALLED", negotiation.contexts([IMPLICIT_LE]))
    for _ in Overheard(Room()).heard(REQUESTOR, negotiation.write_proposal(proposal), 0.0):
        pass
    decode(encode({"SpecificCharacterSet": "ISO_IR 100", "PatientName": "Ä"}, explicit=True), explicit=True)
