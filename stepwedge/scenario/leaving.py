"""What cannot be done here, and why: claims not made, places that cannot be seen, actors that nobody plays.

Nothing is left out silently: every reason ends in the journal and in the report.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepwedge.actors.words import word
from stepwedge.checks import check as checks
from stepwedge.errors import BadInput
from stepwedge.scenario import faults
from stepwedge.scenario.bindings import Reference, Unbound, references, resolve
from stepwedge.scenario.load import Unusable, find_flow
from stepwedge.scenario.schema import Expect, Fault, Lift, Never
from stepwedge.scenario.variants import taken
from stepwedge.sim.tap.faults import kinds

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from stepwedge.actors.cast import Cast
    from stepwedge.scenario.load import Planned
    from stepwedge.scenario.variants import Case


@dataclass(slots=True)
class Scope:
    """The names a step can read, and those it cannot because a step was left out, each with the reason."""

    values: dict[str, Any] = field(default_factory=dict)
    lost: dict[str, str] = field(default_factory=dict)


def unmet(case: Case, cast: Cast) -> str:
    """Return why a whole case cannot run in this lab; empty when it can."""
    for claim in case.file.model.requires:
        if not cast.claimed(claim):
            return f"not claimed: {claim}"
    for planned in every(case.steps(), case, case.names):
        if reason := _unplayable(planned, cast, case.names):
            return reason
    return ""


def every(steps: Iterable[Planned], case: Case, names: Mapping[str, Any]) -> Iterator[Planned]:
    """Yield every step that would be taken, flows opened."""
    for planned in steps:
        try:
            wanted = taken(planned.step.when, names)
        except (Unbound, TypeError):
            wanted = True  # only the run can know
        if not wanted:
            continue
        if planned.flow:
            yield from every(case.file.flow(planned.flow).steps(), case, {})
        else:
            yield planned


def _unplayable(planned: Planned, cast: Cast, names: Mapping[str, Any]) -> str:
    step = planned.step
    if planned.troubles:
        return faults.untapped(planned, names, cast)
    acting = planned.word.partition(".")[0] if planned.acts else None
    places = (str(names.get(place[1:], place)) for place in (step.at, step.from_, step.to) if place)
    for name in (acting, *places):
        if name and not name.startswith("$") and name not in cast:
            return f"nobody plays {name} in this lab"
    if acting is None:
        return ""
    player = cast[acting]
    if not player.simulated:
        return (
            f"{acting} is real here, and only it can {word(player.role, planned.word.partition('.')[2]).does}"
        )
    return ""


def reason(planned: Planned, scope: Scope, cast: Cast) -> str:
    """Return why one step is left out; empty when it can be taken."""
    for claim in (*planned.step.requires, *_needs(planned, cast)):
        if not cast.claimed(claim):
            return f"not claimed: {claim}"
    if planned.acts:
        return ""
    check = checks.find(planned.word)
    if check.doors and not doors(planned, scope, cast):
        asked = _through(planned, scope) or tuple(check.doors)[:1]
        return f"not claimed: {', '.join(check.doors[door] for door in asked)}"
    place = resolve(planned.step.at or planned.step.from_, scope.values)
    if place and place in cast and not cast[place].simulated:
        tapped = any(callee == place and door in check.tapped for _, callee, door in cast.taps)
        if check.observes == "journal" and not (tapped and isinstance(planned.step, Expect)):
            return f"what {place} receives cannot be seen: it is real"
        if check.observes == "ask" and "fhir" not in _through(planned, scope):
            return f"{place} is real and cannot be asked this"
    return ""


def _needs(planned: Planned, cast: Cast) -> tuple[str, ...]:
    """Return the claims that a step's word or check needs by itself."""
    if planned.flow or planned.troubles:
        return ()
    if not planned.acts:
        return tuple(checks.find(planned.word).requires)
    name, _, verb = planned.word.partition(".")
    return word(cast[name].role, verb).requires


def doors(planned: Planned, scope: Scope, cast: Cast) -> tuple[str, ...]:
    """Return the doors a step asks through: those it names, or the check's own first, as far as they are claimed."""
    check = checks.find(planned.word)
    asked = _through(planned, scope) or tuple(check.doors)[:1]
    return tuple(door for door in asked if not check.doors.get(door) or cast.claimed(check.doors[door]))


def unasked(planned: Planned, scope: Scope, asked: tuple[str, ...]) -> list[str]:
    """Say which doors a step names but does not ask through, because nobody claims them."""
    check = checks.find(planned.word)
    silent = [door for door in _through(planned, scope) if door not in asked]
    return [f"{planned.word} not asked through {door}: {check.doors[door]} is not claimed" for door in silent]


def _through(planned: Planned, scope: Scope) -> tuple[str, ...]:
    asked = resolve(planned.step.through, scope.values)
    return tuple(str(door) for one in asked for door in (one if isinstance(one, list) else [one]))


def lost(planned: Planned, scope: Scope) -> str:
    """Return why a name the step reads is not there because of a step left out; empty when all are there."""
    for _, found in references(planned.written()):
        if isinstance(found, Reference) and found.name in scope.lost:
            return scope.lost[found.name]
    return ""


def names(planned: Planned, key: str | None = None) -> list[str]:
    """Return the names a step binds (those for one part of its result)."""
    bound = getattr(planned.step, "as_", None)
    if isinstance(bound, str):
        return [bound]
    return [name for part, name in (bound or {}).items() if key in {None, part}]


def transaction(planned: Planned, cast: Cast) -> str:
    """Return the transaction a step cites: its own, or that of its word or check."""
    if planned.step.ihe:
        return planned.step.ihe
    if planned.flow or planned.troubles:
        return ""
    try:
        if isinstance(planned.step, Expect | Never):
            return ""  # a check may serve several transactions: only the step knows which
        name, _, verb = planned.word.partition(".")
        return word(cast[name].role, verb).ihe
    except BadInput:
        return ""


def plain(planned: Planned, roles: Mapping[str, str]) -> str:
    """Return a step as a plain clinical sentence without a full stop; ``roles`` tells what each actor plays."""
    try:
        if isinstance(planned.step, Lift):
            return "the trouble is over"
        if isinstance(planned.step, Fault):
            told = planned.step.fault
            return f"trouble between {' and '.join(told.on.split('->'))}: {kinds()[told.kind].says}"
        if isinstance(planned.step, Expect | Never):
            return checks.find(planned.word).says
        if planned.flow:
            return find_flow(planned.flow, Path(planned.source.name).parent).model.title
        name, _, verb = planned.word.partition(".")
        return word(roles[name], verb).does
    except (BadInput, Unusable, KeyError):
        return planned.word
