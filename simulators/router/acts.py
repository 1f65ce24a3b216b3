"""What the router's operator can do and ask, as ``stepwedge.actors.words_router`` describes it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stepwedge.actors.words import did_you_mean
from stepwedge.errors import BadInput
from stepwedge.sim.rows import pack

from .dimse import hour_of
from .state import PARKED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from stepwedge.sim.bench import Bench
    from stepwedge.sim.files import Files
    from stepwedge.sim.simulator import Case

    from .delivery import Delivery
    from .state import Router


@dataclass(frozen=True)
class Operator:
    """The person who looks after the router."""

    bench: Bench
    router: Router
    delivery: Delivery
    files: Files

    def acts(self) -> dict[str, Callable[[dict[str, Any], Case], Awaitable[dict[str, Any]]]]:
        """Return the words of this role."""
        return {"pause": self.pause, "resume": self.resume, "replay": self.replay, "restart": self.restart}

    def asks(self) -> dict[str, Callable[[dict[str, Any]], Any]]:
        """Return what can be asked."""
        return {"ways": self._ways, "trail": self._trail, "queues": self._queues, "parked": self._parked}

    async def pause(self, args: dict[str, Any], case: Case) -> dict[str, Any]:
        """Keep back what is for a destination; it is taken and stored all the same."""
        del case
        to = self._destination(args, "router.pause")
        with self.bench.change(self.router):
            self.router.paused[to] = True
        return {"destination": to}

    async def resume(self, args: dict[str, Any], case: Case) -> dict[str, Any]:
        """Let out what was kept back."""
        del case
        to = self._destination(args, "router.resume")
        if to in self.router.paused:
            with self.bench.change(self.router):
                del self.router.paused[to]
        self.delivery.wake([to])
        return {"destination": to}

    async def replay(self, args: dict[str, Any], case: Case) -> dict[str, Any]:
        """Send parked objects again."""
        del case
        to = self._destination(args, "router.replay")
        parked = [job for job in self.router.jobs.by("fate", PARKED) if job.to == to]
        with self.bench.change(self.router):
            for job in parked:
                self.router.replay(job)
        self.delivery.wake([to])
        return {"destination": to, "objects": len(parked)}

    async def restart(self, args: dict[str, Any], case: Case) -> dict[str, Any]:
        """Forget everything that is not on disk and go on from there, as after a power cut."""
        del args, case
        router = self.router
        for table in router.tables.values():
            table.forget()
        self.bench.restore(router)
        self.delivery.wake()
        return {"objects": len(router.held)}

    def _destination(self, args: dict[str, Any], word: str) -> str:
        to, known = str(args.get("destination")), self.router.settings.destinations
        if to not in known:
            near = did_you_mean(to, known).strip(" ;")
            raise BadInput(f"{word}: destination", f"one of {', '.join(known)}", to, near)
        return to

    # Questions

    def _ways(self, args: dict[str, Any]) -> dict[str, Any]:
        """Return where the rules send an object, whatever was done with it."""
        held = self.router.held.get(str(args.get("sop", "")))
        if held is None:
            return {}
        found = self.router.ways(held, hour_of(held.at))
        return {
            "to": [way.to for way in found],
            "lane": found[0].lane,
            "ordered": self.router.settings.ordered,
        }

    def _trail(self, args: dict[str, Any]) -> dict[str, Any]:
        held = self.router.held.get(str(args.get("sop", "")))
        return {"object": pack(held), "jobs": pack(self.router.jobs.by("sop", held.sop))} if held else {}

    def _queues(self, _: dict[str, Any]) -> dict[str, Any]:
        parked = Counter(job.to for job in self.router.jobs.by("fate", PARKED))
        return {
            to: {
                "waiting": len(self.router.jobs.by("waiting", to)),
                "parked": parked[to],
                "paused": to in self.router.paused,
                "trouble": self.delivery.trouble(to),
            }
            for to in self.router.settings.destinations
        }

    def _parked(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"objects": [pack(job) for job in self.router.jobs.by("fate", PARKED)]}
