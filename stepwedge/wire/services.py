"""What a service class user says and hears (PS3.7 sections 9.1 and 10.1), as generators.

A conversation yields a ``Message`` to have it sent, or None to hear the next message, and returns its result; so one
text drives the blocking and the asyncio shell alike::

    step = next(talk)
    while True:
        step = talk.send(hear() if step is None else say(step))

Nothing here invents a status: a response without (0000,0900), of another kind or for another Message ID is a
RemoteProtocolError.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

from stepwedge.errors import LinkLost, LocalProtocolError, NoAnswer, Refused, RemoteProtocolError
from stepwedge.wire import status as codes
from stepwedge.wire.command import MEDIUM, NO_DATA_SET, RESPONSE, Command, Field, name
from stepwedge.wire.dimse import Agreed, Channel, DimseExchange, Message, PeerInfo
from stepwedge.wire.elements import EXPLICIT_LE, IMPLICIT_LE, Elements, decode, encode, recode
from stepwedge.wire.results import Answers, Event, Instance, Result, Retrieved

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

T = TypeVar("T")
Talk = Generator[Message | None, Message, T]
Observer = Callable[[DimseExchange], None]

VERIFICATION: Final = "1.2.840.10008.1.1"
COMMITMENT: Final = "1.2.840.10008.1.20.1"
COMMITMENT_INSTANCE: Final = "1.2.840.10008.1.20.1.1"
"""Well-known SOP instance of the Storage Commitment Push Model (PS3.4 J.3.1)."""
UPS_PUSH, UPS_WATCH, UPS_PULL, UPS_EVENT, UPS_QUERY = UPS = tuple(
    f"1.2.840.10008.5.1.4.34.6.{number}" for number in range(1, 6)
)
"""The unified procedure step SOP classes (PS3.4 annex CC)."""
WORKLIST: Final = "1.2.840.10008.5.1.4.31"
MPPS: Final = "1.2.840.10008.3.1.2.3.3"
STUDY_FIND: Final = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY_MOVE: Final = "1.2.840.10008.5.1.4.1.2.2.2"
STUDY_GET: Final = "1.2.840.10008.5.1.4.1.2.2.3"
PATIENT_FIND: Final = "1.2.840.10008.5.1.4.1.2.1.1"
PATIENT_MOVE: Final = "1.2.840.10008.5.1.4.1.2.1.2"
PATIENT_GET: Final = "1.2.840.10008.5.1.4.1.2.1.3"
MODELS: Final = {
    **dict.fromkeys((PATIENT_FIND, PATIENT_MOVE, PATIENT_GET), "PATIENT"),
    **dict.fromkeys((STUDY_FIND, STUDY_MOVE, STUDY_GET), "STUDY"),
}
"""The information model in which each SOP class queries and retrieves (PS3.4 section C.6)."""

MAX_ANSWERS: Final = 1 << 18
"""Matches of one C-FIND that are taken before the peer is held to be endless."""
UNCOMPRESSED: Final = frozenset({IMPLICIT_LE, EXPLICIT_LE})


class Dialogue:
    """The conversations of one association in the role of service class user.

    Args:
        channel: the association's messages.
        peer: who is at the other end.
        tick: a clock in seconds that never goes back.
        observer: told about each operation when it is finished, however it finished.
    """

    def __init__(
        self, channel: Channel, peer: PeerInfo, tick: Callable[[], float], observer: Observer | None = None
    ) -> None:
        self.channel = channel
        self.peer = peer
        self.events: deque[Event] = deque()
        self._tick = tick
        self._observer = observer
        self._last_id = 0

    # --- the verbs -----------------------------------------------------------------------------------------------

    def echo(self) -> Talk[Result]:
        """C-ECHO."""
        context = self.context(VERIFICATION)
        return (yield from self._ask(context, Field.C_ECHO, {"AffectedSOPClassUID": VERIFICATION}))

    def find(self, model: str, identifier: Elements, *, limit: int = 0) -> Talk[Answers]:
        """C-FIND; with ``limit`` a C-CANCEL is sent after so many matches and the final status awaited."""
        context = self.context(model)
        command = {"AffectedSOPClassUID": model, "Priority": MEDIUM}
        request = self._request(context, Field.C_FIND, command, encode(identifier, explicit=context.explicit))
        with self._recorded(request) as exchange:
            yield request
            while True:
                response = yield from self.hear(request)
                status = response.command["Status"]
                if codes.category("C-FIND", status) != "pending":
                    break
                if not response.data:
                    raise RemoteProtocolError(
                        "a pending C-FIND response holds no identifier (PS3.4 C.4.1.1.4)"
                    )
                exchange.answers.append(response.data)
                if len(exchange.answers) > MAX_ANSWERS:
                    raise RemoteProtocolError(f"more than {MAX_ANSWERS} matches and no final C-FIND response")
                if len(exchange.answers) == limit:
                    yield self._cancel(request)
            _finish(exchange, response)
        identifiers = [decode(raw, explicit=context.explicit) for raw in exchange.answers]
        return Answers(
            identifiers, status, _comment(response), response.command, exchange.answers, context.explicit
        )

    def store(
        self,
        sop_class: str,
        sop_instance: str,
        transfer_syntax: str,
        data: bytes,
        *,
        originator: tuple[str, int] | None = None,
    ) -> Talk[Result]:
        """C-STORE; ``data`` is the data set in ``transfer_syntax``, without file meta information.

        ``originator`` is the AE title and Message ID of the C-MOVE this belongs to (PS3.7 9.1.1.1). When only the other
        uncompressed little endian syntax was accepted, the data set is written again in it.
        """
        context = self.storage_context(sop_class, transfer_syntax)
        if context.transfer != transfer_syntax:
            data = recode(data, explicit=not context.explicit, to_explicit=context.explicit)
        command: Command = {
            "AffectedSOPClassUID": sop_class,
            "Priority": MEDIUM,
            "AffectedSOPInstanceUID": sop_instance,
        }
        if originator:
            command["MoveOriginatorApplicationEntityTitle"], command["MoveOriginatorMessageID"] = originator
        return (yield from self._ask(context, Field.C_STORE, command, data))

    def move(self, model: str, identifier: Elements, destination: str, *, limit: int = 0) -> Talk[Retrieved]:
        """C-MOVE to the AE title ``destination``; ``limit`` cancels after so many pending responses."""
        context = self.context(model)
        command = {"AffectedSOPClassUID": model, "Priority": MEDIUM, "MoveDestination": destination}
        request = self._request(context, Field.C_MOVE, command, encode(identifier, explicit=context.explicit))
        return (yield from self._retrieve(request, [], limit))

    def get(self, model: str, identifier: Elements, *, limit: int = 0) -> Talk[Retrieved]:
        """C-GET; each instance comes as a C-STORE on this association and is answered with success."""
        context = self.context(model)
        command = {"AffectedSOPClassUID": model, "Priority": MEDIUM}
        request = self._request(context, Field.C_GET, command, encode(identifier, explicit=context.explicit))
        return (yield from self._retrieve(request, [], limit))

    def create(self, sop_class: str, sop_instance: str, attributes: Elements) -> Talk[Result]:
        """N-CREATE; an empty ``sop_instance`` lets the peer choose."""
        command = {"AffectedSOPClassUID": sop_class}
        if sop_instance:
            command["AffectedSOPInstanceUID"] = sop_instance
        return (yield from self._ask_with(sop_class, Field.N_CREATE, command, attributes))

    def set(self, sop_class: str, sop_instance: str, modifications: Elements) -> Talk[Result]:
        """N-SET."""
        return (
            yield from self._ask_with(
                sop_class, Field.N_SET, _requested(sop_class, sop_instance), modifications
            )
        )

    def get_attributes(self, sop_class: str, sop_instance: str, tags: Sequence[str] = ()) -> Talk[Result]:
        """N-GET of the attributes named by ``GGGGEEEE``, all when none is named."""
        command = _requested(sop_class, sop_instance)
        if tags:
            command["AttributeIdentifierList"] = list(tags)
        return (yield from self._ask_with(sop_class, Field.N_GET, command, {}))

    def action(
        self, sop_class: str, sop_instance: str, action_type: int, information: Elements, *, context: str = ""
    ) -> Talk[Result]:
        """N-ACTION; ``context`` as in :meth:`report_event`."""
        command = {**_requested(sop_class, sop_instance), "ActionTypeID": action_type}
        return (yield from self._ask_with(context or sop_class, Field.N_ACTION, command, information))

    def delete(self, sop_class: str, sop_instance: str) -> Talk[Result]:
        """N-DELETE."""
        return (yield from self._ask_with(sop_class, Field.N_DELETE, _requested(sop_class, sop_instance), {}))

    def report_event(
        self, sop_class: str, sop_instance: str, event_type: int, information: Elements, *, context: str = ""
    ) -> Talk[Result]:
        """N-EVENT-REPORT: what a service class provider tells, for example the result of a commitment.

        ``context`` is the SOP class of the presentation context where it is another one (UPS, PS3.4 CC.3.1).
        """
        command = {
            "AffectedSOPClassUID": sop_class,
            "AffectedSOPInstanceUID": sop_instance,
            "EventTypeID": event_type,
        }
        return (yield from self._ask_with(context or sop_class, Field.N_EVENT_REPORT, command, information))

    def next_event(self) -> Talk[Event]:
        """Hear the next N-EVENT-REPORT on this association and answer it; one that came before counts."""
        while not self.events:
            message = yield None
            if message.is_response:
                raise RemoteProtocolError(f"{name(message.command)} came without a request")
            yield from self._serve(message, None)
        return self.events.popleft()

    # --- contexts ------------------------------------------------------------------------------------------------

    def context(self, abstract: str) -> Agreed:
        """Return an accepted presentation context of a SOP class, or raise Refused."""
        for agreed in self.channel.contexts.values():
            if agreed.abstract == abstract:
                return agreed
        raise Refused(f"the peer accepted no presentation context for SOP class {abstract}")

    def storage_context(self, sop_class: str, transfer_syntax: str) -> Agreed:
        """Return the context that takes an instance as it is, else one it can be written again for."""
        return storage_context(self.channel.contexts.values(), sop_class, transfer_syntax)

    # --- asking --------------------------------------------------------------------------------------------------

    def _ask_with(self, sop_class: str, kind: Field, command: Command, attributes: Elements) -> Talk[Result]:
        context = self.context(sop_class)
        data = encode(attributes, explicit=context.explicit) if attributes else b""
        return (yield from self._ask(context, kind, command, data))

    def _ask(self, context: Agreed, kind: Field, command: Command, data: bytes = b"") -> Talk[Result]:
        request = self._request(context, kind, command, data)
        with self._recorded(request) as exchange:
            yield request
            response = yield from self.hear(request)
            _finish(exchange, response)
        attributes = decode(response.data, explicit=context.explicit) if response.data else {}
        return Result(
            kind.service, response.command["Status"], _comment(response), response.command, attributes
        )

    def next_id(self) -> int:
        """Return a Message ID that no request still open has (PS3.7 section 9.1)."""
        self._last_id = self._last_id % 0xFFFF + 1
        return self._last_id

    def _request(self, context: Agreed, kind: Field, command: Command, data: bytes = b"") -> Message:
        return Message(
            context.id,
            {
                **command,
                "CommandField": int(kind),
                "MessageID": self.next_id(),
                "CommandDataSetType": 1 if data else NO_DATA_SET,
            },
            data,
        )

    def _cancel(self, request: Message) -> Message:
        return Message(
            request.context_id,
            {
                "CommandField": int(Field.C_CANCEL),
                "MessageIDBeingRespondedTo": request.command["MessageID"],
                "CommandDataSetType": NO_DATA_SET,
            },
        )

    def _retrieve(self, request: Message, received: list[Instance], limit: int) -> Talk[Retrieved]:
        kind = Field(request.command["CommandField"])
        pending = 0
        with self._recorded(request) as exchange:
            yield request
            while True:
                response = yield from self.hear(request, received if kind is Field.C_GET else None)
                if codes.category(kind.service, response.command["Status"]) != "pending":
                    break
                pending += 1
                if pending == limit:
                    yield self._cancel(request)
            _finish(exchange, response)
        command = response.command
        failed = decode(response.data, explicit=exchange.context.explicit) if response.data else {}
        uids = failed.get("FailedSOPInstanceUIDList", "")
        return Retrieved(
            kind.service,
            command["Status"],
            _comment(response),
            command,
            command.get("NumberOfCompletedSuboperations", 0),
            command.get("NumberOfFailedSuboperations", 0),
            command.get("NumberOfWarningSuboperations", 0),
            uids.split("\\") if uids else [],
            received,
            pending,
        )

    def hear(self, request: Message, received: list[Instance] | None = None) -> Talk[Message]:
        """Hear the next response to ``request``, serving what the peer asks meanwhile."""
        while True:
            message = yield None
            if not message.is_response:
                yield from self._serve(message, received)
                continue
            command, asked = message.command, request.command
            if command.get("MessageIDBeingRespondedTo") != asked["MessageID"]:
                answered = command.get("MessageIDBeingRespondedTo")
                raise RemoteProtocolError(
                    f"{name(command)} answers Message ID {answered}, asked was {asked['MessageID']} (PS3.7 section 9.3)"
                )
            if command["CommandField"] != asked["CommandField"] | RESPONSE:
                raise RemoteProtocolError(f"{name(command)} answers a {name(asked)}")
            if "Status" not in command:
                raise RemoteProtocolError(f"{name(command)} holds no Status (0000,0900) (PS3.7 annex E)")
            _same_instance(asked, command)
            return message

    # --- what the peer may ask of a service class user -----------------------------------------------------------

    def _serve(self, message: Message, received: list[Instance] | None) -> Talk[None]:
        command = message.command
        kind = command["CommandField"]
        if kind != Field.N_EVENT_REPORT and (kind != Field.C_STORE or received is None):
            raise RemoteProtocolError(f"the peer sent a {name(command)}, which is not its part here")
        try:
            sop_class, sop_instance = command["AffectedSOPClassUID"], command["AffectedSOPInstanceUID"]
            event_type, message_id = command.get("EventTypeID", 0), command["MessageID"]
        except KeyError as error:
            raise RemoteProtocolError(f"{name(command)} lacks {error.args[0]} (PS3.7 section 9.3)") from error
        context = self.channel.contexts[message.context_id]
        if received is not None and kind == Field.C_STORE:
            received.append(Instance(sop_class, sop_instance, context.transfer, message.data))
        else:
            attributes = decode(message.data, explicit=context.explicit)
            self.events.append(Event(sop_class, sop_instance, event_type, attributes))
        response: Command = {
            "AffectedSOPClassUID": sop_class,
            "CommandField": kind | RESPONSE,
            "MessageIDBeingRespondedTo": message_id,
            "CommandDataSetType": NO_DATA_SET,
            "Status": codes.SUCCESS,
            **{key: command[key] for key in ("AffectedSOPInstanceUID", "EventTypeID") if key in command},
        }
        if self._observer is not None:
            exchange = self._exchange(message, "in")
            exchange.response, exchange.status = response, codes.SUCCESS
            self._observer(exchange)
        yield Message(message.context_id, response)

    # --- records -------------------------------------------------------------------------------------------------

    def _exchange(self, request: Message, direction: str) -> DimseExchange:
        service = Field(request.command["CommandField"]).service
        context = self.channel.contexts[request.context_id]
        return DimseExchange(direction, service, self.peer, context, request.command, request.data)

    @contextmanager
    def _recorded(self, request: Message) -> Iterator[DimseExchange]:
        """Report an operation to the observer, however it ends."""
        exchange = self._exchange(request, "out")
        began = self._tick()
        try:
            yield exchange
        except Exception as error:
            exchange.outcome, exchange.error = outcome_of(error), str(error)
            raise
        finally:
            exchange.took = self._tick() - began
            if self._observer is not None:
                self._observer(exchange)


OUTCOMES: Final[dict[type[Exception], str]] = {
    LinkLost: "lost",
    NoAnswer: "timeout",
    Refused: "refused",
    RemoteProtocolError: "protocol",
    LocalProtocolError: "protocol",
}


def outcome_of(error: BaseException) -> str:
    """Return the word that a failed operation is recorded under."""
    return next((word for kind, word in OUTCOMES.items() if isinstance(error, kind)), "error")


def storage_context(contexts: Iterable[Agreed], sop_class: str, transfer_syntax: str) -> Agreed:
    """Return the context that takes an instance as it is, else one it can be written again for, or raise Refused."""
    offered = [agreed for agreed in contexts if agreed.abstract == sop_class]
    for agreed in offered:
        if agreed.transfer == transfer_syntax:
            return agreed
    for agreed in offered:
        if transfer_syntax in UNCOMPRESSED and agreed.transfer in UNCOMPRESSED:
            return agreed
    raise Refused(
        f"the peer accepted no presentation context for {sop_class} in transfer syntax {transfer_syntax}"
    )


def suits(sop_class: str, context: str) -> bool:
    """Tell whether a request about a SOP class may come on the presentation context of another one.

    Unified procedure steps are of the Push SOP class on every context of theirs (PS3.4 CC.3.1.1).
    """
    return sop_class == context or (sop_class == UPS_PUSH and context in UPS)


def _finish(exchange: DimseExchange, response: Message) -> None:
    exchange.response, exchange.response_data = response.command, response.data
    exchange.status = response.command["Status"]


def _comment(response: Message) -> str:
    return str(response.command.get("ErrorComment", ""))


def _requested(sop_class: str, sop_instance: str) -> dict[str, Any]:
    return {"RequestedSOPClassUID": sop_class, "RequestedSOPInstanceUID": sop_instance}


def _same_instance(request: Command, response: Command) -> None:
    """Refuse a response that speaks of another instance than its request."""
    asked = request.get("AffectedSOPInstanceUID") or request.get("RequestedSOPInstanceUID")
    answered = response.get("AffectedSOPInstanceUID")
    if asked and answered and asked != answered:
        raise RemoteProtocolError(f"{name(response)} speaks of instance {answered}, asked was {asked}")
