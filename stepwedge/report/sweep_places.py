"""Where a sweep cuts, and the scenarios that do it: pure, from what was heard on the links of one whole case.

A place is a byte of one side of one connection of one link. It is told in whole PDUs or frames and the first or the last byte of
the next, so that it is the same place in a case whose names are longer.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import BadInput
from stepwedge.sim.tap.units import NAMES, UNITS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

EVERY: Final = ("unit", "pdu", "frame", "byte-edges")
VARIANTS: Final = 200
"""Variants of one scenario file at most, as the language has it."""
_HARMLESS: Final = "latency"
_LAST: Final = -1


@dataclass(frozen=True, slots=True, order=True)
class Link:
    """One tapped door: ``caller->callee`` and the door's name."""

    on: str
    door: str

    def __str__(self) -> str:
        return f"{self.on} {self.door}"

    @property
    def unit(self) -> str:
        """What its stream is made of: ``pdu``, ``frame`` or ``byte``."""
        return NAMES.get(UNITS[self.door], "byte") if self.door in UNITS else "pdu"


@dataclass(frozen=True, slots=True)
class Cut:
    """One place: behind so many whole units of a side of a connection, and so many bytes of the next.

    Attributes:
        connection: which of those on which something is said, from 1; 0 is each.
        bytes: -1 is all of the next unit but its last byte.
    """

    link: Link
    side: str
    units: int
    bytes: int = 0
    connection: int = 0

    @property
    def id(self) -> str:
        """Its variant's name."""
        where = f"{self.link.on}-{self.link.door}".replace("->", "-").replace("_", "-")
        which = f"-c{self.connection}" if self.connection else ""
        return f"{where}{which}-{self.side}-{self.units}-{'last' if self.bytes == _LAST else self.bytes}"

    @property
    def place(self) -> str:
        """Where on its side it is, in words."""
        unit = self.link.unit
        behind = f"behind {unit} {self.units}" if self.units else "before anything"
        if self.bytes == _LAST:
            return f"before the last byte of {unit} {self.units + 1}"
        return behind if not self.bytes else f"byte {self.bytes} of {unit} {self.units + 1}"


def cuts(link: Link, heard: Sequence[Mapping[str, Sequence[int]]], every: str, *, each: bool) -> list[Cut]:
    """Return where to cut a link.

    Args:
        link: the link.
        heard: for each connection, by side, the ends of its units in bytes and, last, the number of its bytes.
        every: one of :data:`EVERY`.
        each: cut each connection at a place of its own, rather than all of them at those of the one that said most.
    """
    if every in {"pdu", "frame"} and link.unit != every:
        return []
    if not each:
        heard = [max(heard, key=lambda sides: sum(marks[-1] for marks in sides.values()), default={})]
    found: list[Cut] = []
    for number, sides in enumerate(heard, 1):
        for side, marks in sorted(sides.items(), reverse=True):
            places = sorted(_places(marks, every), key=lambda place: (place[0], place[1] == _LAST, place[1]))
            found += [Cut(link, side, units, size, number if each else 0) for units, size in places]
    return found


def _places(marks: Sequence[int], every: str) -> set[tuple[int, int]]:
    """Return units and bytes of each place on one side."""
    ends = [0, *(mark for mark in marks[:-1] if mark)]
    whole = len(ends) - 1
    if not whole:  # a stream without units that we know
        return {(0, at) for at in (0, 1, marks[-1] // 2, marks[-1] - 1) if at >= 0}
    places = {(count, 0) for count in range(whole + 1)} | {(0, 1), (whole - 1, _LAST)}
    if every == "byte-edges":
        places |= {(count, edge) for count in range(whole) for edge in (1, _LAST)}
    if marks[-1] > ends[-1]:  # what was begun and not ended
        places.add((whole, 1))
    assert all(begin < end for begin, end in pairwise(ends))  # noqa: S101 - marks are in order
    return places


def thinned(places: Sequence[Cut], most: int) -> list[Cut]:
    """Return so many places at most, evenly spread."""
    if len(places) <= most:
        return list(places)
    return [places[at * len(places) // most] for at in range(most)]


def base(written: Mapping[str, Any], variant: str = "") -> dict[str, Any]:
    """Return a scenario reduced to one variant, the first unless told; raises BadInput for one that is not there."""
    variants: list[dict[str, Any]] = list(written.get("variants") or [{"id": ""}])
    known = [str(one["id"]) for one in variants]
    if variant and variant not in known:
        raise BadInput("--variant", f"one of {', '.join(known)}", variant)
    chosen = variants[known.index(variant) if variant else 0]
    steps = [dict(step) for step in written["steps"]]
    plain = {key: value for key, value in written.items() if key != "variants"}
    return {**plain, **({"variants": [chosen]} if chosen["id"] else {}), "steps": steps}


def fault_at(scenario: Mapping[str, Any]) -> int | None:
    """Return which step is the scenario's own fault; None when it has none. Raises BadInput for several."""
    found = [at for at, step in enumerate(scenario["steps"]) if "fault" in step]
    if len(found) > 1:
        raise BadInput(
            str(scenario["scenario"]), "one fault step at most, whose place is moved", f"{len(found)}"
        )
    return found[0] if found else None


def listening(scenario: Mapping[str, Any], links: Iterable[Link]) -> dict[str, Any]:
    """Return a scenario that hears what passes on the links, and changes nothing of it."""
    told = [{"on": link.on, "door": link.door} if link.door else {"on": link.on} for link in links]
    steps = [{"fault": {**one, "kind": _HARMLESS}, "with": {"delay": "1ms"}} for one in told]
    return _with_faults(scenario, "heard", steps)


def swept(scenario: Mapping[str, Any], kind: str, places: Sequence[Cut], number: int = 1) -> dict[str, Any]:
    """Return a scenario with a fault at each place, one variant each.

    The fault step that a scenario has is moved there, and the scenario says how one recovers. One without gets a fault that acts
    once; then acts whose outcome nobody knows are repeated, as their words allow.
    """
    own = fault_at(scenario) is not None
    unit = places[0].link.unit
    after = {"bytes": "$cut_bytes"} | ({unit: "$cut_units"} if unit != "byte" else {})
    told: dict[str, Any] = {"on": places[0].link.on, "kind": kind, "side": "$cut_side"}
    told |= {"door": places[0].link.door} if places[0].link.door else {}
    if not own:
        told |= {"times": 1, "repeat": True}
        after["connection"] = "$cut_connection"
    made = _with_faults(scenario, f"swept-{number}", [{"fault": told | {"after": after}}])
    chosen = (scenario.get("variants") or [{}])[0]
    names = {key: value for key, value in chosen.items() if key != "id" and f"${key}" in str(made["steps"])}
    made["variants"] = [
        {
            "id": cut.id,
            **names,
            "cut_side": cut.side,
            "cut_units": cut.units,
            "cut_bytes": cut.bytes,
            **({} if own else {"cut_connection": cut.connection}),
        }
        for cut in places
    ]
    return made


def _with_faults(scenario: Mapping[str, Any], name: str, faults: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return a scenario under another name, with these faults from the beginning, or in the place of its own."""
    steps = list(scenario["steps"])
    at = fault_at(scenario)
    if at is None:
        steps = [*faults, *steps]
    else:
        kept = {key: steps[at]["fault"][key] for key in ("times",) if key in steps[at]["fault"]}
        named = {key: value for key, value in steps[at].items() if key == "as"}
        steps[at] = {**faults[0], **named, "fault": {**faults[0]["fault"], **kept}}
    return {**scenario, "scenario": f"{scenario['scenario']}-{name}", "steps": steps}


def shares(places: Sequence[Cut], workers: int) -> list[list[list[Cut]]]:
    """Return for each worker the groups of places it plays, each of one link and small enough for one file."""
    by_link: dict[Link, list[Cut]] = {}
    for cut in places:
        by_link.setdefault(cut.link, []).append(cut)
    found: list[list[list[Cut]]] = [[] for _ in range(workers)]
    for link in sorted(by_link):
        for worker in range(workers):
            mine = by_link[link][worker::workers]
            found[worker] += [mine[at : at + VARIANTS] for at in range(0, len(mine), VARIANTS)]
    return [one for one in found if one]
