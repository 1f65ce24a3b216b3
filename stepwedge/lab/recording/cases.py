"""Cases in what was heard: exchanges that share a patient, an order or a study, whoever said them."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from stepwedge.lab.recording.heard import Heard

_QUERIES: Final = frozenset(("C-FIND", "C-GET", "C-MOVE"))
_SAME: Final = {"prior": "patient", "filler": "number", "placer": "number", "accession": "number"}
"""Kinds of keys that may name one thing: numbers of one order, the two numbers of a merge."""


def is_query(heard: Heard) -> bool:
    """Tell whether an exchange only asks: what many patients answer to binds them to nobody."""
    return heard.kind in _QUERIES or heard.kind.startswith("GET ")


def _names(heard: Heard) -> list[tuple[str, str]]:
    return [
        (_SAME.get(kind, kind), value)
        for kind, values in heard.keys.items()
        if kind != "control"
        for value in values
    ]


class _Groups:
    """Union-find over identifiers."""

    def __init__(self) -> None:
        self._above: dict[tuple[str, str], tuple[str, str]] = {}

    def of(self, name: tuple[str, str]) -> tuple[str, str]:
        way = []
        while (above := self._above.get(name, name)) != name:
            way.append(name)
            name = above
        for one in way:
            self._above[one] = name
        return name

    def join(self, names: Sequence[tuple[str, str]]) -> None:
        for one in names[1:]:
            self._above[self.of(one)] = self.of(names[0])

    def all(self, names: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
        return {self.of(name) for name in names}


def cases(heard: Sequence[Heard]) -> tuple[list[list[Heard]], list[Heard]]:
    """Return what was heard by case, in order, and what belongs to none.

    A query belongs to every case that it or its answers speak of; it makes no case and joins none.
    """
    heard = sorted(heard, key=lambda one: one.at)  # they are heard when they are over
    groups = _Groups()
    for one in heard:
        if not is_query(one):
            groups.join(_names(one))
    found: dict[tuple[str, str], list[Heard]] = defaultdict(list)
    acting = {group for one in heard if not is_query(one) for group in groups.all(_names(one))}
    rest = []
    for one in heard:
        mine = groups.all(_names(one)) & acting
        for group in mine:
            found[group].append(one)
        if not mine:
            rest.append(one)
    return list(found.values()), rest
