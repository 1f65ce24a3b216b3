"""The DICOM door of a simulated system, and its way out, both journaled.

    DimseDoor(bench, Acceptor(...with its handlers...))                       # listens at bench.ae_title
    async with calling(bench, "pacs", "dicom", [CT_IMAGE_STORAGE], case=case.id) as association:
        result = await association.store(...)

Handlers change state inside ``with bench.change(state):``, so that everything is durable before they answer.
"""

from __future__ import annotations

import hashlib
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from stepwedge.errors import LinkLost, NoAnswer, RemoteProtocolError, WireError
from stepwedge.evidence.exchange import NOTHING, Payload
from stepwedge.evidence.redact import refusal
from stepwedge.sim import keys
from stepwedge.sim.address import Address, Entity
from stepwedge.wire import dimse_asyncio, part10

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence

    from stepwedge.sim.bench import Bench
    from stepwedge.wire.dimse import DimseExchange
    from stepwedge.wire.elements import Elements

ANSWERS_KEPT = 500
"""Answers of one query that are written into the journal line decoded; their number is always there."""
_OUTCOMES = {"lost": "lost", "timeout": "timeout", "refused": "refused", "protocol": "garbled"}


def record(bench: Bench, exchange: DimseExchange, *, peer: str = "", case: str = "") -> int:
    """Put one finished DIMSE operation into the journal and return its number."""
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
    if exchange.error:
        facts["error"] = exchange.error
    datasets, payload = _read(exchange, sop_class, instance, facts)
    inward = exchange.direction == "in"
    status = exchange.status
    return bench.record(
        "dimse",
        "in" if inward else "out",
        exchange.kind,
        began=time.time() - exchange.took,
        peer=peer or bench.directory.by_ae(exchange.peer.calling if inward else exchange.peer.called),
        outcome=_OUTCOMES.get(exchange.outcome, exchange.outcome) if status is None else f"{status:04X}",
        keys=keys.of_dimse(exchange.kind, sop_class, instance, datasets),
        facts=facts,
        request=payload,
        response=Payload.of(exchange.response_data) if exchange.response_data else NOTHING,
        case=case,
    )


def _read(
    exchange: DimseExchange, sop_class: str, instance: str, facts: dict[str, Any]
) -> tuple[list[Elements], Payload]:
    """Decode the data sets into the facts; a data set that cannot be read is kept as it came."""
    datasets: list[Elements] = []
    payload = Payload.of(exchange.data) if exchange.data else NOTHING
    try:
        if exchange.kind == "C-STORE":
            dataset = exchange.elements(exchange.data, stop_before_pixels=False)
            pixels = dataset.pop("PixelData", None)
            facts["dataset"] = {
                "sha256": hashlib.sha256(exchange.data).hexdigest(),
                "size": len(exchange.data),
                "header": dataset,
                "pixels": hashlib.sha256(pixels).hexdigest() if pixels else "",
            }
            datasets.append(dataset)
            payload = Payload.of(
                part10.write(part10.Part10(sop_class, instance, exchange.context.transfer, exchange.data))
            )
        elif exchange.data:
            facts["identifier"] = exchange.elements(exchange.data)
            datasets.append(facts["identifier"])
        if exchange.kind in {"C-FIND", "C-MOVE", "C-GET"}:
            facts["model"] = sop_class
        if exchange.kind == "C-FIND":
            facts["answers"] = [exchange.elements(answer) for answer in exchange.answers[:ANSWERS_KEPT]]
            facts["count"] = len(exchange.answers)
            datasets.extend(facts["answers"])
        if exchange.response_data:
            facts["attributes"] = exchange.elements(exchange.response_data)
            datasets.append(facts["attributes"])
    except RemoteProtocolError as error:
        facts["unreadable"] = str(error)
    return datasets, payload
