"""A blocking DICOMweb client: QIDO-RS, WADO-RS, STOW-RS (PS3.18 chapter 10).

What it returns is whole: a page that is short, a body that is cut or an answer that says nothing about an instance
is an error, never fewer results.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import quote

from stepwedge.errors import RemoteProtocolError
from stepwedge.wire import dicomjson, multipart, part10
from stepwedge.wire.http_blocking import Http, HttpRefused, Response, WebExchange

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from types import TracebackType

    from stepwedge.wire.elements import Elements

JSON: Final = "application/dicom+json"
DICOM: Final = "application/dicom"
BODY_LIMIT: Final = 4 << 30
PAGES: Final = 1000
_EXCERPT: Final = 300
_NO_CONTENT: Final = 204
_PARTIAL: Final = 206
_STOWED: Final = frozenset({200, 202, 400, 409})
"""PS3.18 table 10.5.3-1: stored all, stored some, stored none; all say what became of each instance.

400 is a bad request, but an archive that found one bad part among good ones (Orthanc) answers so, and in full.
"""

LEVELS: Final = {"studies": "StudyInstanceUID", "series": "SeriesInstanceUID", "instances": "SOPInstanceUID"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one instance; ``reason`` is 0 when it is stored without a warning (PS3.18 table 10.5.3-2)."""

    sop_class: str
    sop_instance: str
    reason: int = 0
    uri: str = ""


@dataclass(frozen=True, slots=True)
class StowResult:
    """The Store Instances Response Module (PS3.18 annex I.2.2)."""

    status: int
    stored: tuple[Outcome, ...]
    failed: tuple[Outcome, ...]


class DicomWeb:
    """A persistent connection to one DICOMweb service; it follows no redirect and knows no proxy."""

    def __init__(
        self,
        root: str,
        *,
        timeout: float = 10.0,
        headers: Mapping[str, str] | None = None,
        observe: Callable[[WebExchange], None] | None = None,
        body_limit: int = BODY_LIMIT,
        context: ssl.SSLContext | None = None,
        bearer: Callable[[], str] | None = None,
    ) -> None:
        """Talk to the service at ``root`` (``http://host:port/dicom-web``); ``observe`` hears every exchange.

        ``context`` says whom to trust behind ``https``, else the system's authorities; ``bearer`` gives tokens (RFC 6750).
        """
        self.root = root.rstrip("/")
        self._http = Http(
            timeout=timeout,
            body_limit=body_limit,
            headers=headers or {},
            observe=observe,
            context=context,
            bearer=bearer,
        )

    def qido(
        self,
        level: str,
        keys: Mapping[str, str] | None = None,
        *,
        study: str = "",
        series: str = "",
        fields: Sequence[str] = (),
        limit: int | None = None,
        offset: int = 0,
        fuzzy: bool = False,
    ) -> list[Elements]:
        """Search ``studies``, ``series`` or ``instances`` by DICOM keywords, with every page that the server makes of it.

        ``limit`` asks for one page of that size instead.
        """
        above = (f"/studies/{study}" if study else "") + (f"/series/{series}" if series else "")
        query: list[tuple[str, str]] = list((keys or {}).items())
        query += [("includefield", field) for field in fields]
        query += [("fuzzymatching", "true")] if fuzzy else []
        if limit is not None:
            return self._page(f"{above}/{level}", [*query, ("limit", str(limit)), ("offset", str(offset))])[0]
        return self._pages(f"{above}/{level}", query, LEVELS[level], offset)

    def workitems(self, keys: Mapping[str, str]) -> list[Elements]:
        """Search the worklist service by DICOM keywords (UPS-RS, PS3.18 section 11.9), every page of it."""
        return self._pages("/workitems", list(keys.items()), "SOPInstanceUID", 0)

    def _pages(self, path: str, query: list[tuple[str, str]], unique: str, offset: int) -> list[Elements]:
        found: list[Elements] = []
        for _ in range(PAGES):
            at = offset + len(found)
            page, more = self._page(path, [*query, ("offset", str(at))] if at else query)
            found += page
            if not more:
                break
            if not page:
                raise RemoteProtocolError(
                    f"{self.root}{path}: an empty page at offset {at}, but more are announced"
                )
        named = [each.get(unique) for each in found if each.get(unique)]
        if len(set(named)) < len(named):
            raise RemoteProtocolError(
                f"{self.root}{path}: the same {unique} twice; the pages moved while being read"
            )
        return found

    def _page(self, path: str, query: list[tuple[str, str]]) -> tuple[list[Elements], bool]:
        """Return one page, and whether the server announces more (PS3.18 section 8.3.4.4: warning 299)."""
        response = self._call("GET", path, query=query, accept=JSON)
        more = any("299" in warning for warning in response.headers.get_list("warning"))
        return self._results(response), more

    def _results(self, response: Response) -> list[Elements]:
        if response.status == _NO_CONTENT:
            return []
        if not _is_json(response):
            raise RemoteProtocolError(
                f"{response.place}: expected {JSON}, found {response.content_type or 'no type'}"
            )
        return dicomjson.loads(response.body)

    def metadata(self, study: str, series: str = "", instance: str = "") -> list[Elements]:
        """Return the attributes of every instance, without bulk data (PS3.18 section 10.4.1.1.2)."""
        response = self._call("GET", f"{_place(study, series, instance)}/metadata", accept=JSON)
        return self._results(self._complete(response))

    def wado(
        self, study: str, series: str = "", instance: str = "", *, transfer_syntax: str = "*"
    ) -> list[bytes]:
        """Retrieve whole instances as DICOM files."""
        accept = f'multipart/related; type="{DICOM}"; transfer-syntax={transfer_syntax}'
        response = self._complete(self._call("GET", _place(study, series, instance), accept=accept))
        parts = multipart.decode(response.body, response.content_type)
        for number, part in enumerate(parts, 1):
            if multipart.parameters(part.content_type)[0] not in {DICOM, ""}:
                raise RemoteProtocolError(
                    f"{response.place}: part {number} is {part.content_type}, not {DICOM}"
                )
        return [part.body for part in parts]

    def frames(self, study: str, series: str, instance: str, numbers: Sequence[int]) -> list[bytes]:
        """Retrieve frames by number, from 1, decoded (explicit little endian), in the order asked for."""
        octets = "application/octet-stream"
        path = f"{_place(study, series, instance)}/frames/{','.join(map(str, numbers))}"
        response = self._complete(self._call("GET", path, accept=f'multipart/related; type="{octets}"'))
        parts = multipart.decode(response.body, response.content_type)
        if len(parts) != len(numbers):
            raise RemoteProtocolError(f"{response.place}: {len(parts)} parts for {len(numbers)} frames")
        return [part.body for part in parts]

    def rendered(
        self,
        study: str,
        series: str,
        instance: str,
        *,
        kind: str = "image/png",
        query: Sequence[tuple[str, str]] = (),
    ) -> bytes:
        """Retrieve an instance as a picture (PS3.18 section 10.4.1.1.5)."""
        path = f"{_place(study, series, instance)}/rendered"
        response = self._complete(self._call("GET", path, accept=kind, query=query))
        found = multipart.parameters(response.content_type)[0]
        if found != kind:
            raise RemoteProtocolError(
                f"{response.place}: asked for {kind} alone, and {found or 'no type'} came"
            )
        return response.body

    def _complete(self, response: Response) -> Response:
        if response.status in {_NO_CONTENT, _PARTIAL}:
            raise RemoteProtocolError(
                f"{response.place}: HTTP {response.status} instead of the whole content"
            )
        return response

    def stow(self, instances: Iterable[bytes], *, study: str = "") -> StowResult:
        """Store DICOM files in one request; every instance sent is named in the result, stored or failed."""
        sent = list(instances)
        body, content_type = multipart.encode(sent, DICOM)
        response = self._call(
            "POST",
            f"/studies/{study}" if study else "/studies",
            body=body,
            content_type=content_type,
            accept=JSON,
            allowed=_STOWED,
        )
        result = _stowed(response, self._results(response))
        _reconcile(result, sent, response.place)
        return result

    def _call(
        self,
        method: str,
        path: str,
        *,
        accept: str,
        query: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str = "",
        allowed: frozenset[int] = frozenset(),
    ) -> Response:
        headers = {"Accept": accept, **({"Content-Type": content_type} if content_type else {})}
        asked = "&".join(f"{name}={quote(value, safe='*')}" for name, value in query)
        url = f"{self.root}{path}{'?' if asked else ''}{asked}"
        response = self._http.send(method, url, headers, body)
        _check(response, allowed)
        return response

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _place(study: str, series: str, instance: str) -> str:
    path = f"/studies/{study}"
    path += f"/series/{series}" if series else ""
    return path + (f"/instances/{instance}" if instance else "")


def _check(response: Response, allowed: frozenset[int]) -> None:
    status = response.status
    if 200 <= status < 300 or (status in allowed and _is_json(response)):  # noqa: PLR2004 - RFC 9110: 2xx is success
        return
    if 300 <= status < 400:  # noqa: PLR2004 - RFC 9110: 3xx is redirection
        where = response.headers.get("location", "nowhere")
        raise HttpRefused(f"{response.place}: HTTP {status} to {where}; redirects are not followed", status)
    said = response.body[:_EXCERPT].decode("utf-8", "replace").strip()
    raise HttpRefused(
        f"{response.place}: HTTP {status}{f': {said}' if said else ''}",
        status,
        response.headers.get("retry-after", ""),
    )


def _is_json(response: Response) -> bool:
    """Tell whether the body says to be JSON; Orthanc sends the outcomes of a STOW with HTTP 400 and no type at all."""
    if not response.content_type:
        return response.status in _STOWED and response.status >= 400 and response.body[:1] in {b"{", b"["}  # noqa: PLR2004 - RFC 9110: 4xx is the client's error
    return multipart.parameters(response.content_type)[0] in {JSON, "application/json"}


def _stowed(response: Response, results: list[Elements]) -> StowResult:
    if len(results) != 1:
        raise RemoteProtocolError(f"{response.place}: expected one response data set, found {len(results)}")
    stored = _outcomes(results[0], "ReferencedSOPSequence", "WarningReason")
    failed = _outcomes(results[0], "FailedSOPSequence", "FailureReason")
    return StowResult(response.status, stored, failed)


def _outcomes(elements: Elements, sequence: str, reason: str) -> tuple[Outcome, ...]:
    items: list[dict[str, Any]] = elements.get(sequence) or []
    return tuple(
        Outcome(
            item.get("ReferencedSOPClassUID", ""),
            item.get("ReferencedSOPInstanceUID", ""),
            int(item.get(reason) or 0),
            item.get("RetrieveURL", ""),
        )
        for item in items
    )


def _reconcile(result: StowResult, sent: list[bytes], place: str) -> None:
    """Refuse an answer that leaves the fate of an instance open, or contradicts itself."""
    stored = {outcome.sop_instance for outcome in result.stored}
    failed = {outcome.sop_instance for outcome in result.failed}
    named = Counter(uid for data in sent if (uid := _sop_instance(data)))
    if both := [uid for uid in stored & failed if named[uid] == 1]:
        raise RemoteProtocolError(f"{place}: {', '.join(sorted(both))} is named as stored and as failed")
    if silent := [uid for uid in named if uid not in stored | failed]:
        raise RemoteProtocolError(
            f"{place}: HTTP {result.status} says nothing about {len(silent)} of {len(sent)} instances, first {silent[0]} "
            "(PS3.18 annex I.2.2 wants each in (0008,1199) or (0008,1198))"
        )


def _sop_instance(data: bytes) -> str:
    """Return the SOP Instance UID of a DICOM file; "" when it was sent broken on purpose."""
    try:
        return part10.read(data).sop_instance
    except RemoteProtocolError:
        return ""
