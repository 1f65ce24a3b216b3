"""The RESTful interactions of a FHIR server (hl7.org/fhir/R4/http.html), as one function from request to answer.

No socket and no framework: the door hands over what it read and sends what comes back. Everything one request changes is
one transaction, durable before the answer leaves; a request that is refused changes nothing.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlencode

from stepwedge import __version__
from stepwedge.evidence.redact import refusal
from stepwedge.sim.fhir.offer import FhirHabits, Given, Offer, capability
from stepwedge.sim.resources.naming import patients_of
from stepwedge.wire import fhir, fhir_matching, fhir_search
from stepwedge.wire.fhir import FhirError, refused
from stepwedge.wire.fhir_validate import problems, resource_types

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from stepwedge.sim.bench import Bench
    from stepwedge.sim.fhir.shelf import Shelf, Source, Version
    from stepwedge.sim.store import Change
    from stepwedge.sim.tables import State
    from stepwedge.wire.fhir import Resource
    from stepwedge.wire.fhir_search import Parameter, Search

_ETAG: Final = re.compile(r'(?:W/)?"([^"]{1,64})"')
_MOST_INCLUDED: Final = 1000
GONE, NOT_MODIFIED = 410, 304


@dataclass(frozen=True, slots=True)
class Request:
    """One request below the base: ``path`` without leading slash, header names in lower case."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The query, read."""
        try:
            return parse_qsl(self.query, keep_blank_values=True, max_num_fields=64)
        except ValueError as error:
            raise refused(400, "too-costly", f"the query cannot be taken: {error}") from error

    def prefers(self, what: str) -> bool:
        """Tell whether the client asked for ``return=minimal``, ``handling=strict`` and the like (RFC 7240)."""
        return what in re.split(r"[\s,;]+", self.headers.get("prefer", ""))


@dataclass(frozen=True, slots=True)
class Response:
    """One answer; ``resource`` None is no body."""

    status: int
    resource: Resource | None = None
    headers: dict[str, str] = field(default_factory=dict)


class Service:
    """The FHIR server of one simulated system."""

    def __init__(
        self,
        bench: Bench,
        state: State,
        source: Source,
        offers: Sequence[Offer],
        *,
        shelf: Shelf | None = None,
        habits: FhirHabits | None = None,
    ) -> None:
        """Offer ``offers`` out of ``source``; what is written goes to ``shelf``."""
        self.bench, self.state, self.source, self.shelf = bench, state, source, shelf
        self.offers = {offer.kind: offer for offer in offers}
        self.habits = habits or FhirHabits()
        self.base = ""
        self._change: Change | None = None

    def handle(self, request: Request) -> Response:
        """Answer one request; what is wrong with it is an OperationOutcome."""
        try:
            _acceptable(request)
            return self.answer(request)
        except FhirError as error:
            return Response(error.status, fhir.outcome(error.issues))

    def answer(self, request: Request) -> Response:  # noqa: C901 - one line for each interaction of http.html
        """Answer one request, or raise ``FhirError``."""
        from stepwedge.sim.fhir.bundles import process

        match request.method, request.path.split("/"):
            case "GET", ["metadata"]:
                return self._metadata()
            case "POST", [""]:
                return process(self, request)
            case "GET", [kind]:
                return self._search(self._allowed(kind, "search-type"), request, request.pairs)
            case "POST", [kind, "_search"]:
                form = parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True)
                return self._search(self._allowed(kind, "search-type"), request, [*request.pairs, *form])
            case "POST", [kind]:
                return self._create(self._allowed(kind, "create"), request)
            case "PUT", [kind]:
                return self._conditional_update(self._allowed(kind, "update"), request)
            case "GET" | "HEAD", [kind, id_]:
                return self._read(self._allowed(kind, "read"), id_, request)
            case "PUT", [kind, id_]:
                return self._update(self._allowed(kind, "update"), id_, request)
            case "DELETE", [kind, id_]:
                return self._delete(self._allowed(kind, "delete"), id_)
            case "GET", [kind, "_history"]:
                return self._history(self._allowed(kind, "history-type"), "", request)
            case "GET", [kind, id_, "_history"]:
                return self._history(self._allowed(kind, "history-instance"), id_, request)
            case "GET", [kind, id_, "_history", number]:
                return self._vread(self._allowed(kind, "vread"), id_, number)
        raise refused(404, "not-found", f"there is no {request.method} {request.path[:80]!r} here")

    def _allowed(self, kind: str, interaction: str) -> Offer:
        offer = self.offers.get(kind)
        if offer is None:
            known = kind in resource_types()
            raise refused(404, "not-supported", f"{kind[:60] if known else 'this'} is not served here")
        if interaction not in offer.interactions:
            raise refused(405, "not-supported", f"{interaction} of {kind} is not offered here")
        return offer

    @contextmanager
    def changing(self) -> Iterator[Change]:
        """Change the state in one transaction; inside a transaction bundle, in that of the bundle."""
        if self._change is not None:
            yield self._change
            return
        with self.bench.change(self.state) as change:
            self._change = change
            try:
                yield change
            finally:
                self._change = None

    # --- reading

    def _metadata(self) -> Response:
        now = self.bench.clock.now()
        offers, name = self.offers.values(), self.bench.name
        return Response(200, capability(offers, name=name, base=self.base, now=now, version=__version__))

    def found(self, kind: str, id_: str) -> Version:
        """Return the version that counts, or raise 404 or 410."""
        if not fhir.ID.fullmatch(id_):
            raise refused(400, "value", f"{id_[:80]!r} is no id: 1 to 64 letters, digits, '-' and '.'")
        version = self.source.latest(kind, id_)
        if version is None:
            raise refused(404, "not-found", f"there is no {kind}/{id_}")
        if not version.text:
            raise refused(GONE, "deleted", f"{kind}/{id_} was deleted")
        return version

    def _read(self, offer: Offer, id_: str, request: Request) -> Response:
        version = self.found(offer.kind, id_)
        if version.number and _tag(request.headers.get("if-none-match", "")) == str(version.number):
            return Response(NOT_MODIFIED, headers=_validators(version))
        return Response(200, version.resource, _validators(version))

    def _vread(self, offer: Offer, id_: str, number: str) -> Response:
        version = (
            self.source.version(offer.kind, id_, int(number)) if re.fullmatch("[0-9]{1,9}", number) else None
        )
        if version is None:
            raise refused(404, "not-found", f"there is no such version of {offer.kind}/{id_[:64]}")
        if not version.text:
            raise refused(GONE, "deleted", f"{offer.kind}/{id_} was deleted")
        return Response(200, version.resource, _validators(version))

    def _history(self, offer: Offer, id_: str, request: Request) -> Response:
        paging = [pair for pair in request.pairs if pair[0] in {"_count", "_offset"}]
        search = fhir_search.parse(offer.kind, paging)
        versions = self.source.history(offer.kind, id_)
        if id_ and not versions:
            raise refused(404, "not-found", f"there is no {offer.kind}/{id_[:64]}")
        page = versions[search.offset :][: search.count]
        entries = []
        for one in page:
            entry: Resource = {
                "fullUrl": f"{self.base}/{one.kind}/{one.id}",
                "request": {"method": one.method, "url": f"{one.kind}/{one.id}"},
                "response": {"status": _made(one), "etag": f'W/"{one.number}"', "lastModified": one.at},
            }
            entries.append(entry | ({"resource": one.resource} if one.text else {}))
        path = f"{offer.kind}/{id_}/_history" if id_ else f"{offer.kind}/_history"
        return Response(200, self._bundle("history", entries, len(versions), path, search))

    def select(self, search: Search) -> list[Resource]:
        """Return every resource that a search matches, in order."""
        candidates = (one.resource for one in self.source.candidates(search))
        return fhir_matching.ordered(
            search, [one for one in candidates if fhir_matching.matches(search, one)]
        )

    def _search(self, offer: Offer, request: Request, pairs: Sequence[tuple[str, str]]) -> Response:
        search = fhir_search.parse(offer.kind, pairs, strict=request.prefers("handling=strict"))
        found = self.select(search)
        page = found[search.offset :][: search.count]
        entries = [self._entry(one, "match") for one in page]
        entries += [self._entry(one, "include") for one in self._included(search, page)]
        bundle = self._bundle("searchset", entries, len(found), offer.kind, search)
        if search.ignored:
            text = f"not applied: {', '.join(name[:40] for name in search.ignored)}"
            issue = fhir.Issue("not-supported", text, severity="warning")
            bundle.setdefault("entry", []).append(
                {"resource": fhir.outcome([issue]), "search": {"mode": "outcome"}}
            )
        return Response(200, bundle)

    def _entry(self, resource: Resource, mode: str) -> Resource:
        full = f"{self.base}/{resource['resourceType']}/{resource['id']}"
        return {"fullUrl": full, "resource": resource, "search": {"mode": mode}}

    def _included(self, search: Search, page: Sequence[Resource]) -> list[Resource]:
        """Return what ``_include`` and ``_revinclude`` add, each resource once and none that matched."""
        seen = {(one["resourceType"], one["id"]) for one in page}
        added: list[Resource] = []

        def add(one: Resource) -> None:
            key = (one["resourceType"], one["id"])
            if key not in seen and len(added) < _MOST_INCLUDED:
                seen.add(key)
                added.append(one)

        for one in page:
            for _, parameter in search.include:
                for version in self._targets(one, parameter):
                    add(version.resource)
            place = f"{one['resourceType']}/{one['id']}"
            for kind, parameter in search.revinclude:
                criterion = fhir_search.Criterion(parameter, "", (place,))
                for other in (
                    self.select(fhir_search.Search(kind, (criterion,))) if kind in self.offers else ()
                ):
                    add(other)
        return added

    def _targets(self, resource: Resource, parameter: Parameter) -> Iterator[Version]:
        """Yield what a resource refers to by one parameter, as far as it is here."""
        for path in parameter.paths:
            for text in fhir.at(resource, f"{path}.reference"):
                named = fhir.reference(str(text))
                version = self.source.latest(named.kind, named.id) if named else None
                if version is not None and version.text:
                    yield version

    def _bundle(self, kind: str, entries: list[Resource], total: int, path: str, search: Search) -> Resource:
        links = [{"relation": "self", "url": self._link(path, search, search.offset)}]
        if search.count and search.offset + search.count < total:
            links.append({"relation": "next", "url": self._link(path, search, search.offset + search.count)})
        if search.count and search.offset:
            back = max(0, search.offset - search.count)
            links.append({"relation": "previous", "url": self._link(path, search, back)})
        bundle: Resource = {"resourceType": "Bundle", "type": kind, "total": total, "link": links}
        return bundle | ({"entry": entries} if entries else {})

    def _link(self, path: str, search: Search, offset: int) -> str:
        kept = [pair for pair in search.applied if pair[0] not in {"_offset", "_count"}]
        kept += [("_count", str(search.count))] if dict(search.applied).get("_count") else []
        kept += [("_offset", str(offset))] if offset else []
        return f"{self.base}/{path}" + (f"?{urlencode(kept)}" if kept else "")

    # --- writing

    def given(self, request: Request, kind: str) -> Resource:
        """Read the resource of a request and check its type."""
        resource = fhir.read(request.body)
        if (said := resource.get("resourceType")) != kind:
            raise refused(400, "invalid", f"a {kind} is expected, not {str(said)[:40]!r}", "resourceType")
        return resource

    def _create(self, offer: Offer, request: Request) -> Response:
        resource = self.given(request, offer.kind)
        return self.create(offer, resource, request.headers.get("if-none-exist", ""), request)

    def create(self, offer: Offer, resource: Resource, unless: str, request: Request) -> Response:
        """Store a new resource, or with ``unless`` (If-None-Exist) return the one that is there."""
        if unless:
            search = fhir_search.parse(offer.kind, parse_qsl(unless.lstrip("?")), strict=True)
            if not search.criteria:
                raise refused(412, "invalid", "If-None-Exist needs a search parameter")
            there = self.habits.there_already(self.select(search))
            if len(there) > 1:
                raise refused(412, "multiple-matches", f"{len(there)} resources match If-None-Exist")
            if there:
                return self._done(200, self.found(offer.kind, there[0]["id"]), request)
        with self.changing() as change:
            fresh = {key: value for key, value in resource.items() if key != "id"}
            id_, made = self._take(offer, fresh, "", change)
        return self._done(201 if made else 200, self.found(offer.kind, id_), request)

    def _take(self, offer: Offer, resource: Resource, id_: str, change: Change) -> tuple[str, bool]:
        """Validate a resource and let the books take it; return its id and whether it is new."""
        if self.shelf is None:
            raise refused(405, "not-supported", "nothing can be written here")
        if issues := self.habits.refuses(problems(resource)):
            raise FhirError(400, *issues)
        self._synthetic(resource)
        now = self.bench.clock.now()
        old = self.source.latest(offer.kind, id_) if id_ else None
        given = Given(resource, id_, old.resource if old and old.text else None, now, change)
        taken = offer.take(given) if offer.take else id_ or self._number(offer.kind)
        known = self.shelf.latest(offer.kind, taken)
        if id_ or known is None or not known.text:
            self.shelf.put(offer.kind, taken, resource, now)
        return taken, known is None

    def _number(self, kind: str) -> str:
        from stepwedge.model.identifiers import digits

        return digits(16, self.state.seed, self.state.name, kind, self.state.next(f"fhir/{kind}"))

    def _synthetic(self, resource: Resource) -> None:
        for numbers in patients_of(resource):
            if why := refusal(self.bench.identity, patients=numbers):
                raise refused(422, "security", why, f"{resource['resourceType']}.identifier")

    def _conditional_update(self, offer: Offer, request: Request) -> Response:
        search = fhir_search.parse(offer.kind, request.pairs, strict=True)
        if not search.criteria:
            raise refused(412, "invalid", "a conditional update needs a search parameter")
        there = self.select(search)
        if len(there) > 1:
            raise refused(412, "multiple-matches", f"{len(there)} resources match")
        if there:
            return self._update(offer, there[0]["id"], request, strict=False)
        return self.create(offer, self.given(request, offer.kind), "", request)

    def _update(self, offer: Offer, id_: str, request: Request, *, strict: bool = True) -> Response:
        resource = self.given(request, offer.kind)
        return self.update(offer, id_, resource, request, strict=strict)

    def update(
        self, offer: Offer, id_: str, resource: Resource, request: Request, *, strict: bool = True
    ) -> Response:
        """Store a new version under an id; ``strict``: the resource must carry the id of the URL."""
        if not fhir.ID.fullmatch(id_):
            raise refused(400, "value", f"{id_[:80]!r} is no id: 1 to 64 letters, digits, '-' and '.'")
        if strict and resource.get("id") != id_:
            raise refused(400, "invalid", "the id of the resource is not that of the URL", f"{offer.kind}.id")
        old = self.source.latest(offer.kind, id_)
        if wanted := request.headers.get("if-match", ""):
            here = str(old.number) if old else ""
            if _tag(wanted) != here:
                raise refused(412, "conflict", f"the current version is {here or 'none'}, not {wanted[:40]}")
        with self.changing() as change:
            taken, made = self._take(offer, {**resource, "id": id_}, id_, change)
        return self._done(201 if made else 200, self.found(offer.kind, taken), request)

    def _delete(self, offer: Offer, id_: str) -> Response:
        if self.shelf is None:
            raise refused(405, "not-supported", "nothing can be deleted here")
        version = self.source.latest(offer.kind, id_)
        if version is not None and version.text:
            with self.changing():
                self.shelf.remove(offer.kind, id_, self.bench.clock.now())
        return Response(204)

    def _done(self, status: int, version: Version, request: Request) -> Response:
        headers = {**_validators(version), "Location": f"{self.base}/{version.place}"}
        return Response(status, None if request.prefers("return=minimal") else version.resource, headers)


def _acceptable(request: Request) -> None:
    """Refuse formats that are not spoken: answers other than JSON (406), bodies that are none (415)."""
    wanted = dict(request.pairs).get("_format") or request.headers.get("accept") or "*/*"
    if not any(word in wanted for word in ("json", "*/*", "application/*")):
        raise refused(406, "not-supported", f"only {fhir.MEDIA_TYPE} is spoken here")
    if request.method in {"POST", "PUT"} and not request.path.endswith("_search"):
        given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if given not in {fhir.MEDIA_TYPE, "application/json"}:
            raise refused(415, "not-supported", f"{given[:60] or 'no content type'}: only {fhir.MEDIA_TYPE}")


def _tag(header: str) -> str:
    """Return the version in an entity tag; empty when there is none."""
    found = _ETAG.fullmatch(header.strip())
    return found[1] if found else ""


def _validators(version: Version) -> dict[str, str]:
    told = {"Last-Modified": format_datetime(datetime.fromisoformat(version.at).astimezone(UTC), usegmt=True)}
    return told | ({"ETag": f'W/"{version.number}"'} if version.number else {})


def _made(version: Version) -> str:
    return {"POST": "201", "PUT": "200", "DELETE": "204"}[version.method]
