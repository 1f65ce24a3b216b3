"""Black-box questions over FHIR R4, journaled like every other question of the probe."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from stepwedge.actors.asking import ASK_SECONDS, Asked, Witness
from stepwedge.errors import Broken
from stepwedge.evidence.exchange import Payload
from stepwedge.sim.resources.naming import keys_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from stepwedge.actors.cast import Cast
    from stepwedge.actors.wallet import Wallet
    from stepwedge.wire.dicomweb import WebExchange
    from stepwedge.wire.fhir import Resource
    from stepwedge.wire.fhir_client import Fhir, Reply
    from stepwedge.wire.tls import Credentials


def resources(cast: Cast, actor: str, kind: str, keys: Mapping[str, str]) -> Asked:
    """Search one resource type; ``keys`` are search parameters with their modifiers."""
    path = f"/{kind}?{urlencode(keys)}"
    facts: dict[str, Any] = {"path": path}
    witness = Witness(cast, actor, "web", f"GET /{kind}", facts, {})
    with witness.watching(), _connected(cast, actor, witness) as client:
        answers = client.search(kind, keys)
        facts["answers"] = len(answers)
        witness.keys = keys_of({"entry": answers})
    return Asked(answers, (witness.number,))


def versions(cast: Cast, actor: str, kind: str, id_: str) -> Asked:
    """Ask for every version of a resource, newest first."""
    witness = Witness(
        cast, actor, "web", f"GET /{kind}/{{}}/_history", {"path": f"/{kind}/{id_}/_history"}, {}
    )
    with witness.watching(), _connected(cast, actor, witness) as client:
        answers = client.history(kind, id_)
        witness.keys = keys_of({"entry": answers})
    return Asked(answers, (witness.number,))


def offer(cast: Cast, actor: str, resource: Resource) -> tuple[Reply, int]:
    """Ask a server to create a resource, and return its answer whatever it is, with the exchange that proves it."""
    from stepwedge.wire import fhir

    kind = str(resource.get("resourceType", ""))
    witness = Witness(cast, actor, "web", f"POST /{kind}", {"path": f"/{kind}"}, keys_of(resource))
    with witness.watching(), _connected(cast, actor, witness) as client:
        reply = client.ask("POST", f"/{kind}", fhir.write(resource))
    return reply, witness.number


@contextmanager
def _connected(cast: Cast, actor: str, witness: Witness) -> Iterator[Fhir]:
    """Lend the connection to the actor's FHIR server, and keep what was said on it as evidence."""
    url = cast[actor].address.fhir
    if url is None:
        raise Broken(f"{actor} has no fhir address in the lab file, so it cannot be asked over FHIR")
    security = cast.tls if url.startswith("https:") else None
    client, heard = _connection(url, ASK_SECONDS * cast.patience, security, cast.tokens)
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
    url: str, seconds: float, security: Credentials | None, wallet: Wallet | None
) -> tuple[Fhir, list[WebExchange]]:
    from stepwedge.wire.fhir_client import Fhir

    heard: list[WebExchange] = []
    context = security.client() if security else None
    bearer = None if wallet is None else lambda: wallet.bearer(url)
    return Fhir(url, timeout=seconds, observe=heard.append, context=context, bearer=bearer), heard
