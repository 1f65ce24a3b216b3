"""Transactions and batches (hl7.org/fhir/R4/http.html#transaction): all or nothing, or each for itself."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from stepwedge.wire import fhir, fhir_search
from stepwedge.wire.fhir import FhirError, refused
from stepwedge.wire.fhir_validate import problems

if TYPE_CHECKING:
    from stepwedge.sim.fhir.service import Request, Response, Service
    from stepwedge.wire.fhir import Resource

MOST_ENTRIES: Final = 500
_ORDER: Final = {"DELETE": 0, "POST": 1, "PUT": 2, "GET": 3, "HEAD": 3}
"""The order in which a transaction is worked off, whatever the order of its entries."""
_REASONS: Final = {200: "OK", 201: "Created", 204: "No Content", 304: "Not Modified"}


def process(service: Service, request: Request) -> Response:
    """Work a transaction or batch off."""
    from stepwedge.sim.fhir.service import Response

    bundle = service.given(request, "Bundle")
    kind, entries = bundle.get("type"), bundle.get("entry", [])
    if kind not in {"transaction", "batch"}:
        raise refused(400, "value", "only transactions and batches are taken here", "Bundle.type")
    if not isinstance(entries, list) or len(entries) > MOST_ENTRIES:
        raise refused(413, "too-costly", f"at most {MOST_ENTRIES} entries are taken", "Bundle.entry")
    shell = {**bundle, "entry": [{key: one[key] for key in one if key != "resource"} for one in entries]}
    if issues := [one for one in problems(shell) if one.text != "an empty object"]:
        raise FhirError(400, *issues)
    _once(entries)
    answers = (
        _transaction(service, entries, request)
        if kind == "transaction"
        else _batch(service, entries, request)
    )
    told = [_told(answer, service.base) for answer in answers]
    return Response(200, {"resourceType": "Bundle", "type": f"{kind}-response", "entry": told})


def _once(entries: list[Resource]) -> None:
    """Refuse a fullUrl that stands twice, and entries without request (bdl-7, bdl-3)."""
    seen: set[str] = set()
    for number, entry in enumerate(entries):
        if not isinstance(entry.get("request"), dict):
            raise refused(400, "required", "every entry needs a request", f"Bundle.entry[{number}].request")
        full = str(entry.get("fullUrl", ""))
        if full and full in seen:
            raise refused(400, "duplicate", "the same fullUrl twice", f"Bundle.entry[{number}].fullUrl")
        seen.add(full)


def _batch(service: Service, entries: list[Resource], request: Request) -> list[Response]:
    from stepwedge.sim.fhir.service import Response

    answers = []
    for entry in entries:
        try:
            answers.append(service.answer(_inner(entry, request)))
        except FhirError as error:
            answers.append(Response(error.status, fhir.outcome(error.issues)))
    return answers


def _transaction(service: Service, entries: list[Resource], request: Request) -> list[Response]:
    """Do every entry in one change; one that fails undoes them all."""
    answers: dict[int, Response] = {}
    named = {str(entry["fullUrl"]) for entry in entries if entry.get("fullUrl")}
    given: dict[str, str] = {}
    waiting = sorted(range(len(entries)), key=lambda number: _ORDER.get(_method(entries[number]), 9))
    reads = [number for number in waiting if _method(entries[number]) in {"GET", "HEAD"}]
    with service.changing():
        waiting = [number for number in waiting if number not in reads]
        while waiting:
            ready = [n for n in waiting if not (_needs(entries[n].get("resource")) & named - set(given))]
            if not ready:
                raise refused(400, "invalid", "entries refer to each other in a circle", "Bundle.entry")
            first = ready[0]
            waiting.remove(first)
            entry = entries[first]
            resolved = _resolved(service, entry.get("resource"), given)
            answers[first] = _one(service, {**entry, "resource": resolved}, request, first)
            location = answers[first].headers.get("Location", "")
            if entry.get("fullUrl") and (ref := fhir.reference(location)):
                given[str(entry["fullUrl"])] = f"{ref.kind}/{ref.id}"
    for number in reads:
        answers[number] = _one(service, entries[number], request, number)
    return [_current(service, answers[number]) for number in range(len(entries))]


def _method(entry: Resource) -> str:
    return str(entry["request"].get("method", ""))


def _one(service: Service, entry: Resource, request: Request, number: int) -> Response:
    try:
        return service.answer(_inner(entry, request))
    except FhirError as error:
        where = f"Bundle.entry[{number}]"
        told = [
            replace(one, text=f"{where}: {one.text}", expression=one.expression or where)
            for one in error.issues
        ]
        raise FhirError(error.status, *told) from error


def _current(service: Service, answer: Response) -> Response:
    """Return an answer with the resource as the whole transaction left it."""
    location = fhir.reference(answer.headers.get("Location", ""))
    if location is None or answer.resource is None:
        return answer
    version = service.source.latest(location.kind, location.id)
    return replace(answer, resource=version.resource) if version and version.text else answer


def _inner(entry: Resource, request: Request) -> Request:
    """Return the request an entry stands for."""
    asked = entry["request"]
    path, _, query = str(asked.get("url", "")).partition("?")
    headers = {"content-type": fhir.MEDIA_TYPE, "prefer": request.headers.get("prefer", "")}
    for name, header in (
        ("ifNoneExist", "if-none-exist"),
        ("ifMatch", "if-match"),
        ("ifNoneMatch", "if-none-match"),
    ):
        if name in asked:
            headers[header] = str(asked[name])
    if not path:
        raise refused(400, "invalid", "a bundle inside a bundle is not taken")
    body = fhir.write(entry["resource"]) if entry.get("resource") else b""
    return replace(
        request, method=str(asked.get("method", "")), path=path, query=query, headers=headers, body=body
    )


def _needs(resource: Any) -> set[str]:
    return {str(one["reference"]) for one in fhir.walk(resource) if isinstance(one.get("reference"), str)}


def _resolved(service: Service, value: Any, given: dict[str, str]) -> Any:
    """Return a resource whose references to other entries, and conditional ones, are those of the server."""
    if isinstance(value, list):
        return [_resolved(service, one, given) for one in value]
    if not isinstance(value, dict):
        return value
    found = {key: _resolved(service, item, given) for key, item in value.items()}
    text = found.get("reference")
    if isinstance(text, str):
        if text in given:
            found["reference"] = given[text]
        elif "?" in text and text.partition("?")[0] in service.offers:
            kind, _, query = text.partition("?")
            there = service.select(fhir_search.parse(kind, parse_qsl(query), strict=True))
            if len(there) != 1:
                raise refused(412, "multiple-matches", f"{len(there)} resources match {text[:80]}")
            found["reference"] = f"{kind}/{there[0]['id']}"
    return found


def _told(answer: Response, base: str) -> Resource:
    status = f"{answer.status} {_REASONS.get(answer.status, '')}".strip()
    response: Resource = {"status": status}
    if location := answer.headers.get("Location"):
        response["location"] = location.removeprefix(f"{base}/")
    if etag := answer.headers.get("ETag"):
        response["etag"] = etag
    entry: Resource = {"response": response}
    failed = answer.status >= 400  # noqa: PLR2004 - RFC 9110: 4xx and 5xx
    if failed and answer.resource is not None:
        response["outcome"] = answer.resource
    elif answer.resource is not None:
        entry["resource"] = answer.resource
    if (ref := fhir.reference(answer.headers.get("Location", ""))) is not None:
        entry["fullUrl"] = f"{base}/{ref.kind}/{ref.id}"
    return entry
