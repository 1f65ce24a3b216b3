"""The archive's worklist service over DICOMweb (UPS-RS, PS3.18 section 11), without an event channel of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from stepwedge.errors import RemoteProtocolError
from stepwedge.evidence.redact import refusal
from stepwedge.sim.bearer import only_patient
from stepwedge.sim.web import note
from stepwedge.wire import dicomjson

from . import ups
from .paths import ROOT, root_of
from .state import patient_key
from .web import JSON, BadQuery, search_keys

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from stepwedge.sim.bench import Bench

    from .state import Archive
    from .ups import Outcome
    from .ups_watching import Watchers

Elements = dict[str, Any]

LARGEST: Final = 1 << 20
"""Bytes of a workitem."""
LONGEST_UID: Final = 64
FORBIDDEN: Final = 403
PARAMETER: Final = "transaction-uid"
NAMES: Final = ("workitem", "AffectedSOPInstanceUID")
"""How a creation may name its UID, beside the bare ``?1.2.3``."""


class Worklist:
    """The handlers."""

    def __init__(self, bench: Bench, archive: Archive, watchers: Watchers) -> None:
        self._bench = bench
        self._archive = archive
        self._watchers = watchers

    def routes(self) -> list[Route]:
        """Return the resources (PS3.18 table 11.1.1-1)."""
        item = ROOT + "/workitems/{workitem}"
        return [
            Route(ROOT + "/workitems", self._search, methods=["GET"]),
            Route(ROOT + "/workitems", self._create, methods=["POST"]),
            Route(item, self._retrieve, methods=["GET"]),
            Route(item, self._update, methods=["POST"]),
            Route(item + "/state", self._state, methods=["PUT"]),
            Route(item + "/cancelrequest", self._cancel, methods=["POST"]),
        ]

    async def _search(self, request: Request) -> Response:
        keys, _, offset, limit = search_keys(request.query_params.multi_items())
        patient = only_patient(request.scope)
        rows = [row for row in ups.found(self._archive, keys) if patient in {"", row.get("PatientID")}]
        results = rows[offset:][:limit]
        if not results:
            return Response(status_code=204)
        more = offset + len(results) < len(rows)
        headers = {"Warning": '299 stepwedge "there are more results"'} if more else None
        return Response(dicomjson.dumps(results), media_type=JSON, headers=headers)

    async def _retrieve(self, request: Request) -> Response:
        known = self._known(request)
        if known is None:
            return PlainTextResponse("no such workitem", ups.NOT_FOUND)
        return Response(dicomjson.dumps([ups.shown(self._archive, known)]), media_type=JSON)

    async def _create(self, request: Request) -> Response:
        given = await _elements(request)
        parameters = request.query_params
        bare = [name for name, value in parameters.items() if not value and name[:1].isdigit()]
        asked = next((parameters[name] for name in NAMES if name in parameters), (bare or [""])[0])
        uid = str(asked or given.get("SOPInstanceUID") or "")
        patient = str(given.get("PatientID") or "")
        if why := refusal(
            self._bench.identity, patients=[patient] if patient else [], uids=[uid] if uid else []
        ):
            note(request.scope).hidden = True
            return PlainTextResponse(why, FORBIDDEN)
        with self._bench.change(self._archive) as change:
            uid = uid or self._archive.mint("workitems").uid("workitem")
            if not _is_uid(uid):
                raise BadQuery(f"{uid[:80]!r} is no UID")
            key = patient_key(patient, str(given.get("IssuerOfPatientID") or "")) if patient else ""
            before = self._archive.workitems.get(uid)
            outcome = ups.create(self._archive, uid, given, key)
            self._watchers.changed(change, uid, before)
        where = f"{root_of(request)}/workitems/{uid}"
        headers = {"Location": where, "Content-Location": where} if outcome.status == ups.CREATED else {}
        return _answer(outcome, headers)

    async def _update(self, request: Request) -> Response:
        given = await _elements(request)
        transaction = str(request.query_params.get(PARAMETER) or given.get("TransactionUID") or "")
        return self._changed(request, lambda uid: ups.update(self._archive, uid, given, transaction))

    async def _state(self, request: Request) -> Response:
        given = await _elements(request)
        wanted = str(given.get("ProcedureStepState") or "")
        transaction = str(given.get("TransactionUID") or "")
        return self._changed(request, lambda uid: ups.change_state(self._archive, uid, wanted, transaction))

    async def _cancel(self, request: Request) -> Response:
        given = await _elements(request) if int(request.headers.get("content-length") or 0) else {}
        uid = self._named(request)
        reachable = any(self._watchers.receivers(uid))
        with self._bench.change(self._archive) as change:
            before, now = self._archive.workitems.get(uid), self._bench.clock.now()
            outcome = ups.request_cancel(self._archive, uid, given, now, reachable=reachable)
            self._watchers.changed(change, uid, before)
            if outcome == ups.Outcome(ups.ACCEPTED) and before is self._archive.workitems.get(uid):
                self._watchers.cancel_requested(change, uid, given, "")
        return _answer(outcome)

    def _changed(self, request: Request, decide: Callable[[str], Outcome]) -> Response:
        """Answer a request that may change its workitem, and tell who watches."""
        uid = self._named(request)
        with self._bench.change(self._archive) as change:
            before = self._archive.workitems.get(uid)
            outcome = decide(uid)
            self._watchers.changed(change, uid, before)
        return _answer(outcome)

    def _named(self, request: Request) -> str:
        """Return the UID of the path; one that this requester may not see is unknown."""
        return str(request.path_params["workitem"]) if self._known(request) else ""

    def _known(self, request: Request) -> ups.Workitem | None:
        known = self._archive.workitems.get(request.path_params["workitem"])
        if known is None:
            return None
        told = ups.shown(self._archive, known)
        found = note(request.scope).keys
        for kind, name in (("study", "StudyInstanceUID"), ("patient", "PatientID")):
            if told.get(name):
                found[kind] = [str(told[name])]
        return known if only_patient(request.scope) in {"", told.get("PatientID")} else None


async def _elements(request: Request) -> Elements:
    """Return the one data set of a body in the DICOM JSON model."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if kind not in {JSON, "application/json"}:
        raise BadQuery(f"a workitem comes as {JSON}")
    pieces, size = [], 0
    async for piece in request.stream():
        size += len(piece)
        if size > LARGEST:
            raise BadQuery(f"a workitem has {LARGEST} bytes at most")
        pieces.append(piece)
    body = b"".join(pieces)
    found = dicomjson.loads(body if body.lstrip()[:1] == b"[" else b"[" + body + b"]")
    if len(found) != 1:
        raise RemoteProtocolError(f"one workitem is expected, found {len(found)}")
    return found[0]


def _answer(outcome: Outcome, headers: dict[str, str] | None = None) -> Response:
    told = dict(headers or {})
    if outcome.text:
        told["Warning"] = f'299 stepwedge "{outcome.text}"'
    return Response(outcome.text, outcome.status, told, "text/plain" if outcome.text else None)


def _is_uid(text: str) -> bool:
    parts = text.split(".")
    return (
        len(text) <= LONGEST_UID
        and len(parts) > 1
        and all(part.isascii() and part.isdigit() for part in parts)
    )
