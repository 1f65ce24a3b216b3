"""What FHIR exchanges say of orders, as sightings: requests, the filler's answers, and the tasks by which it tells their status."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepwedge.checks.rules.sightings import PRIORITY_IN_DICOM, Sighting, between, labelled
from stepwedge.sim.resources import naming
from stepwedge.sim.resources.orders import read_request, read_status
from stepwedge.wire import fhir
from stepwedge.wire.fhir import FhirError
from stepwedge.wire.fhir_validate import problems

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stepwedge.evidence.exchange import Exchange
    from stepwedge.wire.fhir import Resource

_KINDS = ("POST /", "POST /ServiceRequest", "PUT /ServiceRequest", "PUT /Task")


def of_fhir(exchange: Exchange) -> Iterator[Sighting]:
    """Return the sightings of one exchange over HTTP; DICOMweb and what was refused has none."""
    if not exchange.kind.startswith(_KINDS) or not exchange.outcome.startswith("2"):
        return
    for sent in _resources(exchange.request.read()):
        if sent.get("resourceType") == "ServiceRequest" and not problems(sent):
            yield from _request(exchange, sent)
        elif (
            sent.get("resourceType") == "Task"
            and exchange.kind.startswith("PUT /Task")
            and not problems(sent)
        ):
            yield from _status(exchange, sent)
    for told in _resources(exchange.response.read()):
        if told.get("resourceType") == "ServiceRequest":
            yield _reply(exchange, told)


def _resources(raw: bytes) -> list[Resource]:
    """Return the resource of a body, or those of its bundle; none when it is no FHIR."""
    if not raw.startswith(b"{"):
        return []
    try:
        body = fhir.read(raw)
    except FhirError:
        return []
    return fhir.at(body, "entry.resource") if body.get("resourceType") == "Bundle" else [body]


def _request(exchange: Exchange, sent: Resource) -> Iterator[Sighting]:
    try:
        asked = read_request(sent)
    except FhirError:
        return
    values = {
        "control": "CA" if asked.revoked else "NW",
        "placer": asked.placer,
        "patient": asked.patient,
        "procedure": asked.procedure,
        "priority": PRIORITY_IN_DICOM[asked.priority],
        "reason": asked.reason,
        "alerts": asked.alerts,
        "visit": asked.visit,
    }
    yield Sighting(labelled(exchange), exchange.at, between(exchange)[0], "order", values)


def _reply(exchange: Exchange, told: Resource) -> Sighting:
    values = {
        "control": "CR" if told.get("status") == "revoked" else "OK",
        "placer": naming.typed(told, "PLAC"),
        "filler": naming.typed(told, "FILL"),
        "accession": naming.typed(told, "ACSN"),
    }
    at = exchange.at + exchange.took
    return Sighting(f"{labelled(exchange)}, answer", at, between(exchange)[1], "reply", values)


def _status(exchange: Exchange, sent: Resource) -> Iterator[Sighting]:
    placer, filler, state, _ = read_status(sent)
    values = {"control": "SC", "placer": placer, "filler": filler, "status": state}
    version = (sent.get("meta") or {}).get("versionId", "")
    uid = f"Task/{sent.get('id', '')}/_history/{version}"
    yield Sighting(labelled(exchange), exchange.at, between(exchange)[0], "status", values, uid=uid)
