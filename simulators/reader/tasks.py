"""The radiologist's worklist: reading tasks of the archive, claimed, completed, given back (UPS-RS, PS3.18 section 11)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stepwedge.errors import BadInput, Failed, Refused
from stepwedge.sim.web_client import Web
from stepwedge.wire import dicomjson, ups

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from stepwedge.sim.bench import Bench
    from stepwedge.sim.simulator import Case
    from stepwedge.sim.web_client import Answer

    from .settings import Settings
    from .state import Desk

Args = dict[str, Any]


class Tasks:
    """The words around a reading task."""

    def __init__(self, bench: Bench, desk: Desk, settings: Settings) -> None:
        self._bench = bench
        self._desk = desk
        self._archive = settings.archive
        self._web = Web(bench)

    def words(self) -> dict[str, Callable[[Args, Case], Awaitable[Args]]]:
        """Return the words by name."""
        return {
            "list_tasks": self.list_tasks,
            "claim_task": self.claim_task,
            "update_task": self.update_task,
            "complete_task": self.complete_task,
            "give_up_task": self.give_up_task,
            "cancel_task": self.cancel_task,
        }

    async def close(self) -> None:
        """Close every connection."""
        await self._web.close()

    async def list_tasks(self, args: Args, case: Case) -> Args:
        """Ask for the tasks that are to be done (PS3.18 section 11.9)."""
        keys = {"ProcedureStepState": str(args.get("state") or "SCHEDULED")}
        keys |= {"StudyInstanceUID": str(args["study"])} if args.get("study") else {}
        answer = await self._ask(ups.search(keys), case)
        if answer.status not in {200, 204}:
            raise Refused(f"the worklist was answered {answer.status}")
        tasks = dicomjson.loads(answer.body) if answer.status == 200 else []  # noqa: PLR2004 - HTTP
        return {"tasks": tasks, "count": len(tasks), "task": tasks[0]["SOPInstanceUID"] if tasks else ""}

    async def claim_task(self, args: Args, case: Case) -> Args:
        """Claim a task under a Transaction UID of our own (PS3.18 section 11.7)."""
        task = str(args.get("task") or "")
        if not task:
            listed = await self.list_tasks({"study": args.get("study")}, case)
            if not (task := listed["task"]):
                raise Failed("no task for this study is to be done")
        with self._bench.change(self._desk):
            transaction = self._desk.mint(case.id, case.seed).uid("transaction")
        if args.get("without_key"):
            transaction = ""
        answer = await self._ask(ups.change_state(task, ups.IN_PROGRESS, transaction), case)
        told = _told(answer)
        return {"task": task, "transaction": transaction if told["done"] else "", **told}

    async def update_task(self, args: Args, case: Case) -> Args:
        """Change what a task says (PS3.18 section 11.6)."""
        task, transaction = _held(args)
        changes = {"ProcedureStepLabel": str(args.get("label") or "Read again")}
        return {"task": task, **_told(await self._ask(ups.update(task, changes, transaction), case))}

    async def complete_task(self, args: Args, case: Case) -> Args:
        """Say what was done, and complete the task (PS3.18 sections 11.6 and 11.7)."""
        now = f"{self._bench.clock.now():%Y%m%d%H%M%S}"
        done = {
            "UnifiedProcedureStepPerformedProcedureSequence": [
                {
                    "PerformedProcedureStepStartDateTime": now,
                    "PerformedProcedureStepEndDateTime": now,
                    "PerformedStationNameCodeSequence": [],
                    "OutputInformationSequence": [],
                }
            ]
        }
        return await self._end(args, case, done, ups.COMPLETED)

    async def give_up_task(self, args: Args, case: Case) -> Args:
        """Cancel a task that this reader claimed (PS3.18 section 11.7)."""
        now = f"{self._bench.clock.now():%Y%m%d%H%M%S}"
        told = {
            "ProcedureStepCancellationDateTime": now,
            "ReasonForCancellation": str(args.get("reason") or "Not to be read here"),
        }
        return await self._end(args, case, {"ProcedureStepProgressInformationSequence": [told]}, ups.CANCELED)

    async def cancel_task(self, args: Args, case: Case) -> Args:
        """Ask that a task be cancelled that this reader did not claim (PS3.18 section 11.8)."""
        task, _ = _held(args)
        asked = ups.request_cancel(task, str(args.get("reason") or "Not needed"))
        return {"task": task, **_told(await self._ask(asked, case))}

    async def _end(self, args: Args, case: Case, changes: Args, state: str) -> Args:
        task, transaction = _held(args)
        answer = await self._ask(ups.update(task, changes, transaction), case)
        if answer.status == 200:  # noqa: PLR2004 - HTTP; else there is nothing to complete, and its status says why
            answer = await self._ask(ups.change_state(task, state, transaction), case)
        return {"task": task, **_told(answer)}

    async def _ask(self, request: ups.Request, case: Case) -> Answer:
        return await self._web.ask(
            self._archive,
            request.method,
            request.path,
            query=request.query,
            headers=request.headers,
            body=request.body,
            case=case.id,
        )


def _held(args: Args) -> tuple[str, str]:
    """Return UID and Transaction UID of what ``claim_task`` gave."""
    claim = args["task"]
    if isinstance(claim, str):
        return claim, ""
    if not isinstance(claim, dict) or not claim.get("task"):
        raise BadInput("task", "what claim_task gave, or the UID of a task", repr(claim))
    return str(claim["task"]), "" if args.get("without_key") else str(claim.get("transaction") or "")


def _told(answer: Answer) -> Args:
    """Return the status and the archive's reason (Warning 299)."""
    return {
        "status": answer.status,
        "done": answer.status in {200, 202},
        "reason": answer.headers.get("warning", ""),
    }
