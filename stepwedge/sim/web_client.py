"""The way of a simulated system to the web doors of others, journaled."""

from __future__ import annotations

import contextlib
import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from stepwedge.clock import moment
from stepwedge.errors import LinkLost, NoAnswer, Refused, RemoteProtocolError
from stepwedge.sim import bearer, keys
from stepwedge.wire import tls
from stepwedge.wire.http_blocking import KEPT

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

    from stepwedge.evidence.exchange import Keys
    from stepwedge.sim.bench import Bench

AGENT = "Stepwedge/"
"""Product name in User-Agent, followed by the application name of the sender."""
UNAUTHORIZED = 401


def kind_of(path: str) -> str:
    """Return the path without the identifiers in it: ``/studies/1.2.3/series`` is ``/studies/{}/series``."""
    return "/".join("{}" if part[:1].isdigit() else part for part in path.split("/"))


def keys_of(path: str, query: str, *bodies: tuple[Mapping[bytes, bytes], bytearray | bytes]) -> Keys:
    """Return whom a request and its answer speak of, as URL and JSON model bodies say; bodies come with their headers."""
    found = keys.of_url(path, query)
    for headers, body in bodies:
        if body and headers.get(b"content-type", b"").startswith(b"application/dicom+json"):
            with contextlib.suppress(ValueError):
                found = keys.merge(found, keys.of_json_model(json.loads(body)))
    return found


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, whatever its status; header names are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class _Request:
    """One request, and what the journal is told of it beside what it says itself; ``asked`` is the encoded query."""

    to: str
    root: str
    method: str
    path: str
    asked: str
    body: bytes
    case: str
    found: Keys
    facts: dict[str, Any]
    withheld: bool

    @property
    def url(self) -> str:
        """Where it goes."""
        return f"{self.root}{self.path}" + (f"?{self.asked}" if self.asked else "")

    @property
    def said(self) -> str:
        """How errors name it."""
        return f"{self.method} {self.url}"


@dataclass(slots=True)
class _Outcome:
    """What came of a request: ``word`` is the journal's, ``answer`` is absent when there was none."""

    word: str = ""
    answer: Answer | None = None


class Web:
    """The web client of one simulated system: one connection pool, every exchange journaled."""

    def __init__(self, bench: Bench, *, tokens: bool = True) -> None:
        """Use ``web_timeout`` of the settings (seconds, 30 when absent); without ``tokens`` none is shown anywhere."""
        self._bench = bench
        wish = bearer.Wish.read(bench.settings.get("tokens"), bench.name) if tokens else None
        self._issuer = bearer.Issuer(bench, wish.issuer, Web(bench, tokens=False)) if wish else None
        self._timeout = float(bench.settings.get("web_timeout", 30.0))
        self._client: httpx.AsyncClient | None = None

    async def ask(
        self,
        to: str,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        case: str = "",
        found: Keys | None = None,
        facts: dict[str, Any] | None = None,
        door: str = "web",
        root: str = "",
        withheld: bool = False,
    ) -> Answer:
        """Send one request to an actor's DICOMweb root, or another ``door`` of it, or to ``root``; return the answer.

        Where the lab has ``tokens``, one is shown; a door that refuses it gets a new one, once.

        ``found`` and ``facts`` are added to the journal's line: what the caller knows and the URL does not say. What is
        ``withheld`` holds secrets, and its text stays out of the journal.

        Raises:
            NoAnswer, LinkLost, RemoteProtocolError, Refused: there is no whole answer.
        """
        where, asked = root or self._bench.directory.door(to, door), urlencode(query or {})
        request = _Request(to, where, method, path, asked, body, case, found or {}, facts or {}, withheld)
        given = dict(headers or {})
        if self._issuer is None:
            return await self._send(request, given)
        answer = await self._send(request, given | await self._issuer.shown(f"{where}{path}"))
        if answer.status == UNAUTHORIZED:
            answer = await self._send(request, given | await self._issuer.shown(f"{where}{path}", renew=True))
        return answer

    async def _send(self, request: _Request, headers: dict[str, str]) -> Answer:
        """Send a request and record what came of it, whatever that is."""
        headers = {"User-Agent": AGENT + self._bench.application, **headers}
        began, outcome = moment(), _Outcome()
        try:
            return await self._exchange(request, headers, outcome)
        finally:
            self._record(request, headers, outcome, began)

    async def _exchange(self, request: _Request, headers: dict[str, str], outcome: _Outcome) -> Answer:
        import httpx

        said = request.said
        try:
            got = await self._pool().request(
                request.method, request.url, headers=headers, content=request.body or None
            )
        except httpx.TimeoutException as trouble:
            outcome.word = "timeout"
            raise NoAnswer(f"{said}: no answer within {self._timeout:g} s") from trouble
        except httpx.RemoteProtocolError as trouble:
            outcome.word = "lost"
            raise LinkLost(f"{said}: {trouble}") from trouble
        except httpx.TransportError as trouble:
            refused = tls.refusal(trouble, said)
            outcome.word = "refused" if isinstance(refused, Refused) else "lost"
            raise refused or LinkLost(f"{said}: {trouble or type(trouble).__name__}") from trouble
        except httpx.HTTPError as trouble:
            outcome.word = "garbled"
            raise RemoteProtocolError(f"{said}: {trouble}") from trouble
        told = {name.lower(): value for name, value in got.headers.items()}
        outcome.answer = answer = Answer(got.status_code, told, got.content)
        outcome.word = str(answer.status)
        return answer

    def _pool(self) -> httpx.AsyncClient:
        """Return the client, made when it is first used: importing it takes a while."""
        import httpx

        if self._client is None:
            logging.getLogger("httpx").setLevel(logging.WARNING)
            credentials = self._bench.security.credentials
            self._client = httpx.AsyncClient(
                timeout=self._timeout,
                follow_redirects=False,
                trust_env=False,
                verify=credentials.client() if credentials else True,
                limits=httpx.Limits(keepalive_expiry=KEPT),
            )
        return self._client

    def _record(self, request: _Request, headers: dict[str, str], outcome: _Outcome, began: float) -> None:
        answer = outcome.answer or Answer(0, {}, b"")
        bodies = [
            ({b"content-type": headers.get("Content-Type", "").encode()}, request.body),
            ({b"content-type": answer.headers.get("content-type", "").encode()}, answer.body),
        ]
        told: dict[str, Any] = {
            "path": request.path,
            "query": request.asked,
            "host": urlsplit(request.root).netloc,
        }
        told |= request.facts
        if request.withheld:
            told["withheld"] = [len(request.body), len(answer.body)]
        self._bench.record(
            "web",
            "out",
            f"{request.method} {kind_of(request.path)}",
            began=began,
            peer=request.to,
            outcome=outcome.word,
            keys=keys.merge(keys_of(request.path, request.asked, *bodies), request.found),
            facts=told,
            request=b"" if request.withheld else request.body,
            response=b"" if request.withheld else answer.body,
            case=request.case,
        )

    async def close(self) -> None:
        """Close every connection."""
        if self._issuer is not None:
            await self._issuer.close()
        if self._client is not None:
            await self._client.aclose()
