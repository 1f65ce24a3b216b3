"""Check scenarios without running them: words, checks, actors, claims and bindings, variant by variant."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from stepwedge.actors import words
from stepwedge.actors.words import did_you_mean
from stepwedge.checks import check as checks
from stepwedge.errors import BadInput, StepwedgeError
from stepwedge.scenario import fault_check
from stepwedge.scenario.bindings import Reference, Shape, references
from stepwedge.scenario.load import FlowFile, Planned, ScenarioFile, Unusable, find_flow, load_scenario
from stepwedge.scenario.schema import Fault, Lift
from stepwedge.scenario.source import Said
from stepwedge.scenario.variants import Case, cases, duplicates, taken

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from stepwedge.scenario.source import Location

_SPECS: Final = ("where", "is", "reply")
_ACTORS: Final = ("at", "from", "to")


@dataclass(frozen=True, slots=True)
class Known:
    """What a lab knows: its actors with their roles, and the claims there are (``None``: any)."""

    actors: Mapping[str, str]
    claims: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with a file: an error keeps it from running, a warning does not."""

    error: BadInput
    warning: bool = False

    def __str__(self) -> str:
        return f"{'warning' if self.warning else 'error'}: {self.error}"


def check(paths: Iterable[Path], known: Known) -> list[Problem]:
    """Return every problem of the scenario files (and of all scenarios below a folder)."""
    problems: list[Problem] = []
    files: list[ScenarioFile] = []
    for path in _files(paths):
        try:
            file = load_scenario(path)
        except (BadInput, Unusable) as trouble:
            problems += [Problem(one) for one in _each(trouble)]
        else:
            files.append(file)
            problems += check_scenario(file, known)
    problems += [Problem(one) for one in duplicates(files)]
    return list({str(problem): problem for problem in problems}.values())


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            found = path.rglob("*.yaml")
            yield from sorted(one for one in found if not any(part.startswith("_") for part in one.parts))
        else:
            yield path


def _each(trouble: StepwedgeError) -> list[BadInput]:
    if isinstance(trouble, Unusable):
        return trouble.problems
    return [trouble] if isinstance(trouble, BadInput) else []


def check_scenario(file: ScenarioFile, known: Known) -> list[Problem]:
    """Return the problems of one scenario in all its variants."""
    try:
        all_cases = cases(file)
    except BadInput as trouble:
        return [Problem(trouble)]
    problems: list[Problem] = []
    bound: dict[str, Location] = {}
    used: set[str] = set()
    for case in all_cases:
        walk = _Walk(file, known, case.names, dict.fromkeys(case.names))
        walk.steps()
        problems += walk.problems
        bound |= walk.bound | {name: ("variants", _index(file, case), name) for name in case.names}
        used |= walk.used
        if not walk.looks:
            variant = f" in variant {case.variant}" if case.variant else ""
            remedy = "a scenario that expects nothing would always pass"
            problems.append(
                Problem(
                    file.source.problem(("steps",), f"an expect or a never{variant}", Said("none"), remedy)
                )
            )
    for name in sorted(bound.keys() - used):
        expected = f"${name} to be used"
        problems.append(
            Problem(file.source.problem(bound[name], expected, Said("no step that does")), warning=True)
        )
    claims = enumerate(file.model.requires)
    problems += [Problem(one) for i, claim in claims for one in _claim(file, known, ("requires", i), claim)]
    return list({str(problem): problem for problem in problems}.values())


def _index(file: ScenarioFile, case: Case) -> int:
    return next((i for i, one in enumerate(file.model.variants) if one.get("id") == case.variant), 0)


def _claim(file: ScenarioFile | FlowFile, known: Known, where: Location, claim: str) -> Iterator[BadInput]:
    if known.claims is not None and claim not in known.claims:
        near = did_you_mean(claim, known.claims).strip(" ;")
        yield file.source.problem(where, f"a claim ({', '.join(sorted(known.claims))})", claim, near)


@dataclass(slots=True)
class _Walk:
    """One pass through the steps of a file, as far as they can be known before anything runs."""

    file: ScenarioFile | FlowFile
    known: Known
    values: Mapping[str, Any]
    shapes: dict[str, Shape]
    above: tuple[str, ...] = ()
    problems: list[Problem] = field(default_factory=list)
    bound: dict[str, Location] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    looks: int = 0

    def steps(self) -> None:
        for written in self.file.steps():
            if (planned := written.played(self.values)) is not written:
                self.used.add(written.word[1:].partition(".")[0])
            if self._taken(planned):
                self._step(planned)

    def _say(self, where: Location, expected: str, found: object, remedy: str = "") -> None:
        self.problems.append(Problem(self.file.source.problem(where, expected, found, remedy)))

    def _taken(self, planned: Planned) -> bool:
        """Tell whether the step is taken; what only the run can know counts as yes."""
        when, here = planned.step.when, ("steps", planned.index, "when")
        if when is None:
            return True
        reference = Reference.of(when.removeprefix("not ").removeprefix("$"))
        self._reference(here, reference)
        if reference.name not in self.values:
            return True
        try:
            return taken(when, self.values)
        except (LookupError, TypeError):
            self._say(
                here, f"{reference} to be true or false", self.values[reference.name], "write true or false"
            )
            return False

    def _reference(self, where: Location, reference: Reference) -> None:
        self.used.add(reference.name)
        if missing := reference.missing(self.shapes):
            self._say(
                where, "something bound by an earlier step, a variant or a parameter", str(reference), missing
            )

    def _step(self, planned: Planned) -> None:
        here = ("steps", planned.index)
        written = planned.written()
        self._references(written, here)
        for key in _SPECS:
            self._not_empty((*here, key), written.get(key, ...))
        for key in _ACTORS:
            if key in written:
                self._actor((*here, key), written[key])
        for index, claim in enumerate(planned.step.requires):
            self.problems += [
                Problem(one) for one in _claim(self.file, self.known, (*here, "requires", index), claim)
            ]
        if isinstance(planned.step, Fault | Lift):
            self._trouble(planned.step, planned, here)
        elif planned.flow:
            self._flow(planned, here)
        elif planned.acts:
            self._act(planned, here)
        else:
            self._watch(planned, here)

    def _references(self, written: Mapping[str, Any], here: Location) -> None:
        for key, value in written.items():
            for where, found in references(value, (*here, key)) if key not in {"when", "as"} else ():
                if isinstance(found, Reference):
                    self._reference(where, found)
                else:
                    self._say(where, found, Said("another use of $ or {{"))

    def _not_empty(self, where: Location, value: Any) -> None:
        """Refuse an empty list or mapping among expectations: it would always hold."""
        if value is None or value in ([], {}):
            self._say(
                where, "something to compare with", Said("nothing"), "an empty expectation would always hold"
            )
        elif isinstance(value, dict):
            for key, part in value.items():
                if part is not None:
                    self._not_empty((*where, key), part)
        elif isinstance(value, list):
            for index, part in enumerate(value):
                self._not_empty((*where, index), part)

    def _actor(self, where: Location, name: str) -> str:
        """Return the role of an actor; empty when it is unknown here (a reference is judged when it runs)."""
        if name in self.known.actors or name.startswith("$"):
            return self.known.actors.get(name, "")
        actors = sorted({*self.known.actors, *words.roles()})
        if name not in actors:
            self._say(where, f"an actor ({', '.join(actors)})", name, did_you_mean(name, actors).strip(" ;"))
        return name if name in words.roles() else ""

    def _act(self, planned: Planned, here: Location) -> None:
        where = (*here, planned.kind)
        name, _, verb = planned.word.partition(".")
        if name.startswith("$"):
            self._say(where, f"an actor, or a name that the variant gives one: {name[1:]}", planned.word)
            return
        if not (role := self._played(planned, name) or self._actor(where, name)):
            self._bind(planned, here, None)
            return
        known = [one.name for one in words.words(role)]
        if verb not in known:
            expected = f"a word of {name} ({', '.join(known)})"
            self._say(where, expected, planned.word, did_you_mean(verb, known).strip(" ;"))
            self._bind(planned, here, None)
            return
        word = words.word(role, verb)
        given = {key: value for key, value in planned.step.with_.items() if value is not None}
        if wrong := word.problem([*given, *(["to"] if planned.step.to else [])]):
            names = [parameter.name for parameter in word.takes]
            odd = next((key for key in given if key not in names), "")
            said, _, near = wrong.partition("; ")
            self._say(
                (*here, "with", odd),
                f"{', '.join(names) or 'nothing'} with {planned.word}",
                odd or given,
                near or said,
            )
        for parameter in word.takes:
            value = given.get(parameter.name)
            if (
                parameter.choices
                and isinstance(value, str)
                and "$" not in value
                and value not in parameter.choices
            ):
                choices = ", ".join(parameter.choices)
                near = did_you_mean(value, parameter.choices).strip(" ;")
                self._say((*here, "with", parameter.name), f"one of {choices}", value, near)
        self._bind(planned, here, dict.fromkeys(word.gives) if word.gives else None)

    def _played(self, planned: Planned, name: str) -> str:
        """Return the role of an actor that a variant names and this lab lacks (it is skipped here), told by its word."""
        if name in self.known.actors or not str(planned.written()[planned.kind]).startswith("$"):
            return ""
        verb = planned.word.partition(".")[2]
        return next((role for role in words.roles() if verb in {one.name for one in words.words(role)}), "")

    def _trouble(self, step: Fault | Lift, planned: Planned, here: Location) -> None:
        if isinstance(step, Fault):
            for where, expected, found, remedy in fault_check.problems(step):
                self._say((*here, *where), expected, found, remedy)
            for name in step.fault.on.split("->") if "$" not in step.fault.on else ():
                self._actor((*here, "fault", "on"), name)
        self._bind(planned, here, None)

    def _watch(self, planned: Planned, here: Location) -> None:
        self.looks += 1
        try:
            found = checks.find(planned.word)
        except BadInput as unknown:
            self._say((*here, planned.kind), unknown.expected, planned.word, unknown.remedy)
            self._bind(planned, here, None)
            return
        for path, text in found.problems(planned.written()):
            head, _, tail = path.partition(".")
            where = (*here, head, tail) if tail else (*here, head) if head else (*here, planned.kind)
            said, _, near = text.partition("; ")
            value = planned.written().get(head)
            part = value.get(tail) if tail and isinstance(value, dict) else value
            self._say(where, said, tail if tail and not isinstance(part, dict | list) else part, near)
        self._bind(planned, here, None)

    def _flow(self, planned: Planned, here: Location) -> None:
        where = (*here, planned.kind)
        try:
            flow = find_flow(planned.flow, self.file.path.parent)
        except BadInput as trouble:
            if trouble.place.startswith("flow."):
                self._say(where, trouble.expected, planned.word, trouble.remedy)
            else:
                self.problems.append(Problem(trouble))
            self._bind(planned, here, None)
            return
        except Unusable as trouble:
            self.problems += [Problem(one) for one in trouble.problems]
            self._bind(planned, here, None)
            return
        if flow.model.flow in self.above:
            self._say(
                where, "flows that do not lead back to themselves", " → ".join((*self.above, flow.model.flow))
            )
            return
        self._parameters(planned, here, flow)
        self._bind(planned, here, self._inside(flow, planned))

    def _parameters(self, planned: Planned, here: Location, flow: FlowFile) -> None:
        names = list(flow.model.parameters)
        for key in planned.step.with_:
            if key not in names:
                near = did_you_mean(key, names).strip(" ;")
                self._say(
                    (*here, "with", key), f"a parameter of {planned.word} ({', '.join(names)})", key, near
                )
        for name, parameter in flow.model.parameters.items():
            if "default" not in parameter.model_fields_set and name not in planned.step.with_:
                self._say((*here, "with"), f"{name} ({parameter.says})", planned.step.with_)

    def _inside(self, flow: FlowFile, planned: Planned) -> Shape:
        """Check the flow itself and return the shape of what it gives."""
        values = {n: p.default for n, p in flow.model.parameters.items() if n not in planned.step.with_}
        shapes: dict[str, Shape] = dict.fromkeys(flow.model.parameters)
        inner = _Walk(flow, self.known, values, shapes, (*self.above, flow.model.flow))
        inner.steps()
        gives: dict[str, Shape] = {}
        for name, text in flow.model.gives.items():
            reference = Reference.of(text.removeprefix("$"))
            inner._reference(("gives", name), reference)
            gives[name] = inner.shapes.get(reference.name) if not reference.path else None
        for name in sorted({*inner.bound, *flow.model.parameters} - inner.used):
            where = inner.bound.get(name, ("parameters", name))
            unused = flow.source.problem(where, f"${name} to be used", Said("no step that does"))
            inner.problems.append(Problem(unused, warning=True))
        self.problems += inner.problems
        return gives

    def _bind(self, planned: Planned, here: Location, shape: Shape) -> None:
        names = getattr(planned.step, "as_", None)
        if isinstance(names, str):
            self._name((*here, "as"), names, shape)
        for key, name in (names or {}).items() if isinstance(names, dict) else ():
            if shape is not None and key not in shape:
                near = did_you_mean(key, shape).strip(" ;")
                self._say(
                    (*here, "as", key), f"something {planned.word} gives ({', '.join(shape)})", key, near
                )
            self._name((*here, "as", key), name, shape.get(key) if shape else None)

    def _name(self, where: Location, name: str, shape: Shape) -> None:
        if name in self.shapes:
            line = self.file.source.line(*self.bound.get(name, ("variants", 0, name)))
            self._say(where, "a name that is not bound yet", name, f"it is bound on line {line} already")
        self.shapes[name] = shape
        self.bound[name] = where
