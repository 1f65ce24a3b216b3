"""The DICOM door of a simulated system, and its way out, both journaled.

    DimseDoor(bench, provider, {CT_IMAGE_STORAGE: [EXPLICIT_LE]})             # listens as bench.ae_title
    async with calling(bench, "pacs", [CT_IMAGE_STORAGE], case=case.id) as association:
        result = await association.store(...)

The provider is a ``wire.provider.Provider``; its handlers change state inside ``with bench.change(state):``, so that everything
is durable before they answer. What must arrive although a link fails goes through the outbox: ``change.send(dimse_send(...))``.
"""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from stepwedge.clock import moment
from stepwedge.errors import RemoteProtocolError, WireError
from stepwedge.evidence.exchange import NOTHING, Payload
from stepwedge.evidence.redact import refusal
from stepwedge.sim import datasets as stored
from stepwedge.sim import keys
from stepwedge.sim.address import Address, Entity
from stepwedge.sim.outbox import Delivery, trouble_word
from stepwedge.sim.store import Send
from stepwedge.wire import dimse_asyncio, part10
from stepwedge.wire.overheard import Part

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

    from stepwedge.evidence.exchange import Exchange
    from stepwedge.sim.bench import Bench
    from stepwedge.wire.dimse import DimseExchange, PeerInfo
    from stepwedge.wire.elements import Elements
    from stepwedge.wire.services import Observer

ANSWERS_KEPT = 500
"""Answers of one query that are written into the journal line decoded; their number is always there."""
_OUTCOMES = {"protocol": "garbled"}


def record(bench: Bench, exchange: DimseExchange, *, peer: str = "", case: str = "") -> int:
    """Put one finished DIMSE operation into the journal and return its number."""
    return bench.keep([described(bench, exchange, peer=peer, case=case)])


def described(
    bench: Bench,
    exchange: DimseExchange,
    *,
    peer: str = "",
    case: str = "",
    tap: str = "",
    ended: float | None = None,
) -> Exchange:
    """Describe one finished DIMSE operation.

    What only passed a ``tap`` is kept when it could be read whose it is; ``ended`` is when, if not now (``moment()``).
    """
    request, response = exchange.request, exchange.response
    sop_class = request.get("AffectedSOPClassUID") or request.get("RequestedSOPClassUID") or ""
    instance = next(
        (
            command[name]
            for command in (request, response)  # an N-CREATE may leave the UID to the provider
            for name in ("AffectedSOPInstanceUID", "RequestedSOPInstanceUID")
            if command.get(name)
        ),
        "",
    )
    facts: dict[str, Any] = {
        "command": request,
        "response": response,
        "sop_class": sop_class,
        "sop": instance,
        "calling": exchange.peer.calling,
        "called": exchange.peer.called,
        "transfer_syntax": exchange.context.transfer,
    }
    if tap:
        facts["tap"] = tap
    if exchange.error:
        facts["error"] = exchange.error
    datasets, payload, response_data = _read(exchange, sop_class, instance, facts)
    found = keys.of_dimse(sop_class, instance, datasets)
    if any(refusal(bench.identity, patients=[patient]) for patient in found.get("patient", ())):
        found, payload, response_data = {}, NOTHING, NOTHING
        facts = {"refused": "identifiers that are not synthetic", "sop_class": sop_class}
        facts |= {"tap": tap} if tap else {}
    elif tap and "unreadable" in facts:
        payload, response_data = NOTHING, NOTHING
    elif payload.head and bench.objects is not None:
        payload = bench.journal.adopt(bench.objects.path(payload.sha256), payload)
    inward = exchange.direction == "in"
    status = exchange.status
    return bench.exchange(
        "dimse",
        "in" if inward else "out",
        exchange.kind,
        began=(moment() if ended is None else ended) - exchange.took,
        took=exchange.took,
        peer=peer or bench.directory.by_ae(_other(bench, exchange)),
        outcome=_OUTCOMES.get(exchange.outcome, exchange.outcome) if status is None else f"{status:04X}",
        keys=found,
        facts=facts,
        request=payload,
        response=response_data,
        case=case,
    )


def _read(
    exchange: DimseExchange, sop_class: str, sop: str, facts: dict[str, Any]
) -> tuple[list[Elements], Payload, Payload]:
    """Decode the data sets into the facts; one that cannot be read is kept as it came, one that is not synthetic is not kept."""
    request, response = Payload.of(exchange.data), Payload.of(exchange.response_data)
    try:
        if exchange.kind == "C-STORE":
            datasets, request = _stored(exchange, sop_class, sop, facts)
        else:
            datasets = _decoded(exchange, facts)
    except RemoteProtocolError as error:
        facts["unreadable"] = str(error)
        return [], request, response
    return datasets, request, response


def _stored(
    exchange: DimseExchange, sop_class: str, sop: str, facts: dict[str, Any]
) -> tuple[list[Elements], Payload]:
    """Describe a stored instance: its data set without pixels, and hashes of both; as evidence it is a DICOM file."""
    data, syntax = exchange.data, exchange.context.transfer
    if isinstance(data, Part):
        header = exchange.elements(data)
        facts["dataset"] = {"sha256": data.sha256, "size": data.size, "header": header}
        return [header], NOTHING
    try:
        reading = stored.read(data, syntax)
    finally:
        stored.forget()  # whoever else looks at it did so before the exchange was over
    facts["dataset"] = {
        "sha256": reading.sha256,
        "size": len(data),
        "header": reading.header,
        "pixels": reading.pixels or "",
    }
    head = part10.head(sop_class, sop, syntax)
    return [reading.header], Payload(data, sha256=reading.sha256, size=len(head) + len(data), head=head)


def _decoded(exchange: DimseExchange, facts: dict[str, Any]) -> list[Elements]:
    datasets: list[Elements] = []
    if exchange.data:
        facts["identifier"] = exchange.elements(exchange.data)
        datasets.append(facts["identifier"])
    if exchange.kind in {"C-FIND", "C-MOVE", "C-GET"}:
        facts["model"] = facts["sop_class"]
    if exchange.kind == "C-FIND":
        facts["answers"] = [exchange.elements(answer) for answer in exchange.answers[:ANSWERS_KEPT]]
        facts["count"] = len(exchange.answers)
        datasets.extend(facts["answers"])
    if exchange.response_data:
        facts["attributes"] = exchange.elements(exchange.response_data)
        datasets.append(facts["attributes"])
    return datasets


def _other(bench: Bench, exchange: DimseExchange) -> str:
    """Return the AE title at the other end: either side of an association can make requests (C-GET, events)."""
    ours = exchange.peer.calling == bench.ae_title
    return exchange.peer.called if ours else exchange.peer.calling


def observer(bench: Bench, *, peer: str = "", case: str = "") -> Observer:
    """Return what puts the operations of one association into the journal."""

    def observe(exchange: DimseExchange) -> None:
        record(bench, exchange, peer=peer, case=case)

    return observe


class DimseDoor:
    """A DICOM listener whose every operation is journaled before its final response leaves."""

    def __init__(
        self,
        bench: Bench,
        provider: dimse_asyncio.Provider,
        accepts: Mapping[str, Sequence[str]],
        *,
        doors: Sequence[str] = ("dicom",),
        **limits: Any,
    ) -> None:
        """Serve SOP classes in transfer syntaxes.

        Args:
            bench: gives AE title, port (``dicom_port``) and journal.
            provider: the handlers.
            accepts: SOP class to transfer syntaxes, our preference first.
            doors: which addresses others know this listener by: ``dicom``, ``worklist`` or both.
            limits: further fields of ``wire.provider.Acceptor``.
        """
        self._bench = bench
        self._doors = doors
        self._acceptor = dimse_asyncio.Acceptor(
            bench.ae_title, accepts, provider, observer=observer(bench), admits=self._admits, **limits
        )
        self._server: dimse_asyncio.Server | None = None

    @property
    def acceptor(self) -> dimse_asyncio.Acceptor:
        """How associations are accepted here."""
        return self._acceptor

    async def start(self) -> Address:
        """Listen on the bench's ``dicom`` port."""
        gate = self._bench.security.gate("dimse")
        self._server, port = await self._bench.listen(
            "dicom", lambda host, port: dimse_asyncio.serve(host, port, self._acceptor, gate)
        )
        entity = Entity(self._acceptor.ae_title, self._bench.ports.host, port, gate is not None)
        return Address(
            dicom=entity if "dicom" in self._doors else None,
            worklist=entity if "worklist" in self._doors else None,
        )

    async def stop(self) -> None:
        """Stop listening and abort what is open."""
        if self._server is not None:
            await self._server.close()

    def _admits(self, peer: PeerInfo) -> bool:
        """Tell whether a node may associate; a no stands in the journal."""
        security = self._bench.security
        why = security.stranger(f"{peer.host}:{peer.port}", ae=peer.calling)
        if why:
            security.note("dimse", "A-ASSOCIATE", peer.calling, why)
        return not why


@asynccontextmanager
async def calling(
    bench: Bench,
    to: str,
    contexts: Iterable[str | tuple[str, Sequence[str]]],
    *,
    door: str = "dicom",
    case: str = "",
    scp_of: Iterable[str] = (),
) -> AsyncIterator[dimse_asyncio.Association]:
    """Open an association to an actor as ``bench.ae_title``; release it at the end, abort it on an error.

    ``dimse_timeout`` of the settings (seconds, 30 when absent) bounds the connection and each answer.
    """
    entity: Entity = bench.directory.door(to, door)
    began = moment()
    try:
        association = await dimse_asyncio.open(
            entity.host,
            entity.port,
            calling=bench.ae_title,
            called=entity.ae,
            contexts=contexts,
            timeout=float(bench.settings.get("dimse_timeout", 30.0)),
            scp_of=scp_of,
            observer=observer(bench, peer=to, case=case),
            context=bench.security.context(tls=entity.tls),
        )
    except WireError as trouble:
        facts = {"calling": bench.ae_title, "called": entity.ae, "error": str(trouble)}
        outcome = trouble_word(trouble)
        bench.record(
            "dimse", "out", "A-ASSOCIATE", began=began, peer=to, outcome=outcome, facts=facts, case=case
        )
        raise
    async with association:
        yield association


VERBS = ("create", "set", "action", "report_event")


def dimse_send(
    to: str,
    verb: str,
    sop_class: str,
    sop_instance: str,
    attributes: Elements,
    *,
    control: str,
    number: int = 0,
    door: str = "dicom",
    case: str = "",
    context: str = "",
) -> Send:
    """Make a DIMSE-N request for the outbox: it is sent on an association of its own until the receiver decides.

    Args:
        to: actor name.
        verb: ``create``, ``set``, ``action`` or ``report_event``.
        sop_class: the SOP class, which is also the presentation context; for ``report_event`` we are its provider.
        sop_instance: the SOP instance.
        attributes: the data set, of text, numbers and sequences only.
        control: any name that is unique for the request, such as ``state.control()``.
        number: action type or event type.
        door: the receiver's door.
        case: the case it belongs to.
        context: SOP class of the presentation context, where it is another one: a meta SOP class, or one of UPS.
    """
    if verb not in VERBS:
        raise ValueError(f"{verb!r} is none of {', '.join(VERBS)}")
    request = {
        "verb": verb,
        "class": sop_class,
        "instance": sop_instance,
        "number": number,
        "attributes": attributes,
        "door": door,
        **({"context": context} if context else {}),
    }
    return Send(to, json.dumps(request).encode(), "dimse", control, case)


class DimseSender:
    """Brings the requests of :func:`dimse_send` to their receivers."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def check(self, send: Send) -> None:
        """Make sure that the destination has the door."""
        self._bench.directory.door(send.to, json.loads(send.body)["door"])

    async def __call__(self, send: Send) -> Delivery:
        """Send once; a warning status is taken for a yes (PS3.7 annex C)."""
        request = json.loads(send.body)
        sop_class, verb = request["class"], request["verb"]
        context = request.get("context") or sop_class
        scp_of = [context] if verb == "report_event" else []
        what = [sop_class, request["instance"], request["attributes"]]
        if verb in {"action", "report_event"}:
            what.insert(2, request["number"])
        async with calling(
            self._bench, send.to, [context], door=request["door"], case=send.case, scp_of=scp_of
        ) as association:
            more = {"context": context} if context != sop_class else {}
            result = await getattr(association, verb)(*what, **more)
        reason = (
            ""
            if result.category in {"success", "warning"}
            else f"{result.status:04X} {result.comment}".strip()
        )
        return Delivery(reason=reason)

    async def close(self) -> None:
        """Leave nothing open: every association ends with its request."""
