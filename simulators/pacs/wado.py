"""WADO-RS (PS3.18 section 10.4): objects, metadata, bulk data, frames, rendered pictures."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from stepwedge.errors import RemoteProtocolError
from stepwedge.sim.bearer import only_patient
from stepwedge.sim.web import note
from stepwedge.wire import accept, dicomjson, multipart, part10, pixels, png
from stepwedge.wire.codec_process import CODECS, CannotConvert
from stepwedge.wire.codec_worker import JPEG_BASELINE
from stepwedge.wire.elements import EXPLICIT_LE, IMPLICIT_LE, Encapsulated, decode
from stepwedge.wire.results import Instance as StoredInstance

from . import query, rendering, representation
from .paths import PATH_KEYS, ROOT, root_of
from .tiers import OFFLINE
from .vault import Damaged

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from starlette.requests import Request

    from stepwedge.wire.accept import Range

    from .state import Instance
    from .vault import Vault

Elements = dict[str, Any]

JSON: Final = "application/dicom+json"
BULK: Final = 1024
"""Bytes beyond which a value is told in metadata by its address."""
PIXEL_KEYS: Final = frozenset({"PixelData", "FloatPixelData", "DoubleFloatPixelData"})
MOST_FRAMES: Final = 10_000
"""Frame numbers that one request may list."""
PICTURES: Final = ("image/jpeg", "image/png")
"""Rendered media types, the default of PS3.18 table 8.7.4-1 first."""
THUMBNAIL: Final = rendering.Viewport(128, 128)
QUALITY: Final = 90


@dataclass(frozen=True)
class Trouble(Exception):
    """A request that is answered with this status and this text."""

    status: int
    text: str


class Wado:
    """The handlers of retrieval."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def routes(self) -> Iterator[Route]:
        """Yield the routes, the special before the general."""
        study, series, instance = "/studies/{study}", "/series/{series}", "/instances/{instance}"
        one = ROOT + study + series + instance
        for path, handler in (
            ("/frames/{frames}/rendered", self._rendered),
            ("/frames/{frames}/thumbnail", self._thumbnail),
            ("/frames/{frames}", self._frames),
            ("/bulkdata/{place:path}", self._bulk),
            ("/rendered", self._rendered),
        ):
            yield Route(one + path, _answered(handler), methods=["GET"])
        for path in (study + series + instance, study + series, study):
            for suffix, handler in (
                ("/metadata", self._metadata),
                ("/thumbnail", self._thumbnail),
                ("", self._retrieve),
            ):
                yield Route(ROOT + path + suffix, _answered(handler), methods=["GET"])

    def _found(self, request: Request) -> list[Instance]:
        params = request.path_params
        keys = {PATH_KEYS[name]: value for name, value in params.items() if name in PATH_KEYS}
        archive = self._vault.archive
        asked = query.requested(archive, keys)
        if patient := only_patient(request.scope):
            asked = [one for one in asked if archive.person_of(one).id == patient]
        found = archive.habits.delivers(asked)
        if not found:
            raise Trouble(404, "nothing is stored under these UIDs")
        return found

    def _present(self, request: Request) -> list[Instance]:
        """Return what is asked for, if it lies where it can be read."""
        found = self._found(request)
        if any(self._vault.archive.tier(one.study) == OFFLINE for one in found):
            raise Trouble(503, "the study is offline; somebody must bring it back first")
        return found

    def _one(self, request: Request) -> tuple[Instance, Elements]:
        (instance, *_) = self._present(request)
        data = self._vault.give(instance)
        return instance, decode(data, explicit=instance.transfer_syntax != IMPLICIT_LE)

    # --- whole objects

    async def _retrieve(self, request: Request) -> Response:
        instances, wanted = self._present(request), wishes(request)
        alone = len(instances) == 1
        choices = []
        for one in instances:
            choice = representation.of_object(wanted, one.transfer_syntax, alone=alone)
            if choice is None:
                raise Trouble(
                    406,
                    f"instance {one.sop} is stored in {one.transfer_syntax} and cannot be had as "
                    f"{request.headers.get('accept')} without loss (PS3.18 section 8.7)",
                )
            choices.append(choice)
        syntaxes = [self._vault.archive.habits.sends(c.transfer_syntax) for c in choices]
        files = [
            await asyncio.to_thread(self._file, one, syntax)
            for one, syntax in zip(instances, syntaxes, strict=True)
        ]
        note(request.scope).keys["sop"] = [one.sop for one in instances]
        note(request.scope).facts["transfer_syntaxes"] = sorted(set(syntaxes))
        kinds = [f"{representation.DICOM}; transfer-syntax={syntax}" for syntax in syntaxes]
        if not choices[0].multipart:
            return Response(files[0], media_type=kinds[0])
        parts = [multipart.Part(file, kind) for file, kind in zip(files, kinds, strict=True)]
        body, content_type = multipart.encode(parts, representation.DICOM)
        return Response(body, media_type=content_type)

    def _file(self, one: Instance, syntax: str) -> bytes:
        try:
            data = self._vault.deliver(one, syntax)
        except Damaged as damaged:
            raise Trouble(500, str(damaged)) from damaged
        marked = self._vault.archive.habits.marks(syntax)
        return part10.write(StoredInstance(one.sop_class, one.sop, marked, data))

    # --- metadata and bulk data

    async def _metadata(self, request: Request) -> Response:
        if accept.chosen(wishes(request), JSON, multipart=False) is None and not _plain_json(request):
            raise Trouble(406, "metadata are told as application/dicom+json (PS3.18 table 8.7.3-2)")
        results = []
        for one in self._found(request):
            elements = decode(self._vault.give(one), explicit=one.transfer_syntax != IMPLICIT_LE)
            elements = self._vault.archive.habits.described(elements)
            base = f"{root_of(request)}/studies/{one.study}/series/{one.series}/instances/{one.sop}"
            results.append(_addressed(elements, f"{base}/bulkdata") | {"RetrieveURL": base})
            await asyncio.sleep(0)
        return Response(dicomjson.dumps(results), media_type=JSON)

    async def _bulk(self, request: Request) -> Response:
        one, elements = self._one(request)
        value = _at(elements, request.path_params["place"])
        if isinstance(value, Encapsulated):
            count = len(pixels.frames(elements))
            return await self._given(request, one, elements, range(count))
        wanted = wishes(request)
        kind = representation.OCTETS
        if accept.chosen(wanted, kind, multipart=True):
            body, content_type = multipart.encode([multipart.Part(value, kind)], kind)
            return Response(body, media_type=content_type)
        if accept.chosen(wanted, kind, multipart=False):
            return Response(value, media_type=kind)
        raise Trouble(406, f"this value is told as {kind} (PS3.18 section 8.7.3.3)")

    # --- frames

    async def _frames(self, request: Request) -> Response:
        one, elements = self._one(request)
        return await self._given(request, one, elements, self._numbers(request, elements))

    def _numbers(self, request: Request, elements: Elements) -> list[int]:
        """Return the frames that are asked for, from 0, in the order of the request (PS3.18 section 10.4.1.1.6)."""
        if not elements.get("PixelData"):
            raise Trouble(404, "the object has no Pixel Data")
        count = pixels.Shape.of(elements).frames
        listed = request.path_params["frames"].split(",")
        if len(listed) > MOST_FRAMES:
            raise Trouble(400, f"at most {MOST_FRAMES} frames can be asked for at once")
        if not all(re.fullmatch(r"[0-9]{1,9}", number) for number in listed):
            raise Trouble(400, "frames are a list of numbers, from 1 (PS3.18 section 10.4.1.1.6)")
        numbers = [int(number) for number in listed]
        if not all(0 < number <= count for number in numbers):
            raise Trouble(404, f"the image has frames 1 to {count}")
        return [self._vault.archive.habits.frame(number, count) - 1 for number in numbers]

    async def _given(
        self, request: Request, one: Instance, elements: Elements, numbers: list[int] | range
    ) -> Response:
        choice = representation.of_frames(wishes(request), one.transfer_syntax, alone=len(numbers) == 1)
        if choice is None:
            raise Trouble(
                406,
                f"frames of {one.transfer_syntax} cannot be had as {request.headers.get('accept')} without loss",
            )
        given = await asyncio.to_thread(self._made, one, elements, choice.transfer_syntax, numbers)
        kind = f"{choice.kind}; transfer-syntax={choice.transfer_syntax}"
        if not choice.multipart:
            return Response(given[0], media_type=kind)
        parts = [multipart.Part(frame, kind) for frame in given]
        body, content_type = multipart.encode(parts, choice.kind)
        return Response(body, media_type=content_type)

    def _made(
        self, one: Instance, elements: Elements, syntax: str, numbers: list[int] | range
    ) -> list[bytes]:
        """Return frames in a transfer syntax, native ones as they stand in Pixel Data."""
        compressed = isinstance(elements["PixelData"], Encapsulated)
        if syntax == one.transfer_syntax or (not compressed and syntax == EXPLICIT_LE):
            whole = pixels.frames(elements)
            return [whole[number] for number in numbers]
        found, shape = pixels.native(elements, one.transfer_syntax, numbers)
        found = [self._vault.archive.habits.transcoded(frame) for frame in found]
        if syntax == EXPLICIT_LE:
            return found
        return [pixels.compressed(frame, shape, syntax) for frame in found]

    # --- pictures

    async def _rendered(self, request: Request) -> Response:
        return await self._picture(request, None)

    async def _thumbnail(self, request: Request) -> Response:
        return await self._picture(request, THUMBNAIL)

    async def _picture(self, request: Request, viewport: rendering.Viewport | None) -> Response:
        wanted = wishes(request)
        offers = [
            (one.weight, -order, kind)
            for order, kind in enumerate(PICTURES)
            if (one := accept.chosen(wanted, kind, multipart=False))
        ]
        if not offers:
            raise Trouble(406, f"pictures are made as {' and '.join(PICTURES)} (PS3.18 table 8.7.4-1)")
        kind = max(offers)[2]
        instances = self._present(request)
        shown = instances[len(instances) // 2]  # of a series or study the middle speaks for all
        elements = decode(self._vault.give(shown), explicit=shown.transfer_syntax != IMPLICIT_LE)
        if not elements.get("PixelData"):
            raise Trouble(404, "the object has no Pixel Data")
        number = self._numbers(request, elements)[0] if "frames" in request.path_params else 0
        window, viewport, quality = _options(request, viewport)
        window = self._vault.archive.habits.window(window)
        body = await asyncio.to_thread(_drawn, shown, elements, number, window, viewport, kind, quality)
        return Response(body, media_type=kind)


def _drawn(
    one: Instance,
    elements: Elements,
    number: int,
    window: rendering.Window | None,
    viewport: rendering.Viewport | None,
    kind: str,
    quality: int,
) -> bytes:
    (frame,), shape = pixels.native(elements, one.transfer_syntax, [number])
    picture = rendering.rendered(frame, shape, elements, window, viewport)
    if kind == "image/png":
        return png.write(picture)
    wanted = rendering.described(picture) | {"quality": quality}
    return CODECS.ask("encode", JPEG_BASELINE, wanted, picture.pixels)[0]


def _options(
    request: Request, viewport: rendering.Viewport | None
) -> tuple[rendering.Window | None, rendering.Viewport | None, int]:
    """Read the rendering parameters (PS3.18 section 8.3.5.1); annotation and iccprofile change nothing here."""
    told = request.query_params
    window = rendering.window_of(told["window"]) if "window" in told else None
    if "viewport" in told:
        viewport = rendering.viewport_of(told["viewport"])
    quality = told.get("quality", str(QUALITY))
    if not quality.isascii() or not quality.isdigit() or not 1 <= int(quality) <= 100:  # noqa: PLR2004
        raise rendering.BadParameter(f"quality must be a number from 1 to 100, not {quality!r}")
    return window, viewport, int(quality)


def wishes(request: Request) -> list[Range]:
    """Return what the client accepts; the query parameter ``accept`` outranks the header (PS3.18 section 8.3.3.1)."""
    told = request.query_params.getlist("accept") or request.headers.getlist("accept")
    return accept.ranges(", ".join(told))


def _plain_json(request: Request) -> bool:
    return accept.chosen(wishes(request), "application/json", multipart=False) is not None


def _answered(
    handler: Callable[[Request], Coroutine[Any, Any, Response]],
) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    """Turn what a handler raises into the answer PS3.18 has for it."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except Trouble as trouble:
            return PlainTextResponse(trouble.text, trouble.status)
        except rendering.BadParameter as trouble:
            return PlainTextResponse(str(trouble), 400)
        except CannotConvert as trouble:
            return PlainTextResponse(str(trouble), 406)
        except RemoteProtocolError as trouble:
            asked = "Accept" in str(trouble) or "Content-Type" in str(trouble)
            return PlainTextResponse(str(trouble), 400 if asked else 406)

    return answer


def _addressed(elements: Elements, address: str) -> Elements:
    """Put addresses in the place of large values; empty ones have none."""
    told: Elements = {}
    for key, value in elements.items():
        place = f"{address}/{key}"
        if isinstance(value, bytes):
            large = len(value) > BULK or (key in PIXEL_KEYS and value)
            told[key] = dicomjson.Bulk(place) if large else value
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            told[key] = [_addressed(item, f"{place}/{number}") for number, item in enumerate(value, 1)]
        else:
            told[key] = value
    return told


def _at(elements: Elements, place: str) -> bytes:
    """Return the value at ``KEY`` or ``KEY/1/KEY``, as metadata told it."""
    found: Any = elements
    for part in place.split("/"):
        if isinstance(found, dict):
            found = found.get(part)
        elif isinstance(found, list) and part.isascii() and part.isdigit() and 0 < int(part) <= len(found):
            found = found[int(part) - 1]
        else:
            found = None
    if not isinstance(found, bytes) or not found:
        raise Trouble(404, f"the object has no bulk data at {place}")
    return found
