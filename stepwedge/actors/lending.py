"""The probe's connections to web services, kept from question to question; what is said on one becomes evidence."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from stepwedge.errors import Broken
from stepwedge.evidence.exchange import Payload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stepwedge.actors.cast import Cast
    from stepwedge.actors.wallet import Wallet
    from stepwedge.actors.witness import Witness
    from stepwedge.wire.http_blocking import WebExchange
    from stepwedge.wire.tls import Credentials

T = TypeVar("T")


@contextmanager
def lent(
    kind: Callable[..., T], cast: Cast, actor: str, door: str, protocol: str, seconds: float, witness: Witness
) -> Iterator[T]:
    """Lend a client of a ``kind`` (``DicomWeb``, ``Fhir``) for one ``door`` of an actor (``web``, ``fhir``)."""
    url: str | None = getattr(cast[actor].address, door)
    if url is None:
        raise Broken(f"{actor} has no {door} address in the lab file, so it cannot be asked over {protocol}")
    security = cast.tls if url.startswith("https:") else None
    client, heard = _connection(kind, url, seconds * cast.patience, security, cast.tokens)
    heard.clear()
    try:
        yield client
    finally:
        if heard:
            last = heard[-1]
            witness.outcome = str(last.status or "")
            witness.response = Payload.of(last.response)
            witness.request = Payload.of(last.request or f"{last.method} {last.path}?{last.query}".encode())


@cache
def _connection(
    kind: Any, url: str, seconds: float, security: Credentials | None, wallet: Wallet | None
) -> tuple[Any, list[WebExchange]]:
    heard: list[WebExchange] = []
    context = security.client() if security else None
    bearer = None if wallet is None else lambda: wallet.bearer(url)
    return kind(url, timeout=seconds, observe=heard.append, context=context, bearer=bearer), heard
