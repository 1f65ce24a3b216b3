"""Does a system answer? Asked at each of its doors in that door's own protocol; an open port is no answer."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from stepwedge.errors import Broken, StepwedgeError
from stepwedge.wire.services import VERIFICATION

if TYPE_CHECKING:
    from stepwedge.actors.cast import Cast, Player

DOORS: Final = ("dicom", "worklist", "web", "fhir", "hl7")
_PROBE: Final = b"MSH|^~\\&|%s|STEPWEDGE|||20000101000000||ZST^ZST|SWECHO|D|2.5.1\r"
"""A trigger event that nobody has (Z: HL7 2.5.1 section 2.11); any acknowledgement of it is an answer, and nothing is changed."""
_SERVER_ERROR: Final = 500


def silent(player: Player, cast: Cast, timeout: float = 2.0) -> dict[str, str]:
    """Return for each door of a system that does not answer why it does not; empty when all do."""
    found = {
        door: said
        for door in DOORS
        if getattr(player.address, door) is not None and (said := _asked(player, cast, door, timeout))
    }
    if player.admin is not None and (said := _admin(player, timeout)):
        found["admin"] = said
    return found


def _asked(player: Player, cast: Cast, door: str, timeout: float) -> str:
    ask = {"web": _web, "fhir": _web, "hl7": _hl7}.get(door, _echo)
    try:
        return ask(player, cast, door, timeout)
    except (StepwedgeError, OSError) as trouble:
        return str(trouble) or type(trouble).__name__


def _echo(player: Player, cast: Cast, door: str, timeout: float) -> str:
    from stepwedge.wire.dimse_blocking import Association

    entity = getattr(player.address, door)
    with Association.open(
        entity.host,
        entity.port,
        calling=cast.probe,
        called=entity.ae,
        contexts=[VERIFICATION],
        timeout=timeout,
        context=cast.context(tls=entity.tls),
    ) as association:
        status = association.echo().status
    return "" if status == 0 else f"C-ECHO is answered {status:04X}"


def _hl7(player: Player, cast: Cast, door: str, timeout: float) -> str:
    from stepwedge.wire.mllp_blocking import Link

    place = getattr(player.address, door)
    with Link.open(place.host, place.port, timeout, context=cast.context(tls=place.tls)) as link:
        answer = link.ask(_PROBE % cast.probe.encode())
    return "" if b"\rMSA|" in answer else "an answer that is no acknowledgement"


def _web(player: Player, cast: Cast, door: str, timeout: float) -> str:
    import httpx

    url = str(getattr(player.address, door))
    path = "/metadata" if door == "fhir" else "/studies?limit=1"
    context = cast.context(tls=url.startswith("https:"))
    try:
        status = httpx.get(
            url + path, timeout=timeout, follow_redirects=False, verify=context or True
        ).status_code
    except httpx.HTTPError as trouble:
        return str(trouble) or type(trouble).__name__
    return "" if status < _SERVER_ERROR else f"HTTP {status}"


def _admin(player: Player, timeout: float) -> str:
    from stepwedge.actors.cast import Admin

    assert player.admin is not None  # noqa: S101 - the caller looked
    with contextlib.closing(Admin(player.admin.url, timeout=timeout)) as admin:
        try:
            admin.health()
        except Broken as trouble:
            return str(trouble)
    return ""
