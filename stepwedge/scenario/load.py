"""Load scenarios and flows, with every problem of a file told at once, each on its line."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import ValidationError

from stepwedge import kit
from stepwedge.actors.words import did_you_mean
from stepwedge.errors import BadInput, StepwedgeError
from stepwedge.scenario import schema
from stepwedge.scenario.schema import KINDS, Expect, Fault, Flow, Lift, Model, Never, Scenario
from stepwedge.scenario.source import Location, Said, Source, read

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pydantic_core import ErrorDetails

FLOWS: Final = "_flows"
_STEPS: Final[dict[str, type[Model]]] = {
    "given": schema.Given,
    "do": schema.Do,
    "expect": schema.Expect,
    "never": schema.Never,
    "fault": schema.Fault,
    "lift": schema.Lift,
}
_PATTERNS: Final = {
    schema.SLUG: "lower-case letters and digits, joined by single hyphens",
    schema.NAME: "a name of lower-case letters, digits and underscores",
    schema.WORD: "actor.word or flow.name",
    schema.CHECK: "the name of a check, such as message.received",
    schema.REFERENCE: "one reference such as $order.accession",
    schema.CONDITION: "$name or not $name",
    schema.EDGE: "a link such as ris->pacs, or a whole system such as pacs",
}
_TYPES: Final = {
    "string_type": "text",
    "dict_type": "a mapping",
    "list_type": "a list",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}


class Unusable(StepwedgeError):
    """A file that cannot be used; its text tells every problem."""

    def __init__(self, problems: Sequence[BadInput]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = list(problems)


@dataclass(frozen=True, slots=True)
class Planned:
    """One step where it stands."""

    step: schema.AnyStep
    source: Source
    index: int

    @property
    def kind(self) -> str:
        """``given``, ``do``, ``expect``, ``never``, ``fault`` or ``lift``."""
        return type(self.step).__name__.lower()

    @property
    def word(self) -> str:
        """What the kind key says: ``ct.start_exam``, ``flow.scheduled_exam``, ``message.received``; of a fault its kind and link."""
        if isinstance(self.step, Fault):
            return f"{self.step.fault.kind} on {self.step.fault.on}"
        return str(getattr(self.step, self.kind))

    @property
    def line(self) -> int:
        """The line of the kind key."""
        return self.source.line("steps", self.index, self.kind)

    @property
    def acts(self) -> bool:
        """Whether it makes something happen, rather than looks."""
        return not isinstance(self.step, Expect | Never)

    @property
    def troubles(self) -> bool:
        """Whether it begins or ends a fault, which others on the same link would feel."""
        return isinstance(self.step, Fault | Lift)

    @property
    def flow(self) -> str:
        """The name of the flow it runs; empty when it runs none."""
        head, _, tail = self.word.partition(".")
        return tail if head == "flow" and self.acts else ""

    def played(self, names: Mapping[str, Any]) -> Planned:
        """Return the step with its actor named, where the variant's ``names`` say who it is: ``$device.acquire``."""
        name, _, verb = self.word.partition(".")
        actor = names.get(name[1:]) if name.startswith("$") else None
        if not isinstance(actor, str):
            return self
        return replace(self, step=self.step.model_copy(update={self.kind: f"{actor}.{verb}"}))

    def written(self) -> dict[str, Any]:
        """Return the step as it stands in the file."""
        written: dict[str, Any] = self.source.value["steps"][self.index]
        return written


@dataclass(frozen=True, slots=True)
class FlowFile:
    """A run of steps that scenarios share, as read."""

    path: Path
    source: Source
    model: Flow

    def steps(self) -> Iterator[Planned]:
        """Yield the steps in order."""
        return (Planned(step, self.source, index) for index, step in enumerate(self.model.steps))


@dataclass(frozen=True, slots=True)
class ScenarioFile:
    """A scenario as read."""

    path: Path
    source: Source
    model: Scenario

    def steps(self) -> Iterator[Planned]:
        """Yield the steps in order."""
        return (Planned(step, self.source, index) for index, step in enumerate(self.model.steps))

    def flow(self, name: str) -> FlowFile:
        """Return a flow by name; raises ``BadInput`` or :class:`Unusable`."""
        return find_flow(name, self.path.parent)


def load_scenario(path: Path) -> ScenarioFile:
    """Read one scenario file; raises ``BadInput`` or :class:`Unusable`."""
    source = read(path, _name(path))
    return ScenarioFile(path, source, _model(source, Scenario))


def find_flow(name: str, near: Path) -> FlowFile:
    """Return the flow ``name``: from ``_flows`` beside or above ``near``, else from the labs' scenarios."""
    folders = [folder / FLOWS for folder in (near, *near.parents)]
    folders += [root / "scenarios" / FLOWS for root in kit.roots()]
    present = [folder for folder in folders if folder.is_dir()]
    for folder in present:
        path = folder / f"{name}.yaml"
        if path.is_file():
            if not path.resolve().is_relative_to(folder.resolve()):
                raise BadInput(_name(path), f"a file inside {_name(folder)}", f"a link to {path.resolve()}")
            return _load_flow(path, path.stat().st_mtime_ns)
    known = sorted({path.stem for folder in present for path in folder.glob("*.yaml")})
    remedy = did_you_mean(name, known).strip(" ;")
    raise BadInput(f"flow.{name}", f"a flow ({', '.join(known) or 'there is none'})", name, remedy)


@lru_cache(maxsize=256)
def _load_flow(path: Path, _changed: int) -> FlowFile:
    source = read(path, _name(path))
    model = _model(source, Flow)
    if model.flow != path.stem:
        raise source.problem(
            ("flow",), f"the name of the file, {path.stem}", model.flow, "rename one of them"
        )
    return FlowFile(path, source, model)


def _name(path: Path) -> str:
    """Name a file as the person at the terminal would."""
    try:
        return path.resolve().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return str(path)


M = TypeVar("M", bound=Model)


def _model(source: Source, model: type[M]) -> M:
    what = model.__name__.lower()
    if source.value is None:
        raise source.problem((), f"a {what}", Said("an empty file"), "copy one that works and change it")
    if not isinstance(source.value, dict):
        raise source.problem((), f"a mapping that begins with {what}:", source.value)
    problems = list(_unclear_steps(source))
    try:
        valid = model.model_validate(source.value)
    except ValidationError as trouble:
        problems += [
            _translated(source, model, one) for one in trouble.errors(include_url=False) if not _told(one)
        ]
        problems = list({str(problem): problem for problem in problems}.values())
        raise Unusable(sorted(problems, key=lambda problem: _order(problem.place))) from None
    if problems:
        raise Unusable(problems)
    return valid


def _told(error: ErrorDetails) -> bool:
    """Tell whether :func:`_unclear_steps` said it already, and better."""
    second_kind = error["type"] == "extra_forbidden" and error["loc"][-1] in KINDS
    return error["type"] == "union_tag_not_found" or second_kind


def _order(place: str) -> int:
    line = place.rpartition(":")[2]
    return int(line) if line.isdecimal() else 0


def _unclear_steps(source: Source) -> Iterator[BadInput]:
    """Yield the steps that are not exactly one of the kinds."""
    steps = source.value.get("steps")
    for index, step in enumerate(steps if isinstance(steps, list) else []):
        here = ("steps", index)
        expected = f"exactly one of {', '.join(KINDS)}"
        if not isinstance(step, dict):
            yield source.problem(here, f"a step with {expected}", step)
            continue
        kinds = [key for key in step if key in KINDS]
        if len(kinds) > 1:
            yield source.problem(
                (*here, kinds[1]), expected, Said(" and ".join(kinds)), "make two steps of it"
            )
        elif not kinds:
            near = next((hint for key in step if (hint := did_you_mean(key, KINDS))), "")
            yield source.problem(here, expected, ", ".join(step), near.strip(" ;"))


def _translated(source: Source, model: type[Model], error: ErrorDetails) -> BadInput:
    """Say what pydantic found in the words of this language."""
    location, above = _located(source, error["loc"])
    found = error["input"]
    kind, context = error["type"], error.get("ctx", {})
    match kind:
        case "extra_forbidden":
            key = str(error["loc"][-1])
            keys = [key for key in _keys(source, model, above) if key not in KINDS]
            return source.problem(
                location, f"one of {', '.join(keys)}", key, did_you_mean(key, keys).strip(" ;")
            )
        case "missing":
            return source.problem(above, f"the key {error['loc'][-1]!r}", found)
        case "literal_error" if location == ("language",):
            return source.problem(
                location, f"language {schema.LANGUAGE}", found, "use a newer Stepwedge for it"
            )
        case "literal_error":
            near = did_you_mean(
                str(found), context["expected"].replace("'", "").replace(" or ", ", ").split(", ")
            )
            return source.problem(location, context["expected"].replace("'", ""), found, near.strip(" ;"))
        case "string_pattern_mismatch":
            return source.problem(location, _PATTERNS[context["pattern"]], found)
        case "value_error":
            return source.problem(location, str(context["error"]), found)
        case "string_too_short":
            return source.problem(location, "text", Said("an empty text"))
        case "too_short":
            return source.problem(location, "at least one entry", Said("an empty list"))
        case "too_long" | "string_too_long":
            return source.problem(location, f"at most {context['max_length']}", found)
    remedy = "put it in quotes" if kind == "string_type" and isinstance(found, int | float) else ""
    return source.problem(location, _TYPES.get(kind, error["msg"]), found, remedy)


def _located(source: Source, loc: tuple[int | str, ...]) -> tuple[Location, Location]:
    """Return where in the file pydantic points to, and what is around it; its union tags stand in no file."""
    here: Location = ()
    if loc[:1] == ("steps",):
        loc = (*loc[:2], *loc[3:])  # the third part is the tag of the kind of step
    for part in loc:
        if (*here, part) in source.lines:
            here = (*here, part)
    above = here[:-1] if here and here[-1] == loc[-1] else here
    return here, above


def _keys(source: Source, model: type[Model], location: Location) -> list[str]:
    """Return the keys that may stand in the mapping at ``location``."""
    match location:
        case ("steps", int(index)):
            step = source.value["steps"][index]
            model = _STEPS[schema.kind_of(step) or "do"]
        case ("steps", _, "fault"):
            model = schema.FaultText
        case ("steps", _, "fault", "after"):
            model = schema.After
        case ("parameters", _):
            model = schema.FlowParameter
    return [field.alias or name for name, field in model.model_fields.items()]
