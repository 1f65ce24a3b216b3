"""The web door of a simulated system, journaled."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import uvicorn

from stepwedge.clock import moment
from stepwedge.sim import bearer, keys
from stepwedge.sim.address import Address
from stepwedge.sim.full import INSUFFICIENT_STORAGE, full
from stepwedge.sim.web_client import AGENT, Web, keys_of, kind_of
from stepwedge.wire import tls_asyncio

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from stepwedge.evidence.exchange import Keys
    from stepwedge.sim.bench import Bench
    from stepwedge.wire.tls_asyncio import Gate

BACKLOG = 128
FORBIDDEN, SERVER_ERROR = 403, 500
GRACE = 1
"""Seconds that open requests get when a server stops."""
KEPT = 30
"""Seconds that an idle connection stays open.

Longer than clients commonly keep one (5 s): when both give up at the same second, a request meets a reset.
"""


class WebServer:
    """Serve one ASGI application over HTTP/1.1 in the running loop."""

    def __init__(self, application: ASGIApp) -> None:
        self._application = application
        self._task: asyncio.Task[None] | None = None

    async def start(self, host: str, port: int, gate: Gate | None = None) -> None:
        """Listen, over TLS behind a ``gate``; an OSError says that the port cannot be had."""
        listening = socket.create_server((host, port), backlog=BACKLOG)
        # Connections inherit it; asyncio sets it only on sockets that name their protocol, and 40 ms an answer are lost.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        config = uvicorn.Config(
            self._application,
            lifespan="off",
            http="h11",
            ws="none",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_graceful_shutdown=GRACE,
            timeout_keep_alive=KEPT,
        )
        self._server = _Server(config, gate)
        self._task = asyncio.get_running_loop().create_task(self._server.serve([listening]))
        await self._server.ready.wait()

    async def stop(self) -> None:
        """Let open requests end, for a moment, and stop."""
        if self._task is not None:
            self._server.should_exit = True
            await self._task


class _Server(uvicorn.Server):
    """A server that leaves signals to the host and says when it listens."""

    def __init__(self, config: uvicorn.Config, gate: Gate | None) -> None:
        super().__init__(config)
        self._gate = gate
        self.ready = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if self._gate is None:
            await super().startup(sockets)
        else:
            self.servers = [
                await tls_asyncio.listen(self._connection, "", 0, self._gate, sock=listening)
                for listening in sockets or ()
            ]
            self.started = True
        self.ready.set()

    def _connection(self) -> asyncio.Protocol:
        """Make what uvicorn makes for a connection."""
        kind: Any = self.config.http_protocol_class
        made: asyncio.Protocol = kind(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return made


@dataclass(slots=True)
class Note:
    """What a request handler adds to the journal's line about its request (``note(scope)``)."""

    keys: Keys = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    hidden: bool = False
    """It speaks of somebody who is not synthetic, so that neither request nor answer may be kept."""
    withheld: bool = False
    """Whether what was sent and answered holds secrets: then the journal keeps its lengths alone."""


def note(scope: Scope) -> Note:
    """Return the note of the request under way; ``note(request.scope).facts["sop"] = ...``."""
    found: Note = scope["stepwedge.note"]
    return found


class WebDoor:
    """An HTTP listener whose every exchange is journaled before the last byte of its answer leaves.

    Keys come from the URL and from JSON model bodies; for others the application adds them with :func:`note`.
    """

    def __init__(
        self,
        bench: Bench,
        application: ASGIApp,
        root: str = "",
        door: str = "web",
        *,
        guarded: bool = True,
        compartment: bool = False,
    ) -> None:
        """Serve an ASGI application that answers below ``root`` (``/dicom-web``) as one door of the bench.

        ``guarded`` doors ask for bearer tokens where the lab has ``tokens`` (see :mod:`stepwedge.sim.bearer`); an application
        with ``compartment`` keeps to :func:`stepwedge.sim.bearer.only_patient`.
        """
        self._bench = bench
        self._door = door
        self._application = application
        self._root = root
        self._server = WebServer(self)
        wish = bearer.Wish.read(bench.settings.get("tokens"), bench.name) if guarded else None
        self._web = Web(bench, tokens=False) if wish else None
        self._guard = (
            bearer.Guard(bench, wish, root, self._web, compartment=compartment)
            if wish and self._web
            else None
        )

    @property
    def application(self) -> ASGIApp:
        """What answers here."""
        return self._application

    async def start(self) -> Address:
        """Listen on the port of this door."""
        gate = self._bench.security.gate("web")
        _, port = await self._bench.listen(
            self._door, lambda host, port: self._server.start(host, port, gate)
        )
        scheme = "http" if gate is None else "https"
        return Address.parse({self._door: f"{scheme}://{self._bench.ports.host}:{port}{self._root}"})

    async def stop(self) -> None:
        """Stop listening."""
        await self._server.stop()
        if self._web is not None:
            await self._web.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request and record it."""
        if scope["type"] != "http":
            return
        security = self._bench.security
        if not security.open and (why := security.stranger("{}:{}".format(*scope["client"]))):
            security.note("web", f"{scope['method']} {kind_of(scope['path'])}", str(scope["client"][0]), why)
            await _forbid(send, why)
            return
        scope["stepwedge.note"] = Note()
        seen = _Seen(moment())

        async def received() -> Message:
            return seen.take(await receive())

        async def sent(message: Message) -> None:
            if not seen.give(message):
                await send(message)
            elif seen.status < SERVER_ERROR:
                self._record(scope, seen)
                await send(message)
            else:  # a mistake of ours: what it was comes as an exception, and is recorded with it
                seen.held = message

        try:
            await self._serve(scope, received, sent)
        except Exception as trouble:  # noqa: BLE001 - a handler's mistake is answered 500, and the door stays open
            note(scope).facts["error"] = f"{type(trouble).__name__}: {trouble}"
            if not seen.status:
                status = INSUFFICIENT_STORAGE if full(trouble) else SERVER_ERROR
                await sent({"type": "http.response.start", "status": status, "headers": []})
                await sent({"type": "http.response.body", "body": b""})
        if seen.held is not None:
            self._record(scope, seen)
            await send(seen.held)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the application answer, once whoever asks has shown a token where one is wanted."""
        if self._guard is None or await self._guard.admits(scope, send, note(scope).facts):
            await self._application(scope, receive, send)

    def _record(self, scope: Scope, seen: _Seen) -> None:
        headers = dict(scope["headers"])
        agent = headers.get(b"user-agent", b"").decode("latin-1")
        peer = (
            self._bench.directory.by_application(agent.removeprefix(AGENT))
            if agent.startswith(AGENT)
            else agent
        )
        query = scope["query_string"].decode("latin-1")
        path = scope["path"].removeprefix(self._root)
        note_ = note(scope)
        if note_.hidden:
            path, query, seen.request, seen.response = "/", "", bytearray(), bytearray()
        if note_.withheld:
            note_.facts["withheld"] = [len(seen.request), len(seen.response)]
            seen.request, seen.response = bytearray(), bytearray()
        found = keys_of(path, query, (headers, seen.request), (seen.headers, seen.response))
        self._bench.record(
            "web",
            "in",
            f"{scope['method']} {kind_of(path)}",
            began=seen.began,
            peer=peer or str((scope.get("client") or ["?"])[0]),
            outcome=str(seen.status),
            keys=keys.merge(found, note_.keys),
            facts={"path": path, "query": query, **note_.facts},
            request=bytes(seen.request),
            response=bytes(seen.response),
        )


async def _forbid(send: Send, why: str) -> None:
    """Answer 403 (RFC 9110 section 15.5.4)."""
    body = f"{why}\n".encode()
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": FORBIDDEN, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@dataclass(slots=True)
class _Seen:
    """What passed through the door for one request."""

    began: float
    request: bytearray = field(default_factory=bytearray)
    response: bytearray = field(default_factory=bytearray)
    status: int = 0
    headers: dict[bytes, bytes] = field(default_factory=dict)
    held: Message | None = None

    def take(self, message: Message) -> Message:
        """Keep what came, and pass it on."""
        if message["type"] == "http.request":
            self.request += message.get("body", b"")
        return message

    def give(self, message: Message) -> bool:
        """Keep what leaves; tell whether it is the last of the answer."""
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], dict(message.get("headers", ()))
            return False
        self.response += message.get("body", b"")
        return not message.get("more_body", False)
