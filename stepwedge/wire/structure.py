"""Does a message have the segments its type demands, in their order?

hl7apy's own validator treats choice groups as sequences (its issue 151: a valid ORM^O01 "lacks" RQD), knows no
Z-segments and takes milliseconds. So only its tables of message structures are used here, read as what they are, a
grammar: a message is matched against it segment by segment, and the answer is remembered by the message's shape.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final

from stepwedge.wire.hl7 import HL7Error, parse
from stepwedge.wire.hl7_build import structure_of

if TYPE_CHECKING:
    from collections.abc import Iterator

States = frozenset[int]

_MOST_MISSING: Final = 3
"""Segments left out in one place, before the one that follows is called misplaced instead."""


def complaints(raw: bytes) -> list[str]:
    """Return what is wrong with the structure of a message, in reading order; nothing when it conforms.

    Z-segments are allowed anywhere, as HL7 v2.5.1 section 2.11 has it.
    """
    try:
        message = parse(raw)
    except HL7Error as error:
        return [str(error)]
    expected, said = structure_of(message.type, message.version), message["MSH-9.3"]
    if said and said != expected:
        return [f"MSH-9.3 says structure {said}, but {message.type} has {expected} (HL7 table 0354)"]
    return list(_judged(message.version, expected, tuple(segment.name for segment in message.segments)))


@lru_cache(maxsize=4096)
def _judged(version: str, structure: str, shape: tuple[str, ...]) -> tuple[str, ...]:
    grammar = _grammar(version, structure)
    if grammar is None:
        return (f"HL7 {version} has no message structure {structure}",)
    found: list[str] = []
    states = grammar.closure({grammar.start})
    for number, name in enumerate(shape, 1):
        if name.startswith("Z"):
            continue
        if not (after := grammar.step(states, name)):
            missing, after = grammar.skip(states, name)
            if after:
                found.append(f"{' and '.join(missing)} missing before {name} (segment {number})")
            else:
                allowed = ", ".join(sorted(grammar.expected(states))) or "the end"
                found.append(f"{name} (segment {number}) is not allowed here; allowed: {allowed}")
                continue
        states = after
    if missing := grammar.to_the_end(states):
        found.append(f"{' and '.join(missing)} missing at the end")
    return tuple(f"{structure} in HL7 {version}: {text}" for text in found)


class Grammar:
    """One message structure as a small automaton: edges are segments, or free (``None``)."""

    def __init__(self, reference: Any) -> None:
        """Read one of hl7apy's tables: ``(kind, ((name, reference, (least, most), "SEG" or "GRP"), ...))``."""
        self._edges: list[list[tuple[str | None, int]]] = [[]]
        self.start = 0
        self._end = self._body(reference, self.start)
        self._edges[self._end].append(("", self._end))  # the accepting state: nothing has an empty name

    def _node(self) -> int:
        self._edges.append([])
        return len(self._edges) - 1

    def _body(self, reference: Any, start: int) -> int:
        kind, children = reference[:2]
        if kind == "choice":  # exactly one of them, which is what issue 151 is about
            end = self._node()
            for child in children:
                self._edges[self._child(child, start)].append((None, end))
            return end
        for child in children:
            start = self._child(child, start)
        return start

    def _child(self, child: Any, start: int) -> int:
        name, reference, (least, most), kind = child
        before = self._node()
        self._edges[start].append((None, before))
        if kind == "SEG":
            after = self._node()
            self._edges[before].append((name, after))
        else:
            after = self._body(reference, before)
        end = self._node()
        self._edges[after].append((None, end))
        if least == 0:
            self._edges[before].append((None, end))
        if most != 1:
            self._edges[end].append((None, before))
        return end

    def closure(self, states: set[int]) -> States:
        """Return all states that are reached without reading a segment."""
        found, open_ = set(states), list(states)
        while open_:
            for name, target in self._edges[open_.pop()]:
                if name is None and target not in found:
                    found.add(target)
                    open_.append(target)
        return frozenset(found)

    def step(self, states: States, segment: str) -> States:
        """Return the states after one segment; none when it is not allowed."""
        return self.closure(
            {target for state in states for name, target in self._edges[state] if name == segment}
        )

    def expected(self, states: States) -> set[str]:
        """Return the segments that are allowed next."""
        return {name for state in states for name, _ in self._edges[state] if name}

    def skip(self, states: States, segment: str) -> tuple[list[str], States]:
        """Return the fewest segments that must have been left out for ``segment`` to stand here, and where it leads."""
        for missing, reached in self._paths(states):
            if after := self.step(reached, segment):
                return missing, after
        return [], frozenset()

    def to_the_end(self, states: States) -> list[str]:
        """Return the fewest segments without which the message may not end."""
        return next((missing for missing, reached in self._paths(states) if self._end in reached), [])

    def _paths(self, states: States) -> Iterator[tuple[list[str], States]]:
        """Yield (segments, states) in order of length, each set of states once."""
        seen = {states}
        paths: list[tuple[list[str], States]] = [([], states)]
        for missing, reached in paths:  # grows while it is walked
            yield missing, reached
            if len(missing) < _MOST_MISSING:
                for name in sorted(self.expected(reached)):
                    after = self.step(reached, name)
                    if after not in seen:
                        seen.add(after)
                        paths.append(([*missing, name], after))


@cache
def _grammar(version: str, structure: str) -> Grammar | None:
    import hl7apy

    try:
        messages = hl7apy.load_library(version).MESSAGES
    except hl7apy.exceptions.UnsupportedVersion:
        return None
    return Grammar(messages[structure]) if structure in messages else None
