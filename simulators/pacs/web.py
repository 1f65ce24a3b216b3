"""The archive's DICOMweb side: QIDO-RS and STOW-RS (PS3.18 sections 10.6 and 10.5); WADO-RS is in ``wado``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from stepwedge.errors import LocalProtocolError, RemoteProtocolError
from stepwedge.sim.bearer import only_patient
from stepwedge.sim.full import INSUFFICIENT_STORAGE, OUT_OF_RESOURCES
from stepwedge.sim.keys import add
from stepwedge.sim.web import note
from stepwedge.wire import accept, dicomjson, multipart, part10
from stepwedge.wire.dictionary import describe, find

from . import query
from .negotiate import Agreement
from .paths import PATH_KEYS, ROOT, root_of
from .vault import CANNOT_UNDERSTAND, COMMENT_LIMIT
from .wado import Wado, wishes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import Request

    from .vault import Vault

Elements = dict[str, Any]

LARGEST_BODY: Final = 1 << 30
JSON: Final = "application/dicom+json"
ALWAYS: Final = {
    # PS3.18 tables 10.6.3-3 to 10.6.3-5: what a result holds without being asked
    "STUDY": [
        "StudyDate",
        "StudyTime",
        "AccessionNumber",
        "InstanceAvailability",
        "ModalitiesInStudy",
        "ReferringPhysicianName",
        "PatientName",
        "PatientID",
        "PatientBirthDate",
        "PatientSex",
        "StudyInstanceUID",
        "StudyID",
        "NumberOfStudyRelatedSeries",
        "NumberOfStudyRelatedInstances",
    ],
    "SERIES": [
        "Modality",
        "SeriesDescription",
        "SeriesInstanceUID",
        "SeriesNumber",
        "NumberOfSeriesRelatedInstances",
        "PerformedProcedureStepStartDate",
        "PerformedProcedureStepStartTime",
        "RequestAttributesSequence",
        "StudyInstanceUID",
    ],
    "IMAGE": [
        "SOPClassUID",
        "SOPInstanceUID",
        "InstanceNumber",
        "Rows",
        "Columns",
        "BitsAllocated",
        "NumberOfFrames",
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "InstanceAvailability",
    ],
}
NOT_KEYS: Final = frozenset({"fuzzymatching", "accept"})
"""Query parameters that are neither keys nor paging (PS3.18 sections 8.3.3.1 and 8.3.4.2)."""
LEVEL: Final = {"studies": "STUDY", "series": "SERIES", "instances": "IMAGE"}


class BadQuery(Exception):
    """A request that is answered 400 with this text."""


def search_keys(parameters: Iterable[tuple[str, str]]) -> tuple[Elements, set[str], int, int | None]:
    """Read the query of a search: matching keys, included fields, offset and limit (PS3.18 section 8.3.4)."""
    keys: Elements = {}
    included: set[str] = set()
    offset, limit = 0, None
    for name, value in parameters:
        if name == "includefield":
            included |= {"all" if one == "all" else keyword(one) for one in value.split(",")}
        elif name in {"limit", "offset"}:
            if not value.isdigit():
                raise BadQuery(f"{name} must be a number, not {value!r}")
            offset, limit = (int(value), limit) if name == "offset" else (offset, int(value))
        elif name not in NOT_KEYS:
            *outer, last = [keyword(part) for part in name.split(".")]
            place = keys
            for sequence in outer:
                place = place.setdefault(sequence, [{}])[0]
            place[last] = value.replace(",", "\\") if last.endswith("UID") else value
    return keys, included, offset, limit


def keyword(text: str) -> str:
    """Return the keyword for a keyword or a tag of eight hexadecimal digits."""
    try:
        return describe(find(text)[0])[0]
    except LocalProtocolError as error:
        raise BadQuery(str(error)) from error


class Web:
    """The handlers of one archive's DICOMweb root."""

    def __init__(self, vault: Vault, retrieve_ae: str) -> None:
        self._vault = vault
        self._ae = retrieve_ae
        self._wado = Wado(vault)

    def application(self, *others: Route) -> Starlette:
        """Return the ASGI application, with the routes of other services of this root."""
        study, series = "/studies/{study}", "/series/{series}"
        routes = [
            Route(ROOT + path, self._search, methods=["GET"])
            for path in ("/{level:str}", study + "/{level:str}", study + series + "/{level:str}")
        ]
        retrieves = self._wado.routes()
        stores = [Route(ROOT + path, self._store, methods=["POST"]) for path in ("/studies", study)]
        return Starlette(
            routes=[*others, *stores, *retrieves, *routes],
            exception_handlers={
                kind: lambda _, error: PlainTextResponse(str(error), 400)
                for kind in (BadQuery, RemoteProtocolError)
            },
        )

    # --- QIDO-RS

    async def _search(self, request: Request) -> Response:
        level = LEVEL.get(request.path_params["level"])
        if level is None:
            return PlainTextResponse("no such resource (PS3.18 section 10.1)", 404)
        if not any(
            accept.chosen(wishes(request), kind, multipart=False) for kind in (JSON, "application/json")
        ):
            return PlainTextResponse("results are told as application/dicom+json (PS3.18 table 8.7.3-2)", 406)
        keys, included, offset, limit = search_keys(request.query_params.multi_items())
        agreed = Agreement(fuzzy=self._vault.archive.habits.fuzzy(_fuzzy(request)))
        keys |= _path_keys(request)
        archive = self._vault.archive
        rows = query.select(archive, level, keys, agreed)
        if patient := only_patient(request.scope):
            rows = [row for row in rows if row.get("PatientID") == patient]
        shown = rows[offset:][:limit]
        wanted = {*ALWAYS[level], *(key for key in keys if key in query.KEPT), *included}
        results = [self._result(row, wanted, request) for row in shown]
        if not results:
            return Response(status_code=204)
        headers = (
            {"Warning": '299 stepwedge "there are more results"'} if offset + len(shown) < len(rows) else None
        )
        return Response(dicomjson.dumps(results), media_type=JSON, headers=headers)

    def _result(self, row: Elements, wanted: set[str], request: Request) -> Elements:
        told = {key: value for key, value in row.items() if "all" in wanted or key in wanted}
        return query.with_charset(told, row) | {
            "RetrieveURL": _retrieve_url(request, row),
            "RetrieveAETitle": self._ae,
        }

    # --- STOW-RS

    async def _store(self, request: Request) -> Response:
        try:
            kind, named = multipart.parameters(request.headers.get("content-type", ""))
            if kind != "multipart/related" or named.get("type", "application/dicom") != "application/dicom":
                return PlainTextResponse(
                    "multipart/related; type=application/dicom is what can be stored", 415
                )
            if request.headers.get("content-encoding", "identity") != "identity":
                return PlainTextResponse("a body is taken as it is, without Content-Encoding", 415)
            if (received := await _bounded_body(request)) is None:
                return PlainTextResponse(f"at most {LARGEST_BODY} bytes can be stored at once", 413)
            parts = multipart.decode(received, request.headers["content-type"])
        except RemoteProtocolError as error:
            return PlainTextResponse(str(error), 400)
        stored: list[Elements] = []
        failed: list[Elements] = []
        for part in parts:
            done, result = self._take(part.body, request)
            (stored if done else failed).append(result)
        answer: Elements = {
            "RetrieveURL": f"{root_of(request)}/studies/{request.path_params.get('study', '')}".rstrip("/")
        }
        if stored:
            answer["ReferencedSOPSequence"] = stored
        if failed:
            answer["FailedSOPSequence"] = failed
        status = 200 if not failed and stored else 202 if stored else 409
        if not stored and all(one.get("FailureReason") == OUT_OF_RESOURCES for one in failed):
            status = INSUFFICIENT_STORAGE
        body = json.dumps(dicomjson.encode(answer))  # one object, not an array (PS3.18 annex I)
        return Response(body, status, media_type=JSON)

    def _take(self, raw: bytes, request: Request) -> tuple[bool, Elements]:
        try:
            part = part10.read(raw)
        except RemoteProtocolError as error:
            return False, {"FailureReason": CANNOT_UNDERSTAND, "ErrorComment": str(error)[:COMMENT_LIMIT]}
        reference = {"ReferencedSOPClassUID": part.sop_class, "ReferencedSOPInstanceUID": part.sop_instance}
        filing = self._vault.take(
            part.sop_class,
            part.sop_instance,
            part.transfer_syntax,
            part.data,
            "STOW-RS",
            study=request.path_params.get("study", ""),
        )
        keys = note(request.scope).keys
        keys.setdefault("sop", []).append(part.sop_instance)
        if not filing.status and (kept := self._vault.archive.instances.get(part.sop_instance)) is not None:
            add(keys, "study", kept.study)
            add(keys, "patient", str(kept.header.get("PatientID", "")))
        if filing.status:
            return False, {**reference, "FailureReason": filing.status, "ErrorComment": filing.comment}
        instance = self._vault.archive.instances.get(part.sop_instance)
        where = (
            f"{root_of(request)}/studies/{instance.study}/series/{instance.series}/instances/{instance.sop}"
            if instance
            else f"{root_of(request)}/studies"
        )
        return True, {**reference, "RetrieveURL": where}


async def _bounded_body(request: Request) -> bytes | None:
    """Return the body, or None as soon as it is too large."""
    said = request.headers.get("content-length", "")
    if said.isdigit() and int(said) > LARGEST_BODY:
        return None
    pieces, size = [], 0
    async for piece in request.stream():
        size += len(piece)
        if size > LARGEST_BODY:
            return None
        pieces.append(piece)
    return b"".join(pieces)


def _path_keys(request: Request) -> Elements:
    return {PATH_KEYS[name]: value for name, value in request.path_params.items() if name in PATH_KEYS}


def _fuzzy(request: Request) -> bool:
    wanted = request.query_params.get("fuzzymatching", "false").lower()
    if wanted not in {"true", "false"}:
        raise BadQuery(f"fuzzymatching must be true or false, not {wanted!r} (PS3.18 section 8.3.4.2)")
    return wanted == "true"


def _retrieve_url(request: Request, row: Elements) -> str:
    url = root_of(request)
    for name, key in (
        ("studies", "StudyInstanceUID"),
        ("series", "SeriesInstanceUID"),
        ("instances", "SOPInstanceUID"),
    ):
        if key not in row:
            break
        url += f"/{name}/{row[key]}"
    return url
