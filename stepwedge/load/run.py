"""Run a load: start the lab, write the plan, let Locust drive it, watch, judge while everything still stands, end everything."""

from __future__ import annotations

import json
import socket
import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from stepwedge import clock
from stepwedge.errors import BadInput, Inconclusive
from stepwedge.lab import hospital, security
from stepwedge.load import traces, verdict, watching
from stepwedge.load.arrivals import agenda
from stepwedge.load.fleet import Fleet
from stepwedge.load.truth import Truth

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from stepwedge.actors.cast import Cast
    from stepwedge.lab.hospital import Running
    from stepwedge.lab.labfile import Lab
    from stepwedge.load.plan import Plan
    from stepwedge.load.verdict import Verdict

ADDRESSES: Final = "addresses.json"
OUTAGE: Final = "outage.json"
_LOOK: Final = 0.2
_AHEAD: Final = 1.0
"""Seconds from the word to begin until second 0, so that every process has read it."""
_PATIENCE: Final = 30.0
"""Seconds beyond the drain that a process has to say that it is done."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a plan is driven.

    Attributes:
        workers: Locust processes; ``remote`` ones are started elsewhere and join.
        web: port of Locust's own page, 0 for none.
        told: told how far the run is, in seconds and words.
    """

    workers: int = 1
    remote: bool = False
    web: int = 0
    quirks: tuple[str, ...] = ()
    told: Callable[[float, str], None] = lambda _at, _words: None


def run(lab: Lab, plan: Plan, folder: Path, options: Options = Options()) -> Verdict:
    """Drive the systems of a lab by a plan, and return what came of it; everything is below ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise BadInput(str(folder), "an empty folder", "the files of an earlier run", "name another one")
    traces.Collector.of()  # an address that is none is said before anything is started
    with hospital.start(lab, folder / "hospital", plan.seed, options.quirks) as running:
        cast = running.cast()
        plan = prepare(running, plan, folder, options)
        fleet = Fleet(folder, options.workers, remote=options.remote, web=options.web, port=_port(options))
        try:
            fleet.start()
            with watching.Watch(folder, watching.processes(running), cast) as watch:
                _drive(plan, folder, cast, fleet, watch, options)
        finally:
            fleet.stop()
        options.told(plan.seconds + plan.drain, "looking for everything that was sent")
        return verdict.judge(folder, lab, cast, trouble=tuple(fleet.trouble))


def _port(options: Options) -> int:
    """Return a free port for the master of local workers; remote ones know Locust's own."""
    if options.remote or options.workers == 1:
        return 0
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def prepare(running: Running, plan: Plan, folder: Path, options: Options) -> Plan:
    """Write down where everybody is and what is planned; ``began`` stays open until all are ready."""
    lab, actors = running.lab, running.describe()["actors"]
    if plan.outage and running.cast().machines.get(plan.outage["on"]) is None:
        needs = f"a lab in which {plan.outage['on']} has a process of its own"
        raise BadInput(str(lab.file), needs, "none", "such as fixtures/labs/processes.yaml")
    told: dict[str, Any] = {
        "directory": {name: one["address"] for name, one in actors.items()},
        "roles": {name: one["role"] for name, one in actors.items()},
        "tls": security.settings(lab, running.state) or {},
        "admins": {name: one["admin"] for name, one in running.told["actors"].items()},
    }
    (folder / ADDRESSES).write_text(json.dumps(told, indent=1), encoding="utf-8")
    due = list(agenda(plan))
    counts = dict(Counter(one.kind for one in due))
    plan = replace(
        plan,
        lab=str(lab.file),
        hospital=ADDRESSES,
        claims=None if lab.claims is None else tuple(sorted(lab.claims)),
        workers=options.workers,
        planned=counts,
        expects=_expects(counts, [one.facts for one in due if one.kind == "exam"]),
    )
    plan.write(folder)
    return plan


def _expects(planned: Mapping[str, int], exams: list[dict[str, Any]]) -> tuple[str, ...]:
    """Return the transactions that this plan cannot do without."""
    names = [
        name for kind, name in (("adt", "ADT background"), ("poll", "C-FIND worklist")) if planned.get(kind)
    ]
    whole = [one for one in exams if one["exception"] == "none"]
    if whole:
        names += ["ADT^A04", "C-FIND worklist"]
        names += [{"2.3.1": "ORM^O01", "2.5.1": "OMG^O19"}[one["version"]] for one in whole]
        names += ["STOW-RS" if one.get("door") == "stow-rs" else "C-STORE" for one in whole]
    return tuple(sorted(set(names)))


def _drive(
    plan: Plan, folder: Path, cast: Cast, fleet: Fleet, watch: watching.Watch, options: Options
) -> None:
    plan = replace(plan, began=clock.moment() + _AHEAD)
    plan.write(folder)
    watch.began(plan.began)
    truth, outage = Truth(folder, cast), _Outage(plan, folder, cast)
    last = plan.seconds + plan.drain + _PATIENCE
    while not fleet.done() and (at := clock.moment() - plan.began) < last:
        outage.look(at)
        if not plan.outage:  # reading journals would keep us from ending and starting a system in time: then all is judged at the end
            truth.look()
        options.told(at, plan.phase(at).name if at < plan.seconds else "what began is brought to its end")
        time.sleep(_LOOK)
    outage.over()
    if not fleet.done():
        who = ", ".join(fleet.undone()) or "nobody was ready"
        fleet.trouble.append(f"the generator was not done {_PATIENCE:g} s after its time: {who}")


class _Outage:
    """Ends a system in mid-run and brings it back, with the evidence of both."""

    def __init__(self, plan: Plan, folder: Path, cast: Cast) -> None:
        self._told, self._file = plan.outage, folder / OUTAGE
        self._cast, self._seconds = cast, plan.seconds
        self._said: dict[str, Any] = {}

    def look(self, at: float) -> None:
        """Do what is due."""
        if self._told and "down" not in self._said and at >= self._told["from"] * self._seconds:
            machine = self._machine()
            self._cast[self._told["on"]].away = "kill"  # its journal is read on when it is back
            self._said |= {"on": self._told["on"], "down": at, "evidence": machine.kill()}
            self._write()
        if "down" in self._said and at >= self._told["to"] * self._seconds:
            self.over(at)

    def over(self, at: float = 0.0) -> None:
        """Bring the system back if it is down."""
        if "down" in self._said and "up" not in self._said:
            self._said |= {"up": at or self._seconds, "back": self._machine().start()}
            self._cast[self._told["on"]].away = ""
            self._write()

    def _machine(self) -> Any:
        machine = self._cast.machines[self._told["on"]]
        if why := machine.cannot("kill"):
            raise Inconclusive(why)
        return machine

    def _write(self) -> None:
        self._file.write_text(json.dumps(self._said), encoding="utf-8")
