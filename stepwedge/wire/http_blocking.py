"""One blocking HTTP connection as every client here needs it: bounded, observed, and every kind of no told apart.

It follows no redirect and knows no proxy. A body is read up to a limit of bytes and of time; what was not asked for
(a Content-Encoding, which may be a bomb) is refused.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from stepwedge.errors import LinkLost, NoAnswer, Refused, RemoteProtocolError, WireError
from stepwedge.wire import tls

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

    import httpx

_PATIENCE: Final = 30
"""A body may take this many times the timeout that each of its pieces has."""
KEPT: Final = 2.0
"""Seconds after which an idle connection is not used again.

Servers commonly end one after 5 s, as the client's library would: a request sent at that moment meets a reset, and nobody
can tell whether it was acted upon.
"""


class HttpRefused(Refused):
    """The server answered with a status that is a no.

    Attributes:
        status: HTTP status code.
        retry_after: what the server asked for, as written.
    """

    def __init__(self, text: str, status: int, retry_after: str = "") -> None:
        """Keep what a caller may have to act upon."""
        super().__init__(text)
        self.status, self.retry_after = status, retry_after


@dataclass(frozen=True, slots=True)
class WebExchange:
    """One request and its answer, as evidence; ``status`` is 0 and ``error`` says why when there was no answer."""

    method: str
    path: str
    query: str
    request: bytes
    status: int
    content_type: str
    response: bytes
    took: float
    error: str = ""


@dataclass(frozen=True, slots=True)
class Response:
    """One answer, whatever its status; ``place`` is the method and URL it answers."""

    place: str
    status: int
    headers: httpx.Headers
    content_type: str
    body: bytes


class Http:
    """A persistent connection."""

    def __init__(
        self,
        *,
        timeout: float,
        body_limit: int,
        headers: Mapping[str, str],
        observe: Callable[[WebExchange], None] | None = None,
        context: ssl.SSLContext | None = None,
        bearer: Callable[[], str] | None = None,
    ) -> None:
        """Give each piece of an answer ``timeout`` seconds and a body ``body_limit`` bytes; ``observe`` hears every exchange.

        ``context`` says whom to trust behind ``https``, else the system's authorities; ``bearer`` gives tokens (RFC 6750).
        """
        import httpx

        self._observe, self._bearer = observe, bearer
        self._body_limit, self._timeout = body_limit, timeout
        self._client = httpx.Client(
            timeout=timeout,
            follow_redirects=False,
            trust_env=False,
            limits=httpx.Limits(keepalive_expiry=KEPT),
            verify=context or True,
            headers={"Accept-Encoding": "identity", **headers},
        )

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> Response:
        """Send one request and return the whole answer.

        Raises:
            LinkLost, NoAnswer, Refused, RemoteProtocolError: there is none, or none that can be read.
        """
        given = {**headers, **({"Authorization": f"Bearer {self._bearer()}"} if self._bearer else {})}
        request = self._client.build_request(method, url, headers=given, content=body or None)
        place, began = f"{method} {request.url}", time.monotonic()
        answered = self._answered(request, place, began)
        response = None if isinstance(answered, WireError) else answered
        if self._observe is not None:
            self._observe(
                WebExchange(
                    method,
                    request.url.path,
                    request.url.query.decode("ascii", "replace"),
                    body,
                    response.status if response else 0,
                    response.content_type if response else "",
                    response.body if response else b"",
                    time.monotonic() - began,
                    "" if response else str(answered),
                )
            )
        if isinstance(answered, WireError):
            raise answered
        return answered

    def _answered(self, request: httpx.Request, place: str, began: float) -> Response | WireError:
        import httpx

        try:
            return self._read(self._client.send(request, stream=True), place, began)
        except httpx.ConnectTimeout:
            return LinkLost(f"{place}: no connection within {self._timeout:g} s")
        except httpx.TimeoutException:
            return NoAnswer(f"{place}: no answer within {self._timeout:g} s")
        except httpx.NetworkError as cause:
            return tls.refusal(cause, place) or LinkLost(f"{place}: {cause or type(cause).__name__}")
        except httpx.RemoteProtocolError as cause:
            return LinkLost(f"{place}: the answer is cut or no HTTP: {cause}")
        except httpx.HTTPError as cause:
            return RemoteProtocolError(f"{place}: {cause}")
        except WireError as cause:
            return cause

    def _read(self, answer: httpx.Response, place: str, began: float) -> Response:
        """Read a body up to the limit; an encoded one is refused, since it was not asked for and may be a bomb."""
        try:
            if answer.headers.get("content-encoding", "identity") != "identity":
                raise RemoteProtocolError(
                    f"{place}: Content-Encoding {answer.headers['content-encoding']} unasked"
                )
            pieces, size = [], 0
            for piece in answer.iter_raw():
                pieces.append(piece)
                size += len(piece)
                if size > self._body_limit:
                    raise RemoteProtocolError(f"{place}: more than {self._body_limit} bytes")
                if time.monotonic() - began > self._timeout * _PATIENCE:
                    raise NoAnswer(
                        f"{place}: {size} bytes after {self._timeout * _PATIENCE:g} s, and not done"
                    )
            kind = answer.headers.get("content-type", "")
            return Response(place, answer.status_code, answer.headers, kind, b"".join(pieces))
        finally:
            answer.close()

    def close(self) -> None:
        """Close the connection."""
        self._client.close()
