"""References: ``$order.accession`` stands for a value, ``$(procedure)`` for a value inside text, ``$$`` for a dollar.

Dots only: a part is a key of a mapping or the number of an item in a list, from zero. There are no expressions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from stepwedge.actors.words import did_you_mean
from stepwedge.checks.matchers import Lookup

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from stepwedge.scenario.source import Location

Shape = dict[str, "Shape"] | None
"""What is known of a binding before it exists: its keys, each with its shape; ``None`` when nothing is known."""

_PATH: Final = r"[a-z][a-z0-9_]*(?:\.[A-Za-z0-9_]+)*"
_WHOLE: Final = re.compile(rf"\$({_PATH})")
_PART: Final = re.compile(rf"\$(?:\$|\(({_PATH})\))")
_HINT: Final = "write $name for a whole value, $(name) inside text, $$ for a dollar sign"


class Unbound(LookupError):
    """A reference leads to nothing; its text says which part is missing and what is there.

    Attributes:
        bound: whether the name is bound, so that it is a part of its value that is missing.
    """

    def __init__(self, text: str, *, bound: bool = True) -> None:
        super().__init__(text)
        self.bound = bound


@dataclass(frozen=True, slots=True)
class Reference:
    """One reference: the name bound by a step, a variant or a flow's parameter, and the way into its value."""

    name: str
    path: tuple[str, ...] = ()

    @classmethod
    def of(cls, text: str) -> Reference:
        """Read ``order.accession``."""
        name, *path = text.split(".")
        return cls(name, tuple(path))

    def __str__(self) -> str:
        return ".".join((f"${self.name}", *self.path))

    def read(self, scope: Mapping[str, Any]) -> Any:
        """Return the value it stands for; raises :class:`Unbound`."""
        if self.name not in scope:
            raise Unbound(f"nothing is bound as ${self.name}{did_you_mean(self.name, scope)}", bound=False)
        value = scope[self.name]
        for depth, part in enumerate(self.path):
            value = _step(value, part, ".".join((f"${self.name}", *self.path[:depth])))
        return value

    def missing(self, shapes: Mapping[str, Shape]) -> str:
        """Say what is missing, from what is known before anything ran; empty when nothing is."""
        if self.name not in shapes:
            return f"nothing is bound as ${self.name}{did_you_mean(self.name, shapes)}"
        shape = shapes[self.name]
        for depth, part in enumerate(self.path):
            if shape is None:
                return ""
            if part not in shape:
                before = ".".join((f"${self.name}", *self.path[:depth]))
                return f"{before} has no {part!r}, only {', '.join(shape)}{did_you_mean(part, shape)}"
            shape = shape[part]
        return ""


def _step(value: Any, part: str, before: str) -> Any:
    if isinstance(value, dict):
        if part in value:
            return value[part]
        raise Unbound(f"{before} has no {part!r}, only {', '.join(map(str, value)) or 'nothing'}")
    if isinstance(value, Lookup) and value.get(part) is not None:
        return value.get(part)
    if isinstance(value, list) and part.isdecimal():
        if int(part) < len(value):
            return value[int(part)]
        raise Unbound(f"{before} has {len(value)} items, there is no .{part} (the first is .0)")
    raise Unbound(
        f"{before} is {'a list' if isinstance(value, list) else repr(value)}, it has no part {part!r}"
    )


def references(value: Any, location: Location = ()) -> Iterator[tuple[Location, Reference | str]]:
    """Yield every reference inside ``value`` with its location; text instead of a reference says what is wrong."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from references(part, (*location, key))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from references(part, (*location, index))
    elif isinstance(value, str) and ("$" in value or "{{" in value):
        for found in _in_text(value):
            yield location, found


def _in_text(text: str) -> Iterator[Reference | str]:
    if whole := _WHOLE.fullmatch(text):
        yield Reference.of(whole[1])
        return
    for part in _PART.finditer(text):
        if part[1]:
            yield Reference.of(part[1])
    rest = _PART.sub("", text)
    if "$" in rest or "{{" in rest:
        yield _HINT


def resolve(value: Any, scope: Mapping[str, Any]) -> Any:
    """Return ``value`` with every reference replaced by what it stands for; raises :class:`Unbound`."""
    if isinstance(value, dict):
        return {key: resolve(part, scope) for key, part in value.items()}
    if isinstance(value, list):
        return [resolve(part, scope) for part in value]
    if not isinstance(value, str) or "$" not in value:
        return value
    if whole := _WHOLE.fullmatch(value):
        return Reference.of(whole[1]).read(scope)
    return _PART.sub(lambda part: _said(Reference.of(part[1]).read(scope)) if part[1] else "$", value)


def literal(value: Any) -> Any:
    """Return ``value`` so written that :func:`resolve` gives it back unchanged."""
    if isinstance(value, dict):
        return {key: literal(part) for key, part in value.items()}
    if isinstance(value, list):
        return [literal(part) for part in value]
    return value.replace("$", "$$") if isinstance(value, str) else value


def _said(value: Any) -> str:
    """Write a value as part of a text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
