"""Which links are recorded: named one by one, or the taps of a lab file."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from stepwedge.errors import BadInput
from stepwedge.lab import labfile
from stepwedge.sim.tap.tap import Edge
from stepwedge.sim.tap.taps import ends, place
from stepwedge.sim.tap.units import UNITS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_PLACE: Final = re.compile(r"(?:\[([0-9A-Fa-f:]+)\]|([^:\s\[\]/@]+)):(\d{1,5})")
_HIGHEST: Final = 65535
LOOPBACK: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Link:
    """One link: who calls whom at which door, where the caller finds us, and where we lead it on; a web door's URL."""

    edge: Edge
    listen: tuple[str, int]
    to: tuple[str, int]
    root: str = ""


@dataclass(frozen=True, slots=True)
class Wish:
    """The options of the command; each link has one of each, in the same order."""

    on: Sequence[str] = ()
    listen: Sequence[str] = ()
    to: Sequence[str] = ()
    door: Sequence[str] = ()


def links(wish: Wish, path: Path | None) -> tuple[list[Link], dict[str, str]]:
    """Return the links and the role of each actor of the lab, the default one when no file is named.

    Raises BadInput for what cannot be read, for actors that the lab does not have and for hosts that it does not allow.
    """
    lab = labfile.load(path)
    roles = {name: one.role for name, one in lab.actors.items()}
    counts = {
        "--on": len(wish.on),
        "--listen": len(wish.listen),
        "--to": len(wish.to),
        "--door": len(wish.door),
    }
    if len(set(counts.values())) != 1:
        given = ", ".join(f"{count} {name}" for name, count in counts.items())
        remedy = "give --on, --listen, --to and --door once for each link, in the same order"
        raise BadInput("tap record", "as many of each", given, remedy)
    found = [_named(*one, roles) for one in zip(wish.on, wish.listen, wish.to, wish.door, strict=True)]
    found += _of_lab(lab) if not found else []
    if not found:
        remedy = "name one: --on 'ris->pacs' --listen 127.0.0.1:2577 --to HOST:PORT --door hl7, or a lab file with taps"
        raise BadInput("tap record", "at least one link", "none", remedy)
    for one in found:
        if not labfile.allows(lab, one.to[0]):
            remedy = f"if it is a system you may record, add {one.to[0]} under allow: of a lab file and name it with --lab"
            raise BadInput(
                f"{one.edge} --to", f"a host out of {', '.join(lab.text.allow)}", one.to[0], remedy
            )
    return found, roles


def _named(on: str, listen: str, to: str, door: str, roles: Mapping[str, str]) -> Link:
    caller, callee = ends(on, "--on")
    for name in (caller, callee):
        if name not in roles:
            remedy = "the draft speaks of these; a lab file (--lab) can name others"
            raise BadInput("--on", f"two of {', '.join(roles)}", name, remedy)
    if door not in UNITS:
        raise BadInput("--door", f"one of {', '.join(UNITS)}", door)
    host, port = _place("--listen", listen, least=0)
    try:
        ipaddress.ip_address(host)
    except ValueError:
        raise BadInput("--listen", "an address of this machine, such as 127.0.0.1", host) from None
    return Link(Edge(caller, callee, door), (host, port), _place("--to", to))


def _place(option: str, text: str, least: int = 1) -> tuple[str, int]:
    found = _PLACE.fullmatch(text)
    port = int(found[3]) if found else -1
    if not found or not least <= port <= _HIGHEST:
        raise BadInput(option, f"HOST:PORT with a port from {least} to {_HIGHEST}", text)
    return found[1] or found[2], port


def _of_lab(lab: labfile.Lab) -> list[Link]:
    """Return a link for every tapped door of a lab whose callee is real; the others are read by the run itself."""
    found = []
    for tap in lab.text.taps:
        caller, callee = ends(tap.on, "taps")
        if callee not in lab.real:
            continue
        address = lab.real[callee].address
        ports = {str(door): port for door, port in tap.ports.items()}
        doors = [door for door in tap.doors or UNITS if getattr(address, door) is not None]
        for door in doors:
            at = getattr(address, door)
            if at.startswith("https:") if isinstance(at, str) else at.tls:
                raise BadInput(
                    f"taps: {tap.on} {door}",
                    "a door without TLS",
                    "one with TLS",
                    "nothing in it can be read",
                )
            root = at if isinstance(at, str) else ""
            found.append(Link(Edge(caller, callee, door), (LOOPBACK, ports.get(door, 0)), place(at), root))
    return found
