"""The probe's question to an audit record repository: FHIR search of AuditEvent, as ITI-81 has it."""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode, urlsplit

from stepwedge.actors.asking import ASK_SECONDS
from stepwedge.actors.witness import Asked, Witness
from stepwedge.errors import Broken, LinkLost, NoAnswer, Refused, RemoteProtocolError
from stepwedge.evidence.exchange import Payload
from stepwedge.sim import keys
from stepwedge.wire import tls

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stepwedge.actors.cast import Cast

LARGEST: Final = 64 << 20
"""Octets of one page that are read."""
PAGE: Final = 1000
MOST_PAGES: Final = 50
_OK: Final = 200


def audit_events(cast: Cast, actor: str, wanted: Mapping[str, str]) -> Asked:
    """Return all AuditEvents that match search parameters, as resources, following every page."""
    root = cast[actor].address.web
    if root is None:
        raise Broken(f"{actor} has no web address in the lab file, so its audit records cannot be asked for")
    found: list[dict[str, Any]] = []
    evidence: list[int] = []
    path = f"{urlsplit(root).path}/AuditEvent?{urlencode({**wanted, '_count': PAGE})}"
    for _ in range(MOST_PAGES):
        bundle, number = _page(cast, actor, root, path)
        evidence.append(number)
        found += [entry["resource"] for entry in bundle.get("entry", ())]
        following = next((link["url"] for link in bundle.get("link", ()) if link["relation"] == "next"), "")
        if not following:
            return Asked(found, tuple(evidence))
        parts = urlsplit(following)
        path = f"{parts.path}?{parts.query}"  # never to another host than the lab file names
    raise RemoteProtocolError(f"{actor} answers a search with more than {MOST_PAGES} pages")


def _page(cast: Cast, actor: str, root: str, path: str) -> tuple[dict[str, Any], int]:
    place = urlsplit(root)
    short, _, query = path.removeprefix(place.path).partition("?")
    facts = {"path": short, "query": query}
    witness = Witness(cast, actor, "web", f"GET {short}", facts, keys.of_url(short, query))
    witness.request = Payload.of(f"GET {short}?{query}".encode())
    with witness.watching():
        seconds = ASK_SECONDS * cast.patience
        context = cast.context(tls=place.scheme == "https")
        host = place.hostname or ""
        link = (
            http.client.HTTPSConnection(host, place.port, timeout=seconds, context=context)
            if context
            else http.client.HTTPConnection(host, place.port, timeout=seconds)
        )
        try:
            headers = {"Accept": "application/fhir+json", "User-Agent": f"Stepwedge/{cast.probe}"}
            if bearer := cast.bearer(root):
                headers["Authorization"] = f"Bearer {bearer()}"
            link.request("GET", path, headers=headers)
            answer = link.getresponse()
            body = answer.read(LARGEST + 1)
        except TimeoutError:
            raise NoAnswer(f"{actor} did not answer the search within {seconds:g} s") from None
        except (OSError, http.client.HTTPException) as trouble:
            raise tls.refusal(trouble, actor) or LinkLost(f"{actor}: {trouble!r}") from trouble
        finally:
            link.close()
        witness.outcome, witness.response = str(answer.status), Payload.of(body[: LARGEST + 1])
        if answer.status != _OK:
            raise Refused(f"{actor} answered the search with HTTP {answer.status}")
        return _bundle(actor, body), witness.number


def _bundle(actor: str, body: bytes) -> dict[str, Any]:
    if len(body) > LARGEST:
        raise RemoteProtocolError(f"{actor} answers with more than {LARGEST} octets")
    try:
        bundle = json.loads(body)
        resources = [entry["resource"]["resourceType"] for entry in bundle.get("entry", ())]
    except (ValueError, KeyError, TypeError, AttributeError) as trouble:
        raise RemoteProtocolError(f"{actor} answers a search with no FHIR Bundle: {trouble!r}") from None
    if bundle.get("resourceType") != "Bundle" or set(resources) - {"AuditEvent", "OperationOutcome"}:
        raise RemoteProtocolError(f"{actor} answers a search of AuditEvent with {sorted(set(resources))}")
    bundle["entry"] = [
        one for one in bundle.get("entry", ()) if one["resource"]["resourceType"] == "AuditEvent"
    ]
    return dict(bundle)
