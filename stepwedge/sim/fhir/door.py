"""The HTTP listener of a FHIR server, and what brings resources to another one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import NoAnswer
from stepwedge.sim import keys
from stepwedge.sim.fhir.service import Request, Response
from stepwedge.sim.outbox import Delivery
from stepwedge.sim.resources.naming import keys_of
from stepwedge.sim.web import WebDoor, note
from stepwedge.wire import fhir
from stepwedge.wire.fhir import FhirError, refused

if TYPE_CHECKING:
    from starlette.types import Receive, Scope
    from starlette.types import Send as AsgiSend

    from stepwedge.sim.address import Address
    from stepwedge.sim.bench import Bench
    from stepwedge.sim.fhir.offer import Offer
    from stepwedge.sim.fhir.service import Service
    from stepwedge.sim.store import Send
    from stepwedge.sim.web_client import Web

ROOT: Final = "/fhir"
SERVER_ERROR: Final = 500
_DECIDED: Final = frozenset({409, 412})
"""Answers that are a decision of the receiver's books, for whoever asked to act upon; not a fault of the message."""


class FhirDoor(WebDoor):
    """A FHIR base below ``/fhir`` on the bench's ``fhir`` port."""

    def __init__(self, bench: Bench, service: Service) -> None:
        """Serve one FHIR server."""
        super().__init__(bench, self._serve, ROOT, door="fhir")
        self._service = service

    @property
    def offers(self) -> tuple[Offer, ...]:
        """What ``/metadata`` tells of, type by type."""
        return tuple(self._service.offers.values())

    async def start(self) -> Address:
        """Listen, and let the server know what it is called."""
        address = await super().start()
        self._service.base = address.fhir or ""
        return address

    async def _serve(self, scope: Scope, receive: Receive, send: AsgiSend) -> None:
        try:
            asked = await _asked(scope, receive)
        except FhirError as error:
            answer, body = Response(error.status, fhir.outcome(error.issues)), b""
        else:
            answer, body = self._service.handle(asked), asked.body
        told = fhir.write(answer.resource) if answer.resource is not None else b""
        self._note(scope, answer, body)
        headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in answer.headers.items()]
        headers.append((b"content-length", str(len(told)).encode()))
        if told:
            headers.append((b"content-type", f"{fhir.MEDIA_TYPE}; charset=utf-8".encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        shown = b"" if scope["method"] == "HEAD" else told
        await send({"type": "http.response.body", "body": shown})

    def _note(self, scope: Scope, answer: Response, body: bytes) -> None:
        """Tell the journal whom and what the exchange speaks of; keep nothing of who is not synthetic."""
        told = note(scope)
        if any(issue.get("code") == "security" for issue in (answer.resource or {}).get("issue", ())):
            told.hidden = True
            return
        told.keys = keys.merge(_keys(body), keys_of(answer.resource or {}))


def _keys(body: bytes) -> dict[str, list[str]]:
    try:
        return keys_of(fhir.read(body)) if body else {}
    except FhirError:
        return {}


def _too_large() -> FhirError:
    return refused(413, "too-costly", f"at most {fhir.LARGEST} bytes are taken")


async def _asked(scope: Scope, receive: Receive) -> Request:
    """Read one request, its body no further than a resource may be long."""
    path = scope["path"].removeprefix(ROOT)
    if not scope["path"].startswith(ROOT) or path[:1] not in {"", "/"}:
        raise refused(404, "not-found", f"the FHIR base is {ROOT}")
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    said = headers.get("content-length", "")
    if said.isdigit() and int(said) > fhir.LARGEST:  # no need to wait for what will not be taken
        raise _too_large()
    pieces, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise refused(400, "incomplete", "the client went away")
        size += len(message.get("body", b""))
        if size > fhir.LARGEST:
            raise _too_large()
        pieces.append(message.get("body", b""))
        more = message.get("more_body", False)
    query = scope["query_string"].decode("latin-1")
    return Request(scope["method"], path.strip("/") if path != "/" else "", query, headers, b"".join(pieces))


def errand(method: str, path: str, resource: fhir.Resource, **headers: str) -> bytes:
    """Write what :class:`FhirSender` brings to a FHIR server, as the body of a ``Send``."""
    body = fhir.write(resource).decode()
    return json.dumps({"method": method, "path": path, "headers": headers, "body": body}).encode()


class FhirSender:
    """Brings resources to the FHIR servers of other actors."""

    def __init__(self, bench: Bench, web: Web) -> None:
        """Send through the web client of a system."""
        self._bench, self._web = bench, web

    def check(self, send: Send) -> None:
        """Make sure that the destination has a FHIR server."""
        self._bench.directory.door(send.to, "fhir")

    async def __call__(self, send: Send) -> Delivery:
        """Send once and return the receiver's decision; a server in trouble (5xx) has not decided."""
        asked: dict[str, Any] = json.loads(send.body)
        headers = {"Content-Type": fhir.MEDIA_TYPE, "Accept": fhir.MEDIA_TYPE, **asked["headers"]}
        body = asked["body"].encode()
        answer = await self._web.ask(
            send.to,
            asked["method"],
            asked["path"],
            headers=headers,
            body=body,
            case=send.case,
            found=_keys(body),
            door="fhir",
        )
        code = str(answer.status)
        if answer.status >= SERVER_ERROR:
            raise NoAnswer(f"{send.to} answered HTTP {code}")
        if answer.status < 300 or answer.status in _DECIDED:  # noqa: PLR2004 - RFC 9110: 2xx is success
            return Delivery(answer.body, code=code)
        try:
            said = fhir.diagnostics(fhir.read(answer.body))
        except FhirError:
            said = ""
        return Delivery(answer.body, f"HTTP {code}: {said or 'no reason given'}", code)

    async def close(self) -> None:
        """The web client is closed by its owner."""
