"""Faults in scenarios: begun by a step, lifted by a step, by their time or by the end of the case, and proven.

A fault that did not act proves nothing about anybody: the case is then *inconclusive*, whatever else it showed. One of which
something is left after it was lifted is our own trouble.
"""

from __future__ import annotations

import typing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stepwedge.errors import StepwedgeError
from stepwedge.scenario import process_faults, wording
from stepwedge.scenario.bindings import Unbound, resolve
from stepwedge.scenario.schema import Fault, Lift, duration
from stepwedge.scenario.steps import Outcome
from stepwedge.scenario.verdict import Verdict
from stepwedge.sim.tap.faults import kinds

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from stepwedge.actors.cast import Admin, Cast
    from stepwedge.scenario.load import Planned
    from stepwedge.scenario.process_faults import ProcessFault
    from stepwedge.scenario.record import Recorder
    from stepwedge.scenario.steps import Place


@dataclass(slots=True)
class Faults:
    """The faults of one case.

    Attributes:
        begun: how many there were.
        forged: what they made up: control IDs of messages and transactions, patient IDs of nobody.
    """

    cast: Cast
    case: str
    seed: int
    recorder: Recorder
    begun: int = 0
    forged: set[str] = field(default_factory=set)
    _processes: dict[int, ProcessFault] = field(default_factory=dict)
    _on: dict[int, tuple[str, str]] = field(default_factory=dict)
    _repeating: set[int] = field(default_factory=set)

    @property
    def repeats(self) -> bool:
        """Whether acts whose outcome nobody knows are to be repeated now."""
        return not self._repeating.isdisjoint(self._on)

    def take(self, planned: Planned, scope: Mapping[str, Any], place: Place) -> Outcome:
        """Begin or lift a fault, as the step says."""
        if isinstance(planned.step, Fault):
            return self._begin(planned, planned.step, scope)
        assert isinstance(planned.step, Lift)  # noqa: S101 - the only other
        number = int(resolve(planned.step.lift, scope)["fault"])
        self._on.pop(number, None)
        return self._judged(self._lift(number), planned.kind, place.line, place.replay)

    def end(self, replay: str) -> Iterator[Outcome]:
        """Lift what is still on; what comes back did not go as it should."""
        for number, (line, kind) in tuple(self._on.items()):
            del self._on[number]
            try:
                outcome = self._judged(self._lift(number), kind, line, replay)
            except StepwedgeError as trouble:
                said = wording.text(
                    Verdict.BROKEN, line, kind, "it cannot be lifted", [("trouble", str(trouble))]
                )
                outcome = Outcome(Verdict.BROKEN, said)
            if outcome.verdict is not Verdict.PASSED:
                yield outcome

    def _begin(self, planned: Planned, step: Fault, scope: Mapping[str, Any]) -> Outcome:
        if process_faults.meant(step, scope):
            fault = process_faults.of(step, scope, self.cast, self.case)
            self._processes[fault.number] = fault
            fault.begin()
            told = fault.told()
        else:
            told = self._host().begin_fault({**asked(step, scope), "seed": self.seed, "case": self.case})
        self.begun += 1
        line = f"{planned.source.name}:{planned.line}"
        self._on[told["fault"]] = (line, f"fault {told['kind']} on {told['on']}")
        if step.fault.repeat:
            self._repeating.add(told["fault"])
        self.recorder.write("fault", event="began", **told)
        return Outcome(result=told)

    def _lift(self, number: int) -> dict[str, Any]:
        if (fault := self._processes.get(number)) is not None:
            fault.lift()
            told = fault.told()
        else:
            told = self._host().lift_fault(number)
            self.forged.update(told["forged"])
        self.recorder.write("fault", event="lifted", **told)
        return told

    def _judged(self, told: dict[str, Any], kind: str, line: str, replay: str) -> Outcome:
        said = [("on", told["on"]), ("fault", told["kind"])]
        if told["left"]:
            lines = [*said, ("left", told["left"]), ("replay", replay)]
            return Outcome(
                Verdict.BROKEN, wording.text(Verdict.BROKEN, line, kind, "not all is removed", lines)
            )
        if not told["count"]:
            lines = [
                *said,
                ("unsure", told.get("unsure") or "it never acted, so nothing was proven about anybody"),
                ("replay", replay),
            ]
            text = wording.text(Verdict.INCONCLUSIVE, line, kind, "the fault did not act", lines)
            return Outcome(Verdict.INCONCLUSIVE, text, result=told)
        return Outcome(result=told)

    def _host(self) -> Admin:
        return typing.cast(
            "Admin", self.cast.host
        )  # without one process of ours there is no tap, and the case was skipped


def asked(step: Fault, scope: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a fault step asks of the taps, durations in seconds."""
    told: dict[str, Any] = resolve(step.fault.model_dump(by_alias=True, exclude_none=True), scope)
    args = resolve(step.with_, scope)
    seconds = (
        {one.name for one in kinds()[told["kind"]].takes if one.kind == "seconds"}
        if told["kind"] in kinds()
        else ()
    )
    for name in seconds:
        if isinstance(args.get(name), str):
            args[name] = duration(args[name])
    return {
        "on": told["on"],
        "kind": told["kind"],
        "door": told.get("door", ""),
        "side": told.get("side"),
        "after": told.get("after") or {},
        "times": told.get("times", 0),
        "seconds": told.get("for"),
        "args": args,
    }


def untapped(planned: Planned, names: Mapping[str, Any], cast: Cast) -> str:
    """Return why a fault cannot be in this lab; empty when it can."""
    if not isinstance(planned.step, Fault):
        return ""
    try:
        told = asked(planned.step, names)
    except Unbound:
        return ""  # only the run can know
    if process_faults.meant(planned.step, names):
        return process_faults.impossible(told["on"], told["kind"], cast)
    caller, _, callee = told["on"].partition("->")
    for name in (caller, callee):
        if name not in cast:
            return f"nobody plays {name} in this lab"
    there = {door for one, other, door in cast.taps if (one, other) == (caller, callee)}
    kind = kinds().get(told["kind"])
    there &= {told["door"]} if told["door"] else set(kind.doors or there) if kind else there
    if there:
        return ""
    return f"no tap on {told['on']}{' ' + told['door'] if told['door'] else ''} in this lab"
