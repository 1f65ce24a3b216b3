"""Faults of whole systems: killed, stopped, paused, restarted, without disk or files; begun, proven, taken back, proven.

The machine that a system runs on says what was done to it (:mod:`stepwedge.actors.machines`). A fault is over only when every door
of the system answers in its own protocol again; who does not come back is told by name. Nothing lasts longer than two minutes.
"""

from __future__ import annotations

import itertools
import threading
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from stepwedge.actors import machines
from stepwedge.actors.answering import silent
from stepwedge.clock import moment
from stepwedge.errors import Inconclusive, StepwedgeError
from stepwedge.scenario.bindings import Unbound, resolve
from stepwedge.scenario.schema import duration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stepwedge.actors.cast import Cast, Player
    from stepwedge.actors.machines import Machine, Trouble
    from stepwedge.scenario.schema import Fault

LONGEST: Final = 120.0
"""Seconds after which a fault is taken back, whatever became of the case that began it."""
_COMES_BACK: Final = 30.0
"""Seconds a system has to answer at every door again."""
_LOOK: Final = 0.05
_MUTE: Final = 0.5
"""Seconds without an answer that show that nobody is heard."""
_NUMBERS: Final = itertools.count(1_000_001)
"""Apart from the numbers that taps give to theirs."""


@dataclass(frozen=True, slots=True)
class Acted:
    """One thing that was done to a system, with the machine's evidence."""

    at: float
    what: str


@dataclass
class ProcessFault:
    """One fault of one system, from its step until every door answers again."""

    trouble: Trouble
    player: Player
    machine: Machine
    cast: Cast
    case: str
    args: dict[str, Any]
    seconds: float = LONGEST
    number: int = field(default_factory=lambda: next(_NUMBERS))
    acts: list[Acted] = field(default_factory=list)
    back: list[Acted] = field(default_factory=list)
    unsure: str = ""
    left: str = ""
    began: float = field(default_factory=moment)
    ended: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _timers: list[threading.Timer] = field(default_factory=list)

    def begin(self) -> None:
        """Let it strike, now or after its delay, and see to it that it ends in time."""
        delay = float(self.args.pop("delay", 0.0))
        if delay:
            self._after(delay, self._strike)
        else:
            self._strike()
        self._after(delay + min(self.seconds, LONGEST), self.lift)

    def lift(self) -> None:
        """Take it back, once, and wait until the system answers everywhere."""
        for timer in self._timers:
            timer.cancel()
        with self._lock:
            if self.ended:
                return
            try:
                if self.acts and self.trouble.off:
                    self._note(self.back, self.trouble.off, {})
                if self.acts:
                    self.left = self._silence()
            except StepwedgeError as trouble:
                self.left = str(trouble)
            finally:
                self.player.away = ""
                self.ended = moment()

    def told(self) -> dict[str, Any]:
        """Return what it was and did, as JSON values, in the shape that faults of taps have."""
        return {
            "fault": self.number,
            "on": self.player.name,
            "kind": self.trouble.kind,
            "case": self.case,
            "began": self.began,
            "ended": self.ended,
            "count": len(self.acts),
            "acts": [asdict(one) for one in self.acts],
            "back": [asdict(one) for one in self.back],
            "unsure": self.unsure,
            "left": self.left,
        }

    def _strike(self) -> None:
        with self._lock:
            if self.ended:
                return
            if self.trouble.away:
                self.player.away = self.trouble.kind
            try:
                self._note(self.acts, self.trouble.on, self.args)
            except StepwedgeError as trouble:
                self.unsure = str(trouble)
            if not self.trouble.off:
                self.left = self._silence()
            if not self.acts or not self.trouble.off:
                self.player.away = ""

    def _note(self, kept: list[Acted], verb: str, args: Mapping[str, Any]) -> None:
        at = moment()
        what = machines.act(self.machine, verb, args)
        if self.trouble.mute and kept is self.acts:
            if not (found := silent(self.player, self.cast, _MUTE)):
                raise Inconclusive(f"{what}; but every door of {self.player.name} answers a new connection")
            what += f"; no new connection is answered at {', '.join(found)}"
        kept.append(Acted(at, what))

    def _silence(self) -> str:
        """Wait until every door answers; return which do not and why."""
        deadline = time.monotonic() + _COMES_BACK * self.cast.patience
        while found := silent(self.player, self.cast):
            if time.monotonic() > deadline:
                said = "; ".join(f"{door}: {why}" for door, why in found.items())
                return f"{self.player.name} does not answer again at {said}"
            time.sleep(_LOOK)
        self.back.append(Acted(moment(), "every door answers in its own protocol"))
        return ""

    def _after(self, seconds: float, then: Any) -> None:
        timer = threading.Timer(seconds, then)
        timer.daemon = True
        self._timers.append(timer)
        timer.start()


def of(step: Fault, scope: Mapping[str, Any], cast: Cast, case: str) -> ProcessFault:
    """Return the fault a step asks for, not begun yet."""
    told = resolve(step.fault.model_dump(by_alias=True, exclude_none=True), scope)
    trouble, player = machines.KINDS[told["kind"]], cast[told["on"]]
    args = resolve(step.with_, scope)
    for one in trouble.takes:
        if one.kind == "seconds" and isinstance(args.get(one.name), str):
            args[one.name] = duration(args[one.name])
    return ProcessFault(
        trouble, player, cast.machines[player.name], cast, case, args, float(told.get("for") or LONGEST)
    )


def meant(step: Fault, scope: Mapping[str, Any]) -> bool:
    """Tell whether a step is about a whole system and not about a link."""
    try:
        return "->" not in str(resolve(step.fault.on, scope))
    except Unbound:
        return "->" not in step.fault.on


def impossible(on: str, kind: str, cast: Cast) -> str:
    """Return why a system cannot have this trouble in this lab; empty when it can."""
    if on not in cast:
        return f"nobody plays {on} in this lab"
    if on not in cast.machines:
        if not cast[on].simulated:
            return f"{on} is real and was not started here, so nothing can be done to its process"
        return f"{on} shares a process with others in this lab: give it one of its own (process: own)"
    return cast.machines[on].cannot(kind) if kind in machines.KINDS else ""
