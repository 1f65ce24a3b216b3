"""From a scenario file to its cases: one per variant, each with an identity that everything it makes derives from."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from stepwedge.scenario import schema
from stepwedge.scenario.bindings import Reference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from stepwedge.errors import BadInput
    from stepwedge.scenario.load import Planned, ScenarioFile

_SLUG: Final = re.compile(schema.SLUG)
_NAME: Final = re.compile(schema.NAME)


@dataclass(frozen=True, slots=True)
class Case:
    """One run of one scenario."""

    file: ScenarioFile
    variant: str = ""
    names: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """``scenario[variant]``, or ``scenario`` alone when it has no variants."""
        name = self.file.model.scenario
        return f"{name}[{self.variant}]" if self.variant else name

    def steps(self) -> Iterator[Planned]:
        """Yield the steps in order, each with the actor that this variant names."""
        return (planned.played(self.names) for planned in self.file.steps())


def cases(file: ScenarioFile) -> list[Case]:
    """Return the cases of a scenario; raises ``BadInput`` for variants that cannot be told apart."""
    if not file.model.variants:
        return [Case(file)]
    seen: dict[str, Case] = {}
    for index, variant in enumerate(file.model.variants):
        one = _case(file, index, variant)
        if one.variant in seen:
            where = ("variants", index, "id")
            raise file.source.problem(
                where, "a variant id of its own", one.variant, "two variants have this id"
            )
        seen[one.variant] = one
    return list(seen.values())


def _case(file: ScenarioFile, index: int, variant: Mapping[str, Any]) -> Case:
    here = ("variants", index)
    name = variant.get("id")
    if not isinstance(name, str) or not _SLUG.match(name):
        expected = "an id of lower-case letters and digits, joined by single hyphens"
        raise file.source.problem((*here, "id"), expected, name)
    for key in variant:
        if not _NAME.match(key):
            raise file.source.problem(
                (*here, key), "a name of lower-case letters, digits and underscores", key
            )
    return Case(file, name, {key: value for key, value in variant.items() if key != "id"})


def taken(when: str | None, scope: Mapping[str, Any]) -> bool:
    """Tell whether a step's condition holds; raises ``Unbound``, or ``TypeError`` when it is neither true nor false."""
    if when is None:
        return True
    negated = when.startswith("not ")
    value = Reference.of(when.removeprefix("not ").removeprefix("$")).read(scope)
    if not isinstance(value, bool):
        raise TypeError(f"{when} needs true or false, found {value!r}")
    return value is not negated


def duplicates(files: list[ScenarioFile]) -> Iterator[BadInput]:
    """Yield an error for every scenario id that an earlier file has already."""
    first: dict[str, ScenarioFile] = {}
    for file in files:
        other = first.setdefault(file.model.scenario, file)
        if other is not file and other.path.resolve() != file.path.resolve():
            place = other.source.place("scenario")
            yield file.source.problem(
                ("scenario",),
                "an id that no other scenario has",
                file.model.scenario,
                f"it stands in {place} already",
            )
