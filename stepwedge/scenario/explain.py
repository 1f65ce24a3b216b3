"""Explain a word, a check, an actor, a flow or a scenario file in plain text, for ``stepwedge explain``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from stepwedge import kit
from stepwedge.actors.machines import KINDS
from stepwedge.actors.words import did_you_mean, roles, words
from stepwedge.checks import check as checks
from stepwedge.checks.rules import rules
from stepwedge.errors import BadInput
from stepwedge.scenario import leaving
from stepwedge.scenario.load import FLOWS, find_flow, load_scenario
from stepwedge.scenario.transactions import TRANSACTIONS, cited, numbers
from stepwedge.scenario.variants import cases
from stepwedge.sim.tap.faults import kinds

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from stepwedge.actors.machines import Trouble
    from stepwedge.actors.words import Parameter, Word
    from stepwedge.checks.check import Check
    from stepwedge.scenario.check import Known
    from stepwedge.scenario.load import FlowFile, Planned, ScenarioFile
    from stepwedge.sim.tap.fault import Fault

_REPEATS: Final = {"same": "under the same identity", "anew": "as if for the first time"}


def explain(topic: str, known: Known) -> str:
    """Return what there is to know about ``topic``: a word, check, rule, transaction, actor, flow, or scenario file.

    An unknown topic raises ``BadInput`` with the nearest known.
    """
    actors = known.actors
    path = Path(topic)
    if path.suffix in {".yaml", ".yml"}:
        return "\n".join(_scenario(load_scenario(path), actors))
    for name, said in _topics(actors):
        if name.lower() == topic.lower():
            return "\n".join(said)
    names = [name for name, _ in _topics(actors)]
    near = did_you_mean(topic, names).strip(" ;") or "say an actor to see its words, or checks, rules, flows"
    raise BadInput(
        "explain", "a word, check, rule, transaction, actor, flow or scenario file", repr(topic), near
    )


def _topics(actors: Mapping[str, str]) -> Iterator[tuple[str, Iterable[str]]]:
    everybody = {**{role: role for role in roles()}, **actors}
    for name, role in everybody.items():
        yield name, _actor(name, role)
        for word in words(role):
            yield f"{name}.{word.name}", _word(name, word)
    yield "checks", (f"{one.name:22} {one.says}" for one in checks.checks())
    for check in checks.checks():
        yield check.name, _check(check)
    yield "faults", (f"{name:16} {kind.says}" for name, kind in _faults().items())
    for name, trouble in KINDS.items():
        yield f"fault.{name}", _trouble(trouble)
    for name, kind in kinds().items():
        yield f"fault.{name}", _fault(kind)
    yield "rules", (f"{one.id:8} {one.says}" for one in rules())
    for rule in rules():
        yield rule.id, (f"{rule.id}  {rule.says}", f"  source    {rule.source}", "", "Applied to every case.")
    for number, name in TRANSACTIONS.items():
        yield number, _transaction(number, name)
    flows = [find_flow(name, kit.find("scenarios")) for name in _flow_names()]
    yield "flows", (f"flow.{one.model.flow:22} {one.model.title}" for one in flows)
    for flow in flows:
        yield f"flow.{flow.model.flow}", _flow(flow, actors)


def _flow_names() -> list[str]:
    return sorted({path.stem for root in kit.roots() for path in (root / "scenarios" / FLOWS).glob("*.yaml")})


def _actor(name: str, role: str) -> Iterator[str]:
    yield f"{name}" + (f"  plays the role {role}" if name != role else "")
    for word in words(role):
        yield f"  {name}.{word.name:20} {word.does}" + (f"  [{word.ihe}]" if word.ihe else "")


def _word(name: str, word: Word) -> Iterator[str]:
    yield f"{name}.{word.name}  {word.does}"
    if word.ihe:
        yield f"  performs  {cited(word.ihe)}"
    if word.requires:
        yield f"  requires  {', '.join(word.requires)}"
    yield from _parameters(word.takes)
    if word.also:
        yield f"    any {word.also}"
    if word.gives:
        yield "  gives"
        yield from (f"    {key:16} {says}" for key, says in word.gives.items())
    args = ", ".join(f"{one.name}: ..." for one in word.takes if one.required)
    if word.repeat:
        yield f"  may be said again, {_REPEATS[word.repeat]}, when nobody knows what became of it"
    yield from ("", f"  - do: {name}.{word.name}", *([f"    with: {{{args}}}"] if args else []))


def _parameters(takes: Iterable[Parameter]) -> Iterator[str]:
    for at, one in enumerate(takes):
        if at == 0:
            yield "  with"
        choices = f" ({', '.join(one.choices)})" if one.choices else ""
        default = " - must be given" if one.required else f" - default {one.default}" if one.default else ""
        yield f"    {one.name:16} {one.says or one.kind}{choices}{default}"


def _check(check: Check) -> Iterator[str]:
    sources = {
        "journal": "what a simulated actor received",
        "wire": "asked on the wire by the probe",
        "ask": "what a simulated actor knows",
        "value": "a value bound by an earlier step",
    }
    yield f"{check.name}  {check.says}"
    if check.ihe:
        yield f"  shows     {cited(check.ihe)}"
    yield f"  seen by   {sources[check.observes]}"
    if check.place != "none":
        yield f"  {check.place:9} the actor, such as {'pacs' if check.place == 'at' else 'ris'}"
    if check.doors:
        doors = (f"{door} (claim {claim})" if claim else door for door, claim in check.doors.items())
        yield f"  through   {', '.join(doors)}"
    for label, names in (("where", check.where.says), ("is", check.is_.says)):
        if names:
            yield f"  {label:9} {names}"
    yield from _parameters(check.takes)
    fenced = "a marker message behind it proves it" if check.fence == "hl7" else "the clock decides"
    yield f"  never     {fenced}"


def _fault(kind: type[Fault]) -> Iterator[str]:
    yield f"{kind.kind}  {kind.says}"
    yield f"  acts at   {', '.join(kind.doors) or 'every tapped door'}, usually on the {kind.usual}"
    for at, one in enumerate(kind.takes):
        if at == 0:
            yield "  with"
        default = f"{one.default:g}s" if one.kind == "seconds" else one.default
        yield f"    {one.name:16} {one.says}: {one.expected} - default {default}"
    yield from ("", f"  - fault: {{on: ris->pacs, kind: {kind.kind}, for: 5s}}")


def _faults() -> dict[str, type[Fault] | Trouble]:
    return {**kinds(), **KINDS}


def _trouble(kind: Trouble) -> Iterator[str]:
    yield f"{kind.kind}  {kind.says}"
    yield "  befalls   a whole system: one with process: own, one the lab starts, or a container"
    for at, one in enumerate(kind.takes):
        if at == 0:
            yield "  with"
        default = f"{one.default:g}s" if one.kind == "seconds" else one.default
        yield f"    {one.name:16} {one.says}: {one.expected} - default {default}"
    yield from ("", f"  - fault: {{on: pacs, kind: {kind.kind}, for: 5s}}")


def _transaction(number: str, name: str) -> Iterator[str]:
    yield f"{number}  {name}"
    for word in words():
        if word.ihe == number:
            yield f"  {word.full:28} {word.does}"
    for check in checks.checks():
        if number in numbers(check.ihe):
            yield f"  {check.name:28} {check.says}"


def _flow(flow: FlowFile, actors: Mapping[str, str]) -> Iterator[str]:
    yield f"flow.{flow.model.flow}  {flow.model.title}"
    yield f"  file      {flow.source.name}"
    if flow.model.parameters:
        yield "  with"
    for name, one in flow.model.parameters.items():
        must = "default" not in one.model_fields_set
        default = (
            " - must be given" if must else f" - default {one.default}" if one.default is not None else ""
        )
        yield f"    {name:16} {one.says}{default}"
    if flow.model.gives:
        yield f"  gives     {', '.join(flow.model.gives)}"
    yield "  steps"
    yield from (_line(planned, actors) for planned in flow.steps())


def _scenario(file: ScenarioFile, actors: Mapping[str, str]) -> Iterator[str]:
    model = file.model
    yield f"{model.scenario}  {model.title}"
    yield f"  {model.story.strip()}"
    yield f"  severity  {model.severity}"
    if model.catalogue:
        yield f"  catalogue {', '.join(model.catalogue)}"
    if model.requires:
        yield f"  requires  {', '.join(model.requires)}"
    if model.variants:
        yield f"  variants  {', '.join(case.variant for case in cases(file))}"
    yield "  steps"
    yield from (_line(planned, actors) for planned in file.steps())


def _line(planned: Planned, actors: Mapping[str, str]) -> str:
    step = planned.step
    said = step.title or leaving.plain(planned, actors)
    place = f" at {step.at}" if step.at else f" from {step.from_}" if step.from_ else ""
    when = f" when {step.when}" if step.when else ""
    ihe = f"  [{step.ihe}]" if step.ihe else ""
    return f"  {planned.line:4}  {planned.kind:6} {planned.word}{place}{when}: {said}{ihe}"
