"""The archive's DICOMweb side: QIDO-RS, WADO-RS and STOW-RS (PS3.18 section 10)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from stepwedge.errors import LocalProtocolError, RemoteProtocolError
from stepwedge.sim.bearer import only_patient
from stepwedge.sim.web import note
from stepwedge.wire import dicomjson, multipart, part10
from stepwedge.wire.dictionary import describe, find
from stepwedge.wire.elements import EXPLICIT_LE, IMPLICIT_LE, decode, recode
from stepwedge.wire.results import Instance as StoredInstance

from . import query
from .vault import CANNOT_UNDERSTAND, COMMENT_LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import Request

    from .state import Instance
    from .vault import Vault

Elements = dict[str, Any]

ROOT: Final = "/dicom-web"
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
LEVEL: Final = {"studies": "STUDY", "series": "SERIES", "instances": "IMAGE"}
PATH_KEYS: Final = {"study": "StudyInstanceUID", "series": "SeriesInstanceUID", "instance": "SOPInstanceUID"}


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
        elif name != "fuzzymatching":
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

    def application(self) -> Starlette:
        """Return the ASGI application."""
        study, series, instance = "/studies/{study}", "/series/{series}", "/instances/{instance}"
        routes = [
            Route(ROOT + path, self._search, methods=["GET"])
            for path in ("/{level:str}", study + "/{level:str}", study + series + "/{level:str}")
        ]
        retrieves = [
            Route(ROOT + path + suffix, handler, methods=["GET"])
            for path in (study, study + series, study + series + instance)
            for suffix, handler in (("", self._retrieve), ("/metadata", self._metadata))
        ]
        frames = Route(ROOT + study + series + instance + "/frames/{frames}", self._frames, methods=["GET"])
        stores = [Route(ROOT + path, self._store, methods=["POST"]) for path in ("/studies", study)]
        return Starlette(
            routes=[*stores, frames, *retrieves, *routes],
            exception_handlers={BadQuery: lambda _, error: PlainTextResponse(str(error), 400)},
        )

    # --- QIDO-RS

    async def _search(self, request: Request) -> Response:
        level = LEVEL.get(request.path_params["level"])
        if level is None:
            return PlainTextResponse("no such resource (PS3.18 section 10.1)", 404)
        keys, included, offset, limit = search_keys(request.query_params.multi_items())
        keys |= _path_keys(request)
        archive = self._vault.archive
        rows = query.select(archive, level, keys)
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

    # --- WADO-RS

    def _found(self, request: Request) -> list[Instance]:
        archive = self._vault.archive
        asked = query.requested(archive, _path_keys(request))
        if patient := only_patient(request.scope):
            asked = [one for one in asked if archive.person_of(one).id == patient]
        return archive.habits.delivers(asked)

    async def _retrieve(self, request: Request) -> Response:
        if not (instances := self._found(request)):
            return PlainTextResponse("nothing is stored under these UIDs", 404)
        body, content_type = multipart.encode([self._file(one) for one in instances], "application/dicom")
        note(request.scope).keys["sop"] = [one.sop for one in instances]
        return Response(body, media_type=content_type)

    def _file(self, one: Instance) -> bytes:
        """Return a DICOM file; implicit encoding becomes explicit, as PS3.18 section 8.7.3.5.2 has it by default."""
        data, syntax = self._vault.give(one), one.transfer_syntax
        if syntax == IMPLICIT_LE:
            data, syntax = recode(data, explicit=False, to_explicit=True), EXPLICIT_LE
        return part10.write(StoredInstance(one.sop_class, one.sop, syntax, data))

    async def _metadata(self, request: Request) -> Response:
        if not (instances := self._found(request)):
            return PlainTextResponse("nothing is stored under these UIDs", 404)
        results = []
        for one in instances:
            elements = decode(
                self._vault.give(one), explicit=one.transfer_syntax != IMPLICIT_LE, stop_before_pixels=True
            )
            base = f"{_root(request)}/studies/{one.study}/series/{one.series}/instances/{one.sop}"
            results.append(elements | {"PixelData": dicomjson.Bulk(f"{base}/frames/1"), "RetrieveURL": base})
        return Response(dicomjson.dumps(results), media_type=JSON)

    async def _frames(self, request: Request) -> Response:
        if len(instances := self._found(request)) != 1:
            return PlainTextResponse("nothing is stored under these UIDs", 404)
        one = instances[0]
        elements = decode(self._vault.give(one), explicit=one.transfer_syntax != IMPLICIT_LE)
        pixels, count = elements.get("PixelData", b""), int(elements.get("NumberOfFrames") or 1)
        wanted = request.path_params["frames"].split(",")
        if one.transfer_syntax not in {IMPLICIT_LE, EXPLICIT_LE}:
            return PlainTextResponse("frames of compressed images are not offered", 406)
        if not all(number.isdigit() and 0 < int(number) <= count for number in wanted):
            return PlainTextResponse(f"the image has frames 1 to {count}", 404)
        size = len(pixels) // count
        frames = [pixels[(int(number) - 1) * size : int(number) * size] for number in wanted]
        body, content_type = multipart.encode(frames, "application/octet-stream")
        return Response(body, media_type=content_type)

    # --- STOW-RS

    async def _store(self, request: Request) -> Response:
        try:
            kind, named = multipart.parameters(request.headers.get("content-type", ""))
            if kind != "multipart/related" or named.get("type", "application/dicom") != "application/dicom":
                return PlainTextResponse(
                    "multipart/related; type=application/dicom is what can be stored", 415
                )
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
            "RetrieveURL": f"{_root(request)}/studies/{request.path_params.get('study', '')}".rstrip("/")
        }
        if stored:
            answer["ReferencedSOPSequence"] = stored
        if failed:
            answer["FailedSOPSequence"] = failed
        status = 200 if not failed and stored else 202 if stored else 409
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
        note(request.scope).keys.setdefault("sop", []).append(part.sop_instance)
        if filing.status:
            return False, {**reference, "FailureReason": filing.status, "ErrorComment": filing.comment}
        instance = self._vault.archive.instances.get(part.sop_instance)
        where = (
            f"{_root(request)}/studies/{instance.study}/series/{instance.series}/instances/{instance.sop}"
            if instance
            else f"{_root(request)}/studies"
        )
        return True, {**reference, "RetrieveURL": where}


async def _bounded_body(request: Request) -> bytes | None:
    """Return the body, or None as soon as it is too large."""
    pieces, size = [], 0
    async for piece in request.stream():
        size += len(piece)
        if size > LARGEST_BODY:
            return None
        pieces.append(piece)
    return b"".join(pieces)


def _path_keys(request: Request) -> Elements:
    return {PATH_KEYS[name]: value for name, value in request.path_params.items() if name in PATH_KEYS}


def _root(request: Request) -> str:
    return f"{request.url.scheme}://{request.url.netloc}{ROOT}"


def _retrieve_url(request: Request, row: Elements) -> str:
    url = _root(request)
    for name, key in (
        ("studies", "StudyInstanceUID"),
        ("series", "SeriesInstanceUID"),
        ("instances", "SOPInstanceUID"),
    ):
        if key not in row:
            break
        url += f"/{name}/{row[key]}"
    return url
