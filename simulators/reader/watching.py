"""Reading tasks that are watched: subscription by N-ACTION, news by N-EVENT-REPORT (PS3.4 CC.2.3, CC.2.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import Refused
from stepwedge.sim.dimse import calling
from stepwedge.sim.rows import pack
from stepwedge.wire.services import UPS_PUSH, UPS_WATCH

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from stepwedge.sim.bench import Bench
    from stepwedge.sim.simulator import Case

    from .settings import Settings
    from .state import Desk

Args = dict[str, Any]
SUBSCRIBE, UNSUBSCRIBE = 3, 4
KINDS: Final = {1: "state", 2: "cancel requested", 3: "progress", 4: "archive", 5: "assigned"}
"""Event types, PS3.4 table CC.2.4-1."""


@dataclass(frozen=True, slots=True)
class News:
    """One event report about a task."""

    number: int
    task: str
    kind: str
    state: str = ""
    reason: str = ""


class Watching:
    """The words by which a radiologist watches a task that somebody else may take."""

    def __init__(self, bench: Bench, desk: Desk, settings: Settings) -> None:
        self._bench = bench
        self._desk = desk
        self._archive = settings.archive

    def words(self) -> dict[str, Callable[[Args, Case], Awaitable[Args]]]:
        """Return the words by name."""
        return {"watch_task": self.watch_task, "unwatch_task": self.unwatch_task}

    async def watch_task(self, args: Args, case: Case) -> Args:
        """Ask to be told of every change of a task."""
        return await self._ask(args, case, SUBSCRIBE, {"DeletionLock": "FALSE"})

    async def unwatch_task(self, args: Args, case: Case) -> Args:
        """Ask not to be told any more."""
        return await self._ask(args, case, UNSUBSCRIBE, {})

    async def _ask(self, args: Args, case: Case, action: int, more: Args) -> Args:
        given = args["task"]
        task = str(given.get("task", "") if isinstance(given, dict) else given)
        information = {"ReceivingAE": self._bench.ae_title, **more}
        async with calling(self._bench, self._archive, [UPS_WATCH], case=case.id) as association:
            result = await association.action(UPS_PUSH, task, action, information, context=UPS_WATCH)
        if result.category not in {"success", "warning"}:
            raise Refused(f"the archive would not: N-ACTION {result.status:04X} {result.comment}".strip())
        return {"task": task, "receiver": self._bench.ae_title}

    def heard(self, task: str, event: int, information: Args) -> None:
        """Keep what was reported; durable before it is answered."""
        with self._bench.change(self._desk):
            number = self._desk.next("news")
            self._desk.news[str(number)] = News(
                number,
                task,
                KINDS.get(event, str(event)),
                str(information.get("ProcedureStepState") or ""),
                str(information.get("ReasonForCancellation") or ""),
            )

    def told(self, args: Args) -> Args:
        """Return what was reported, of one ``task`` or of all, in the order in which it came."""
        return {
            "news": [pack(one) for one in self._desk.news.values() if args.get("task") in {None, one.task}]
        }
