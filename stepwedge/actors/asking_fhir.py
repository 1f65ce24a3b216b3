"""Black-box questions over FHIR R4, journaled like every other question of the probe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from stepwedge.actors.asking import ASK_SECONDS
from stepwedge.actors.lending import lent
from stepwedge.actors.witness import Asked, Witness
from stepwedge.sim.resources.naming import keys_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from stepwedge.actors.cast import Cast
    from stepwedge.wire.fhir import Resource
    from stepwedge.wire.fhir_client import Fhir, Reply


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


def _connected(cast: Cast, actor: str, witness: Witness) -> AbstractContextManager[Fhir]:
    from stepwedge.wire.fhir_client import Fhir

    return lent(Fhir, cast, actor, "fhir", "FHIR", ASK_SECONDS, witness)
