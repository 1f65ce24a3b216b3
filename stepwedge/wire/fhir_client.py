"""A blocking FHIR R4 client: read, search with every page, create, update, delete, transaction (hl7.org/fhir/R4/http.html).

What it returns is whole and is FHIR: another resource than asked for, a page that is missing, a body that is no JSON are
errors, never fewer results. It follows no redirect and no link that leaves the server.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlencode, urlsplit

from stepwedge.errors import RemoteProtocolError
from stepwedge.wire import fhir
from stepwedge.wire.fhir import MEDIA_TYPE, FhirError
from stepwedge.wire.http_blocking import Http, HttpRefused

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from stepwedge.wire.fhir import Resource
    from stepwedge.wire.http_blocking import WebExchange

PAGES: Final = 200
BODY_LIMIT: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer: status, headers in lower case, and the resource in it (empty when there is none)."""

    status: int
    headers: Mapping[str, str]
    resource: Resource


class Fhir:
    """A persistent connection to one FHIR server."""

    def __init__(
        self,
        base: str,
        *,
        timeout: float = 10.0,
        headers: Mapping[str, str] | None = None,
        observe: Callable[[WebExchange], None] | None = None,
        context: ssl.SSLContext | None = None,
        bearer: Callable[[], str] | None = None,
    ) -> None:
        """Talk to the server at ``base`` (``http://host:port/fhir``); ``observe`` hears every exchange.

        ``context`` says whom to trust behind ``https``, else the system's authorities; ``bearer`` gives tokens (RFC 6750).
        """
        self.base = base.rstrip("/")
        self._http = Http(
            timeout=timeout,
            body_limit=BODY_LIMIT,
            headers={"Accept": MEDIA_TYPE, **(headers or {})},
            observe=observe,
            context=context,
            bearer=bearer,
        )

    def read(self, kind: str, id_: str, version: str = "") -> Resource:
        """Return a resource, or one of its versions."""
        path = f"/{kind}/{id_}" + (f"/_history/{version}" if version else "")
        return self._expect(self._allowed("GET", path), kind)

    def search(self, kind: str, keys: Mapping[str, str] | Sequence[tuple[str, str]] = ()) -> list[Resource]:
        """Return every match of a search, page after page; parameters the server does not know are an error."""
        pairs = list(keys.items()) if hasattr(keys, "items") else list(keys)
        path, found, seen = f"/{kind}" + (f"?{urlencode(pairs)}" if pairs else ""), [], set[str]()
        for _ in range(PAGES):
            bundle = self._expect(self._allowed("GET", path, Prefer="handling=strict"), "Bundle")
            self._strict(bundle, path)
            found += [
                one["resource"]
                for one in bundle.get("entry", ())
                if "resource" in one and (one.get("search") or {}).get("mode", "match") == "match"
            ]
            onward = next((one["url"] for one in bundle.get("link", ()) if one.get("relation") == "next"), "")
            if not onward:
                break
            if onward in seen:
                raise RemoteProtocolError(f"{self.base}{path}: the pages go round in a circle")
            seen.add(onward)
            path = self._inside(onward)
        else:
            raise RemoteProtocolError(f"{self.base}/{kind}: more than {PAGES} pages")
        names = [f"{one.get('resourceType')}/{one.get('id')}" for one in found]
        if len(set(names)) < len(names):
            raise RemoteProtocolError(f"{self.base}/{kind}: the same resource twice among the pages")
        return found

    def _strict(self, bundle: Resource, path: str) -> None:
        """Refuse an answer that leaves out part of the question."""
        for one in bundle.get("entry", ()):
            if (one.get("search") or {}).get("mode") == "outcome":
                said = fhir.diagnostics(one.get("resource", {}))
                raise RemoteProtocolError(f"{self.base}{path}: the search was not answered as asked: {said}")

    def history(self, kind: str, id_: str) -> list[Resource]:
        """Return every version of a resource, newest first, without those that deleted it."""
        bundle = self._expect(self._allowed("GET", f"/{kind}/{id_}/_history"), "Bundle")
        return [one["resource"] for one in bundle.get("entry", ()) if "resource" in one]

    def create(self, resource: Resource, *, if_none_exist: str = "") -> Reply:
        """Create a resource, or with a query in ``if_none_exist`` get the one that is there."""
        headers = {"If-None-Exist": if_none_exist} if if_none_exist else {}
        return self._allowed("POST", f"/{resource['resourceType']}", resource, **headers)

    def update(self, resource: Resource, *, if_match: str = "") -> Reply:
        """Write a new version of a resource under its id."""
        headers = {"If-Match": if_match} if if_match else {}
        return self._allowed("PUT", f"/{resource['resourceType']}/{resource['id']}", resource, **headers)

    def delete(self, kind: str, id_: str) -> Reply:
        """Delete a resource."""
        return self._allowed("DELETE", f"/{kind}/{id_}")

    def transaction(self, bundle: Resource) -> Resource:
        """Do everything in a bundle, or nothing."""
        return self._expect(self._allowed("POST", "/", bundle), "Bundle")

    def capabilities(self) -> Resource:
        """Return what the server says it can do."""
        return self._expect(self._allowed("GET", "/metadata"), "CapabilityStatement")

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> Reply:
        """Send anything and return the answer whatever its status, as long as it is HTTP and FHIR."""
        return self._call(method, path, body, headers)

    def _allowed(self, method: str, path: str, resource: Resource | None = None, **headers: str) -> Reply:
        body = fhir.write(resource) if resource is not None else b""
        reply = self._call(method, path, body, headers)
        if not 200 <= reply.status < 300:  # noqa: PLR2004 - RFC 9110: 2xx is success
            said = fhir.diagnostics(reply.resource)
            raise HttpRefused(
                f"{method} {self.base}{path}: HTTP {reply.status} {said}".rstrip(), reply.status
            )
        return reply

    def _expect(self, reply: Reply, kind: str) -> Resource:
        if (said := reply.resource.get("resourceType")) != kind:
            raise RemoteProtocolError(f"{self.base}: a {kind} is expected, not {said or 'an empty answer'}")
        return reply.resource

    def _inside(self, url: str) -> str:
        """Return the path of a link below the base; one that leaves the server is refused."""
        here, there = urlsplit(self.base), urlsplit(url)
        if there.netloc and (there.scheme, there.netloc) != (here.scheme, here.netloc):
            raise RemoteProtocolError(f"{self.base}: the next page is at {there.netloc[:80]}")
        path = there.path.removeprefix(here.path)
        return f"/{path.lstrip('/')}" + (f"?{there.query}" if there.query else "")

    def _call(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        given = {**({"Content-Type": MEDIA_TYPE} if body else {}), **headers}
        answer = self._http.send(method, self.base + path, given, body)
        heads = {name.lower(): value for name, value in answer.headers.items()}
        return Reply(answer.status, heads, _resource(answer.body, answer.place, answer.status))

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _resource(raw: bytes, place: str, status: int) -> Resource:
    """Read a body; an error page that is no FHIR is still a refusal, told by its status."""
    if not raw:
        return {}
    try:
        return fhir.read(raw, BODY_LIMIT)
    except FhirError as error:
        if status >= 400:  # noqa: PLR2004 - RFC 9110: 4xx and 5xx
            return {}
        raise RemoteProtocolError(f"{place}: {error}") from error
