"""Simulated systems that run already, each in a process or container of its own: joined for a run, left as they were."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from stepwedge.actors.cast import Admin
from stepwedge.errors import BadInput, Broken

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stepwedge.lab.labfile import Lab

_GLANCE = 10.0
"""Seconds a system may take to say what it is."""


def join(lab: Lab, seed: int, quirks: Sequence[str]) -> dict[str, Any]:
    """Ask every system who it is, let it forget earlier runs, and return what a hospital process would have told.

    Raises ``Broken`` for one that does not answer, ``BadInput`` for one that is another than the lab file says.
    """
    actors = look(lab)
    known = {name: Admin(one["admin"], timeout=_GLANCE) for name, one in actors.items()}
    # All know each other before the first forgets: what is on its way is forgotten too.
    for admin in known.values():
        admin.reset()
    _give(known, quirks)
    for admin in known.values():
        admin.close()
    return {"seed": seed, "actors": actors}


def look(lab: Lab) -> dict[str, Any]:
    """Ask every system who it is, and change nothing."""
    actors = {}
    for name, url in lab.apart.items():
        with contextlib.closing(Admin(url, timeout=_GLANCE)) as admin:
            actors[name] = _met(lab, name, admin)
    return actors


def leave(lab: Lab) -> None:
    """Take the quirks of a run back; a system that is gone has none any more."""
    for name, url in lab.apart.items():
        with (
            contextlib.suppress(Broken),
            contextlib.closing(Admin(f"{url}/{name}", timeout=_GLANCE)) as admin,
        ):
            admin.behave(())


def _met(lab: Lab, name: str, admin: Admin) -> dict[str, Any]:
    try:
        told = admin.health()
    except Broken as trouble:
        raise Broken(
            f"{name} does not run: {trouble}; start the containers with 'stepwedge up --containers'"
        ) from None
    role = lab.simulated[name].role
    played = told.get("roles", {}).get(name)
    if played != role:
        there = ", ".join(f"{one} ({what})" for one, what in told.get("roles", {}).items()) or "none of ours"
        raise BadInput(f"{lab.file} (actors.{name}.admin)", f"{name} ({role}) at {admin.url}", there)
    host = urlsplit(admin.url).hostname or ""
    doors = {door: _published(text, host) for door, text in told["actors"][name].items()}
    return {"role": role, "address": doors, "admin": f"{admin.url}/{name}"}


def _published(text: str, host: str) -> str:
    """Return a door's address as we reach it: under the host of the admin API, at the port it names itself."""
    url = urlsplit(text)
    if not url.port:
        return text
    who = text.split("//", 1)[1].rpartition("@")[0] if "@" in url.netloc else ""
    return f"{url.scheme}://{who}{'@' * bool(who)}{host}:{url.port}{url.path}"


def _give(known: dict[str, Admin], quirks: Sequence[str]) -> None:
    """Give each system those of the quirks that it can have; one that nobody can have is refused."""
    able = {name: set(admin.quirks()["known"]) for name, admin in known.items()}
    for quirk in quirks:
        if not any(quirk in own for own in able.values()):
            raise BadInput("--quirk", "a quirk of one of the running systems", quirk)
    for name, admin in known.items():
        admin.behave([quirk for quirk in quirks if quirk in able[name]])
