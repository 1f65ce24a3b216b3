"""What is wrong with a fault step, as far as that can be known before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stepwedge.actors.machines import KINDS
from stepwedge.actors.words import did_you_mean
from stepwedge.scenario.schema import Fault, duration
from stepwedge.sim.tap.faults import kinds
from stepwedge.sim.tap.units import NAMES, UNITS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stepwedge.sim.tap.fault import Argument

Said = tuple[tuple[str, ...], str, Any, str]
"""Where below the step, what was expected, what stands there, and what may help."""

SIDES = ("request", "answer")


def problems(step: Fault) -> Iterator[Said]:
    """Yield what is wrong with a fault; what a variant decides is known only when it runs."""
    told = step.fault
    if _open(told.kind):
        return
    if "->" not in told.on and not _open(told.on):
        yield from _of_a_system(step)
        return
    known = kinds()
    if told.kind in KINDS and not _open(told.on):
        yield ("fault", "on"), f"an actor, because {told.kind} befalls a whole system", told.on, ""
        return
    if told.kind not in known:
        yield ("fault", "kind"), f"a kind of fault ({', '.join(known)})", told.kind, _near(told.kind, known)
        return
    kind = known[told.kind]
    doors = kind.doors or tuple(UNITS)
    if told.door and not _open(told.door) and told.door not in doors:
        yield (
            ("fault", "door"),
            f"a door that {told.kind} can act at ({', '.join(doors)})",
            told.door,
            _near(told.door, doors),
        )
    if told.side and not _open(told.side) and told.side not in SIDES:
        yield ("fault", "side"), "request or answer", told.side, _near(told.side, SIDES)
    if told.after is not None:
        yield from _after(step, doors)
    yield from _arguments(step, kind.takes)


def _of_a_system(step: Fault) -> Iterator[Said]:
    """Yield what is wrong with a fault of a whole system."""
    told = step.fault
    if told.kind not in KINDS:
        link = (
            "it befalls a link: write on: caller->callee" if told.kind in kinds() else _near(told.kind, KINDS)
        )
        yield ("fault", "kind"), f"a kind of fault of a whole system ({', '.join(KINDS)})", told.kind, link
        return
    for key in ("door", "side", "after"):
        if getattr(told, key) is not None:
            yield ("fault", key), "nothing: it belongs to a link", getattr(told, key), ""
    if told.times:
        yield ("fault", "times"), "nothing: it acts once", told.times, ""
    yield from _arguments(step, KINDS[told.kind].takes)


def _after(step: Fault, doors: tuple[str, ...]) -> Iterator[Said]:
    after, door = step.fault.after, step.fault.door
    assert after is not None  # noqa: S101 - the caller looked
    if after.pdu and after.frame:
        yield ("fault", "after", "frame"), "pdu or frame", "both", "a door speaks DICOM or HL7, not both"
        return
    named = {NAMES.get(UNITS[one], "") for one in ([door] if door in UNITS else doors)}
    for unit in ("pdu", "frame"):
        if getattr(after, unit) and unit not in named:
            yield (
                ("fault", "after", unit),
                "bytes, or what the door speaks",
                unit,
                "PDUs are DICOM's, frames are HL7's",
            )


def _arguments(step: Fault, takes: tuple[Argument, ...]) -> Iterator[Said]:
    known = {one.name: one for one in takes}
    for name, value in step.with_.items():
        here = ("with", name)
        if name not in known:
            yield here, f"{', '.join(known) or 'nothing'} with {step.fault.kind}", name, _near(name, known)
        elif not _open(value):
            argument, read = known[name], value
            if argument.kind == "seconds":
                try:
                    read = duration(value)
                except ValueError as trouble:
                    yield here, str(trouble), value, ""
                    continue
            if not argument.accepts(read):
                yield here, argument.expected, value, _near(value, argument.choices)


def _open(value: Any) -> bool:
    return isinstance(value, str) and "$" in value


def _near(found: Any, known: Any) -> str:
    return did_you_mean(str(found), known).strip(" ;")
