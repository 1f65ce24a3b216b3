"""The FHIR door of the audit record repository: read and search of AuditEvent, nothing that writes."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from stepwedge.errors import BadInput
from stepwedge.sim.web_client import AGENT

from .search import NAMES, bundle, resource, search

if TYPE_CHECKING:
    from starlette.requests import Request

    from .door import Door
    from .state import Repository

ROOT = "/fhir"
FHIR_JSON = "application/fhir+json"


class Web:
    """Answers from the repository; every look into the log is itself recorded (PS3.15 A.5.3.2)."""

    def __init__(self, repository: Repository, door: Door) -> None:
        self._repository = repository
        self._door = door

    def application(self) -> Starlette:
        """Return the ASGI application."""
        return Starlette(
            routes=[
                Route(f"{ROOT}/metadata", self._metadata),
                Route(f"{ROOT}/AuditEvent", self._search),
                Route(f"{ROOT}/AuditEvent/{{number}}", self._read),
            ],
            exception_handlers={404: _unknown, 405: _unknown},
        )

    async def _metadata(self, _: Request) -> Response:
        parameters = [
            {"name": name, "type": "date" if name == "date" else "token"}
            for name in NAMES
            if not name.startswith("_")
        ]
        audit = {
            "type": "AuditEvent",
            "interaction": [{"code": "read"}, {"code": "search-type"}],
            "searchParam": parameters,
        }
        return _json(
            {
                "resourceType": "CapabilityStatement",
                "status": "active",
                "date": "2026-11-24",
                "kind": "instance",
                "implementation": {"description": "Stepwedge audit record repository"},
                "fhirVersion": "4.0.1",
                "format": ["json"],
                "rest": [{"mode": "server", "resource": [audit]}],
            }
        )

    async def _search(self, request: Request) -> Response:
        query = request.url.query
        try:
            page = search(self._repository, request.query_params.multi_items())
        except BadInput as trouble:
            return _outcome(400, "invalid", str(trouble))
        self._door.used(_who(request), query)
        return _json(bundle(page, f"{request.url.scheme}://{request.url.netloc}{ROOT}", query))

    async def _read(self, request: Request) -> Response:
        record = self._repository.records.get(request.path_params["number"])
        if record is None or not record.event:
            return _outcome(404, "not-found", "there is no such AuditEvent")
        self._door.used(_who(request), f"AuditEvent/{record.number}")
        return _json(resource(record))


def _who(request: Request) -> str:
    agent = request.headers.get("user-agent", "")
    return (agent.removeprefix(AGENT) or (request.client.host if request.client else "?"))[:256]


async def _unknown(_: Request, trouble: Exception) -> Response:
    code = int(getattr(trouble, "status_code", 404))
    kind = "not-found" if code == HTTPStatus.NOT_FOUND else "not-supported"
    return _outcome(code, kind, "AuditEvent can be read and searched here")


def _outcome(code: int, kind: str, text: str) -> Response:
    issue = {"severity": "error", "code": kind, "diagnostics": text}
    return _json({"resourceType": "OperationOutcome", "issue": [issue]}, code)


def _json(value: dict[str, Any], code: int = 200) -> Response:
    body = json.dumps(value, ensure_ascii=False).encode()
    return Response(body, code, {"Cache-Control": "no-store"}, FHIR_JSON)
