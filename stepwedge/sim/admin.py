"""The admin API of a host process: tell a simulated system to do something, ask it something, read the journal.

    POST /NAME/act     {"word", "args", "case": {"id", "seed"}}  ->  {"result": {...}} or {"error": {"kind", "message"}}
    POST /NAME/ask     {"what", "args"}                          ->  the same
    POST /NAME/reset                                             ->  {}
    GET  /NAME/quirks, POST {"active": [...]}                    ->  {"known": {...}, "active": [...], "acted": {...}}
    GET  /NAME/health
    GET  /NAME/journal?after=N&wait=S, /journal?after=N&wait=S   ->  {"exchanges": [...], "last": N}
    GET  /health, /metrics

It listens on the loopback address only, takes no cookie and no form, and answers requests for local host names only, so that
a web page open on the same machine can neither read nor command it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from stepwedge.errors import BadInput, Broken, Failed, Inconclusive, LinkLost, LocalProtocolError, NoAnswer, Refused
from stepwedge.errors import RemoteProtocolError, Skipped
from stepwedge.sim.simulator import Case

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request

    from stepwedge.evidence.journal import Journal
    from stepwedge.sim.simulator import Simulator

LONGEST_WAIT = 60.0
"""Seconds a reader of the journal may wait for the next exchange."""
LARGEST_BODY = 16 << 20

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

    def __init__(self, simulators: Mapping[str, Simulator], journal: Journal) -> None:
        self._simulators = simulators
        self._journal = journal
        self.application = Starlette(
            routes=[
                Route("/health", self._health),
                Route("/journal", self._read_journal),
                Route("/metrics", self._metrics),
                Route("/{name}/act", self._act, methods=["POST"]),
                Route("/{name}/ask", self._ask, methods=["POST"]),
                Route("/{name}/reset", self._reset, methods=["POST"]),
                Route("/{name}/quirks", self._quirks, methods=["GET", "POST"]),
                Route("/{name}/health", self._health_of),
                Route("/{name}/journal", self._read_journal),
            ],
        )
