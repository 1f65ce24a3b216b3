"""What the probe asks over DICOMweb (PS3.18): QIDO-RS, WADO-RS, frames, rendered images, workitems."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from stepwedge.actors.lending import lent
from stepwedge.actors.witness import Asked, Witness
from stepwedge.sim import keys as keys_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from stepwedge.actors.cast import Cast
    from stepwedge.wire.dicomweb import DicomWeb
    from stepwedge.wire.elements import Elements

RETRIEVE_SECONDS: Final = 60.0
"""How long an answer may take, before patience scales it."""


def search(
    cast: Cast, actor: str, level: str, keys: dict[str, Any], study: str = "", *, fuzzy: bool = False
) -> Asked:
    """Search for studies, or the series or instances of one (QIDO-RS, PS3.18 section 10.6)."""
    path = f"/studies/{study}/{level}" if study else f"/{level}"
    facts: dict[str, Any] = {"path": path, "query": keys}
    witness = Witness(cast, actor, "web", f"GET {path}", facts, keys_of.of_values(keys))
    with witness.watching(), _web(cast, actor, witness) as client:
        matching = {key: value for key, value in keys.items() if value}
        fields = [key for key in keys if key not in matching]
        answers = client.qido(level, matching, study=study, fields=fields, fuzzy=fuzzy)
        witness.keys = keys_of.of_values([{"study": study}, keys, answers])
        facts["answers"] = answers
    return Asked(answers, (witness.number,))


def page(cast: Cast, actor: str, keys: Mapping[str, Any], limit: int, offset: int) -> Asked:
    """Search for studies and take one page of them (PS3.18 section 8.3.4.4)."""
    facts: dict[str, Any] = {"path": "/studies", "query": {**keys, "limit": limit, "offset": offset}}
    witness = Witness(cast, actor, "web", "GET /studies", facts, keys_of.of_values(dict(keys)))
    with witness.watching(), _web(cast, actor, witness) as client:
        answers = client.qido("studies", keys, limit=limit, offset=offset)
        facts["answers"] = answers
    return Asked(answers, (witness.number,))


def metadata(cast: Cast, actor: str, study: str) -> list[Elements]:
    """Take the metadata of every image of a study (PS3.18 section 10.4.1.1.2)."""
    path = f"/studies/{study}/metadata"
    witness = Witness(cast, actor, "web", f"GET {path}", {"path": path}, {"study": [study]})
    with witness.watching(), _web(cast, actor, witness) as client:
        return client.metadata(study)


def tasks(cast: Cast, actor: str, keys: Mapping[str, Any]) -> Asked:
    """Search the worklist service for workitems (UPS-RS, PS3.18 section 11.9)."""
    matching = {key: str(value) for key, value in keys.items() if value}
    facts: dict[str, Any] = {"path": "/workitems", "query": matching}
    witness = Witness(cast, actor, "web", "GET /workitems", facts, keys_of.of_values(matching))
    with witness.watching(), _web(cast, actor, witness) as client:
        answers = client.workitems(matching)
        facts["answers"] = answers
    return Asked(answers, (witness.number,))


def take(cast: Cast, actor: str, study: str, transfer_syntax: str = "") -> list[bytes]:
    """Take all instances of a study as Part 10 files (PS3.18 section 10.4.1.1.1), in one transfer syntax when it is named."""
    path = f"/studies/{study}"
    witness = Witness(cast, actor, "web", f"GET {path}", {"path": path}, {"study": [study]})
    with witness.watching(), _web(cast, actor, witness) as client:
        parts = client.wado(study, transfer_syntax=transfer_syntax or "*")
        witness.facts["instances"] = len(parts)
    return parts


def picture(cast: Cast, actor: str, place: tuple[str, str, str], query: Mapping[str, str]) -> bytes:
    """Let an image (study, series, instance) be rendered as PNG (PS3.18 section 10.4.1.1.5)."""
    path = "/studies/{}/series/{}/instances/{}/rendered".format(*place)
    witness = Witness(
        cast, actor, "web", f"GET {path}", {"path": path, "query": dict(query)}, {"sop": [place[2]]}
    )
    with witness.watching(), _web(cast, actor, witness) as client:
        return client.rendered(*place, query=list(query.items()))


def frames(cast: Cast, actor: str, place: tuple[str, str, str], numbers: Sequence[int]) -> list[bytes]:
    """Take frames of an image (study, series, instance) by number, from 1, decoded (PS3.18 section 10.4.1.1.6)."""
    path = "/studies/{}/series/{}/instances/{}/frames".format(*place)
    facts = {"path": path, "frames": list(numbers)}
    witness = Witness(cast, actor, "web", f"GET {path}", facts, {"sop": [place[2]]})
    with witness.watching(), _web(cast, actor, witness) as client:
        return client.frames(*place, numbers)


def _web(cast: Cast, actor: str, witness: Witness) -> AbstractContextManager[DicomWeb]:
    from stepwedge.wire.dicomweb import DicomWeb

    return lent(DicomWeb, cast, actor, "web", "DICOMweb", RETRIEVE_SECONDS, witness)
