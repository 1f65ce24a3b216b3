"""The admin API of a host process: tell a simulated system to do something, ask it something, read the journal.

    POST /NAME/act     {"word", "args", "case": {"id", "seed"}}  ->  {"result": {...}} or {"error": {"kind", "message"}}
    POST /NAME/ask     {"what", "args"}                          ->  the same
    POST /NAME/reset                                             ->  {}
    GET  /NAME/quirks, POST {"active": [...]}                    ->  {"known": {...}, "active": [...], "acted": {...}}
    GET  /NAME/health
    GET  /NAME/journal?after=N&wait=S, /journal?after=N&wait=S   ->  {"exchanges": [...], "last": N}
    GET  /payload?number=N&part=request|response                 ->  the bytes a journal line refers to as a file
    GET  /taps                                                   ->  {"result": {"taps": [...], "faults": [...]}}
    POST /taps/begin   {"on", "kind", "door", "side", "after", "times", "seconds", "args", "seed", "case"}
    POST /taps/lift    {"fault": N}                              ->  {"result": what the fault is and did} or {"error"}
    GET  /health, /metrics

It listens on the loopback address unless told otherwise, takes no cookie and no form, and answers requests for local host
names only, so that a web page open on the same machine can neither read nor command it. A process that was given a host name by
which others know it (a container, by the name of its service) answers under that one too: a load drives it from there.
"""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from stepwedge.errors import (
    BadInput,
    Broken,
    Failed,
    Inconclusive,
    LinkLost,
    LocalProtocolError,
    NoAnswer,
    Refused,
    RemoteProtocolError,
    Skipped,
    StepwedgeError,
)
from stepwedge.evidence.exchange import Payload
from stepwedge.sim import metrics
from stepwedge.sim.simulator import Case

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from stepwedge.evidence.journal import Journal
    from stepwedge.sim.simulator import Simulator
    from stepwedge.sim.tap.taps import Taps

T = TypeVar("T")
LONGEST_WAIT = 60.0
"""Seconds a reader of the journal may wait for the next exchange."""
LARGEST_BODY = 16 << 20
_PARTS = ("request", "response")

_KINDS: tuple[tuple[type[Exception], str], ...] = (
    (BadInput, "bad input"),
    (Failed, "failed"),
    (Refused, "refused"),
    (Inconclusive, "inconclusive"),
    (LinkLost, "inconclusive"),
    (NoAnswer, "inconclusive"),
    (RemoteProtocolError, "failed"),
    (Skipped, "skipped"),
    (LocalProtocolError, "broken"),
    (Broken, "broken"),
)


def kind_of(trouble: Exception) -> str:
    """Return the word for what ended an act; anything not raised on purpose is our own fault."""
    return next((word for kind, word in _KINDS if isinstance(trouble, kind)), "broken")


class Json(Response):
    """JSON, as compact and as quick as the standard library writes it."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Write the content."""
        return json.dumps(content, ensure_ascii=False, default=str).encode("utf-8", "backslashreplace")


class Admin:
    """The API over some simulators and the journal they share."""

    def __init__(
        self,
        simulators: Mapping[str, Simulator],
        journal: Journal,
        taps: Taps | None = None,
        known_as: str = "",
    ) -> None:
        self._simulators = simulators
        self._taps = taps
        self._journal = journal
        self._known_as = known_as
        self._application = Starlette(
            routes=[
                Route("/health", self._health),
                Route("/journal", self._read_journal),
                Route("/payload", self._payload),
                Route("/metrics", self._metrics),
                Route("/taps", self._told),
                Route("/taps/begin", self._begin, methods=["POST"]),
                Route("/taps/lift", self._lift, methods=["POST"]),
                Route("/{name}/act", self._act, methods=["POST"]),
                Route("/{name}/ask", self._ask, methods=["POST"]),
                Route("/{name}/reset", self._reset, methods=["POST"]),
                Route("/{name}/quirks", self._quirks, methods=["GET", "POST"]),
                Route("/{name}/health", self._health_of),
                Route("/{name}/journal", self._read_journal),
            ],
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve as an ASGI application; refuse what a foreign web page could make a browser send."""
        if scope["type"] == "http" and (refusal := _refusal(scope, self._known_as)):
            await Json({"error": {"kind": "refused", "message": refusal}}, 403)(scope, receive, send)
        else:
            await self._application(scope, receive, send)

    async def _act(self, request: Request) -> Response:
        async def do(simulator: Simulator, body: dict[str, Any]) -> Any:
            case = body.get("case") or {}
            known = Case(str(case.get("id", "")), case.get("seed"), case.get("again") is True)
            return await simulator.act(_text(body, "word"), _mapping(body, "args"), known)

        return await self._call(request, do)

    async def _ask(self, request: Request) -> Response:
        async def do(simulator: Simulator, body: dict[str, Any]) -> Any:
            return await simulator.ask(_text(body, "what"), _mapping(body, "args"))

        return await self._call(request, do)

    async def _reset(self, request: Request) -> Response:
        async def do(simulator: Simulator, _: dict[str, Any]) -> Any:
            simulator.reset()
            return {}

        return await self._call(request, do)

    async def _quirks(self, request: Request) -> Response:
        async def do(simulator: Simulator, body: dict[str, Any]) -> Any:
            quirks = simulator.bench.quirks
            if "active" in body:
                quirks.set(body["active"])
            known = {
                name: {"defect": quirk.defect, "severity": quirk.severity, "notices": quirk.notices}
                for name, quirk in quirks.known.items()
            }
            return {"known": known, "active": quirks.active, "acted": quirks.acted}

        return await self._call(request, do)

    async def _told(self, request: Request) -> Response:
        async def do(taps: Taps, _: dict[str, Any]) -> Any:
            return taps.told()

        return await self._answer(request, self._tapped, do)

    async def _begin(self, request: Request) -> Response:
        async def do(taps: Taps, body: dict[str, Any]) -> Any:
            return await taps.begin(body)

        return await self._answer(request, self._tapped, do)

    async def _lift(self, request: Request) -> Response:
        async def do(taps: Taps, body: dict[str, Any]) -> Any:
            return await taps.lift(body.get("fault", 0))

        return await self._answer(request, self._tapped, do)

    def _tapped(self, _: Request) -> Taps:
        if self._taps is None:
            raise Broken("this process has no taps")
        return self._taps

    async def _call(
        self, request: Request, do: Callable[[Simulator, dict[str, Any]], Awaitable[Any]]
    ) -> Response:
        return await self._answer(request, self._named, do)

    async def _answer(
        self,
        request: Request,
        whom: Callable[[Request], T],
        do: Callable[[T, dict[str, Any]], Awaitable[Any]],
    ) -> Response:
        """Answer with the result, or with the word and text of what went wrong."""
        try:
            asked = whom(request)
            return Json({"result": await do(asked, await _body(request))})
        except Exception as trouble:  # noqa: BLE001 - every failure is an answer here, and the engine judges it
            text = (
                str(trouble)
                if isinstance(trouble, StepwedgeError)
                else f"{type(trouble).__name__}: {trouble}"
            )
            return Json({"error": {"kind": kind_of(trouble), "message": text}})

    def _named(self, request: Request) -> Simulator:
        name = request.path_params["name"]
        if name not in self._simulators:
            raise Broken(f"no simulated actor is called {name!r}; here are {', '.join(self._simulators)}")
        return self._simulators[name]

    async def _read_journal(self, request: Request) -> Response:
        name = request.path_params.get("name", "")
        try:
            after = max(int(request.query_params.get("after", "0")), 0)
            wait = min(max(float(request.query_params.get("wait", "0")), 0.0), LONGEST_WAIT)
        except ValueError:
            return Json(
                {"error": {"kind": "bad input", "message": "after is a number, wait is seconds"}}, 400
            )
        if self._taps is not None:
            await self._taps.caught_up()
        lines = await self._lines(after, wait, name)
        return Response(
            b'{"exchanges": [%b], "last": %d}' % (b",".join(lines), self._journal.last),
            media_type="application/json",
        )

    async def _lines(self, after: int, wait: float, name: str) -> list[bytes]:
        """Return journal lines, of one actor when named; wait for the first one."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait
        mark = f'"actor": {json.dumps(name)},'.encode()
        while True:
            found = self._journal.lines(after)
            after += len(found)
            lines = [line for line in found if not name or mark in line]
            if lines or (not found and not await self._journal.wait(after, deadline - loop.time())):
                return lines

    async def _payload(self, request: Request) -> Response:
        """Give what a journal line refers to as a file, without its head: to a reader who does not share our disk."""
        try:
            (line,) = self._journal.lines(int(request.query_params["number"]) - 1, 1)
            parts = {part: json.loads(line)[part] for part in _PARTS}
            payload = Payload.from_json(parts[request.query_params["part"]])
            data = payload.read()[len(payload.head) :]
        except (KeyError, ValueError, OSError):
            return Json({"error": {"kind": "bad input", "message": "no such payload, or not any more"}}, 404)
        return Response(data, media_type="application/octet-stream")

    async def _health(self, _: Request) -> Response:
        actors = {name: simulator.addresses().format() for name, simulator in self._simulators.items()}
        roles = {name: simulator.bench.role for name, simulator in self._simulators.items()}
        last = self._journal.last
        return Json(
            {"status": "ready", "pid": os.getpid(), "actors": actors, "roles": roles, "journal": last}
        )

    async def _health_of(self, request: Request) -> Response:
        async def do(simulator: Simulator, _: dict[str, Any]) -> Any:
            outbox = simulator.bench.outbox
            return {
                "status": "ready",
                "address": simulator.addresses().format(),
                "waiting": len(outbox.waiting()),
                "parked": len(outbox.parked()),
            }

        return await self._call(request, do)

    async def _metrics(self, _: Request) -> Response:
        """Write the Prometheus text format 0.0.4."""
        told = metrics.text(self._counted())
        return PlainTextResponse(told, media_type="text/plain; version=0.0.4")

    def _counted(self) -> Iterator[str]:
        yield "# TYPE stepwedge_exchanges_total counter"
        yield f"stepwedge_exchanges_total {self._journal.last}"
        for metric in ("waiting", "parked"):
            yield f"# TYPE stepwedge_outbox_{metric} gauge"
            for name, simulator in self._simulators.items():
                count = len(getattr(simulator.bench.outbox, metric)())
                yield f'stepwedge_outbox_{metric}{{actor="{name}"}} {count}'
        yield "# TYPE stepwedge_quirk_acted_total counter"
        for name, simulator in self._simulators.items():
            for quirk, count in simulator.bench.quirks.acted.items():
                yield f'stepwedge_quirk_acted_total{{actor="{name}",quirk="{quirk}"}} {count}'
        yield from metrics.exchanges({name: one.bench.counts for name, one in self._simulators.items()})
        yield from metrics.process()


def _refusal(scope: Scope, known_as: str) -> str:
    headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
    host = headers.get(b"host", "").rpartition(":")[0] or headers.get(b"host", "")
    if host not in {"127.0.0.1", "localhost", "[::1]"} and not host == known_as != "":
        return "only requests for this machine itself are answered"
    if scope["method"] == "POST" and not headers.get(b"content-type", "").startswith("application/json"):
        return "a POST must be application/json"
    return ""


async def _body(request: Request) -> dict[str, Any]:
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > LARGEST_BODY:
            raise BadInput("body", f"at most {LARGEST_BODY} bytes", "more")
    try:
        body = json.loads(data or b"{}")
    except ValueError as error:
        raise BadInput("body", "JSON", str(error)) from None
    if not isinstance(body, dict):
        raise BadInput("body", "a JSON object", type(body).__name__)
    return body


def _text(body: dict[str, Any], name: str) -> str:
    if not isinstance(value := body.get(name), str):
        raise BadInput(name, "a text", repr(value))
    return value


def _mapping(body: dict[str, Any], name: str) -> dict[str, Any]:
    if not isinstance(value := body.get(name, {}), dict):
        raise BadInput(name, "an object", repr(value))
    return value
