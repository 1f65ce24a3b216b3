"""The load as Locust sees it: one dispatcher in each process. The only module that imports Locust, which must come first.

``STEPWEDGE_PLAN`` names the ``plan.json`` of the run; ``STEPWEDGE_CALLING`` the AE title of whoever needs none that is known. A
process tells by files beside the plan how far it is: ``ready-``, when it could begin; ``done-``, when nothing is due or under way any
more; ``ended-``, when it was told to end. One that is killed leaves none.
"""

from __future__ import annotations

from locust import User, events, runners  # isort: skip  # it patches the standard library for gevent

import importlib
import json
import logging
import os
import socket
import time
from functools import partial
from pathlib import Path
from typing import Any, Final

import gevent

from stepwedge import clock
from stepwedge.errors import Inconclusive
from stepwedge.load import background
from stepwedge.load.arrivals import Arrival, agenda
from stepwedge.load.dispatch import Dispatcher
from stepwedge.load.exam import Exam
from stepwedge.load.pictures import Shelf
from stepwedge.load.plan import Plan
from stepwedge.load.site import CALLING, Site

_NAME: Final = f"{socket.gethostname()}-{os.getpid()}"
_PATIENCE: Final = 60.0
"""Seconds to wait until somebody says when second 0 is."""
_SILENCE: Final = 60
"""Seconds of silence after which Locust's master takes a worker for lost, and gives its users to others or ends the run. One that
makes its images on a busy machine is silent for longer than Locust's own 3 s; whether one has died we see by other signs."""
logging.getLogger("httpx").setLevel(logging.WARNING)  # it tells every request
runners.HEARTBEAT_LIVENESS = _SILENCE
_KINDS: Final = {"C-": "DIMSE", "N-": "DIMSE", "QI": "web", "WA": "web", "ST": "web", "FH": "web"}


def folder() -> Path:
    """Return the folder of the run."""
    return Path(os.environ["STEPWEDGE_PLAN"]).parent


def mark(word: str, **said: Any) -> None:
    """Leave a mark of this process in the folder of the run, whole or not at all."""
    path = folder() / f"{word}-{_NAME}.json"
    part = path.with_suffix(".part")
    part.write_text(json.dumps({"at": clock.moment(), **said}), encoding="utf-8")
    part.replace(path)


@events.quitting.add_listener  # type: ignore[untyped-decorator]
def leave_a_mark(environment: Any, **_: Any) -> None:
    """Write down that we were told to end: a process that is killed cannot."""
    if environment.runner is not None and type(environment.runner).__name__ != "MasterRunner":
        mark("ended")


def began(patience: float = _PATIENCE) -> Plan:
    """Return the plan as soon as it says when second 0 is."""
    deadline = time.monotonic() + patience
    while not (plan := Plan.read(folder())).began:
        if time.monotonic() > deadline:
            raise Inconclusive(f"nobody said within {patience:g} s when the run begins")
        gevent.sleep(0.1)
    return plan


def warm(plan: Plan) -> Shelf:
    """Make and load beforehand what takes long, so that the first patients do not wait for it."""
    importlib.import_module("httpx")
    importlib.import_module("pynetdicom.pdu")
    shelf = Shelf(plan.seed)
    if not plan.only or "exam" in plan.only or plan.bursts:
        shelf.prepare((one.procedure, name, one.megabytes.value) for name, one in plan.day.modalities.items())
    return shelf


class Day(User):  # type: ignore[misc]  # Locust is untyped
    """All arrivals of one process: patients, scanners and readers are greenlets, each for what it has to do."""

    _taken = False

    def run(self) -> None:
        """Walk the agenda once, then idle until Locust ends us; a second user of the same process only idles."""
        if not Day._taken:
            Day._taken = True
            self._walk()
        while True:
            gevent.sleep(1.0)

    def _walk(self) -> None:
        runner = self.environment.runner
        worker = getattr(runner, "worker_index", 0) if type(runner).__name__ == "WorkerRunner" else 0
        shelf = warm(Plan.read(folder()))
        mark("ready", worker=worker)
        plan = began()
        calling = os.environ.get("STEPWEDGE_CALLING") or CALLING
        site = Site.open(
            folder(), plan, pause=gevent.sleep, spawn=gevent.spawn, tell=self._tell, calling=calling
        )
        work: dict[str, Any] = {"exam": partial(_exam, shelf), "adt": background.adt, "poll": background.poll}
        dispatcher = Dispatcher(site, work)
        try:
            dispatcher.run(agenda(plan, worker, plan.workers))
        except gevent.GreenletExit:
            dispatcher.troubles.append("Locust ended it before its agenda was over")
            raise
        finally:
            site.close(whole=not dispatcher.running)
            mark(
                "done",
                worker=worker,
                running=dispatcher.running,
                backlog=len(dispatcher.backlog),
                notes=sorted(site.notes),
                troubles=dispatcher.troubles,
            )

    def _tell(self, name: str, took: float, nbytes: int, error: str) -> None:
        """Let Locust count, too."""
        self.environment.events.request.fire(
            request_type=_KINDS.get(name[:2], "HL7"),
            name=name,
            response_time=took * 1000,
            response_length=nbytes,
            exception=error or None,
            context={},
        )


def _exam(shelf: Shelf, site: Site, arrival: Arrival) -> None:
    Exam(site, shelf, arrival).play()
