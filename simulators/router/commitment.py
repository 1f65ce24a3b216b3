"""Storage commitment through the router (PS3.4 annex J).

A router is no archive: by default it asks every destination of an object and passes on what they say, so that a scanner
deletes nothing that only a cache holds. Its own promise, if a lab wants that, is for what lies on its disk.
"""

from __future__ import annotations

import asyncio
import functools
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import WireError
from stepwedge.sim.commitment import INVALID_ARGUMENT, REQUEST_COMMITMENT, requested, result
from stepwedge.sim.dimse import calling, dimse_send
from stepwedge.wire.dimse_asyncio import Failure, Reply
from stepwedge.wire.services import COMMITMENT, COMMITMENT_INSTANCE

from .state import DELIVERED, PROCESSING_FAILURE, Promise

if TYPE_CHECKING:
    from stepwedge.sim.bench import Bench
    from stepwedge.wire.dimse_asyncio import Speaker

    from .delivery import Delivery
    from .state import Router

Elements = dict[str, Any]

NO_SUCH_INSTANCE: Final = 0x0112
CLASS_INSTANCE_CONFLICT: Final = 0x0119
LOOK: Final = 0.005
"""Seconds between two looks whether the requester has hung up."""
GRACE: Final = 0.03
"""Seconds a requester has to hang up before it is answered on its own association."""


class Commitments:
    """Promises to senders, and what destinations have promised."""

    def __init__(self, bench: Bench, router: Router, delivery: Delivery) -> None:
        self._bench = bench
        self._router = router
        self._delivery = delivery
        self._answers: dict[
            str, asyncio.Future[Elements]
        ] = {}  # our own Transaction UIDs, asked of destinations
        self._owed = [one for one in router.promises.values() if not one.reported]

    def asked(self, requester: str, action_type: int, information: Elements) -> Reply:
        """Take an N-ACTION; what it asks for is worked out after the answer, and after a restart."""
        transaction, references = requested(action_type, information, self._router.promises)
        directory = self._bench.directory
        if directory.get(directory.by_ae(requester)) is None:
            raise Failure(PROCESSING_FAILURE, f"no address is known for {requester} to report to")
        with self._bench.change(self._router):
            self._router.promises[transaction] = promise = Promise(transaction, requester, references)
        return Reply(then=functools.partial(self._answer, promise))

    def heard(self, information: Elements) -> int:
        """Take the result of a destination; raises Failure for a transaction we did not ask."""
        answer = self._answers.get(str(information.get("TransactionUID", "")))
        if answer is None:
            raise Failure(INVALID_ARGUMENT, "this router did not ask with that Transaction UID")
        if not answer.done():
            answer.set_result(information)
        return 0

    async def resume(self) -> None:
        """Work out what was promised before the process died and never reported."""
        async with asyncio.TaskGroup() as group:
            for promise in self._owed:
                group.create_task(self._answer(promise, None))
        self._owed.clear()

    async def _answer(self, promise: Promise, association: Speaker | None) -> None:
        """Work out a promise and report it, on the requester's own association if it is still there."""
        promise = await self._worked_out(promise)
        event_type, information = result(
            promise.transaction, self._bench.ae_title, promise.committed, promise.failed
        )
        deadline = self._bench.clock.tick() + GRACE
        while association and association.lasts and self._bench.clock.tick() < deadline:  # noqa: ASYNC110 - nothing tells of a release
            await asyncio.sleep(LOOK)
        try:
            if association and association.lasts:
                answer = await association.report_event(
                    COMMITMENT, COMMITMENT_INSTANCE, event_type, information
                )
                if answer.category in {"success", "warning"}:
                    with self._bench.change(self._router):
                        self._router.promises[promise.transaction] = replace(promise, reported="same")
                    return
        except WireError:
            self._call_back(promise, event_type, information)
            raise
        self._call_back(promise, event_type, information)

    def _call_back(self, promise: Promise, event_type: int, information: Elements) -> None:
        """Give a result to the outbox, which brings it on a new association (PS3.4 J.3.3.1.2)."""
        to = self._bench.directory.by_ae(promise.requester)
        with self._bench.change(self._router) as change:
            self._router.promises[promise.transaction] = replace(promise, reported="new")
            send = dimse_send(
                to,
                "report_event",
                COMMITMENT,
                COMMITMENT_INSTANCE,
                information,
                control=promise.transaction,
                number=event_type,
            )
            change.send(send)

    # --- who answers for what

    async def _worked_out(self, promise: Promise) -> Promise:
        router = self._router
        failed: dict[str, int] = {}
        for sop_class, sop in promise.references:
            held = router.held.get(sop)
            if held is None:
                failed[sop] = NO_SUCH_INSTANCE
            elif held.sop_class != sop_class:
                failed[sop] = CLASS_INSTANCE_CONFLICT
        if router.settings.commitment == "proxy":
            here = [(sop_class, sop) for sop_class, sop in promise.references if sop not in failed]
            failed |= await self._of_destinations(here)
        return replace(
            promise,
            committed=tuple(one for one in promise.references if one[1] not in failed),
            failed=tuple((*one, failed[one[1]]) for one in promise.references if one[1] in failed),
        )

    async def _of_destinations(self, references: list[tuple[str, str]]) -> dict[str, int]:
        """Return the objects that some destination does not answer for, each with the Failure Reason."""
        within = self._router.settings.commitment_within
        await self._delivery.settled([sop for _, sop in references], within)
        failed: dict[str, int] = {}
        asked: dict[str, list[tuple[str, str]]] = {}
        for one in references:
            for job in self._router.jobs.by("sop", one[1]):
                if job.fate == DELIVERED:
                    asked.setdefault(job.to, []).append(one)
                elif job.fate != "replayed":
                    failed[one[1]] = PROCESSING_FAILURE
        results = await asyncio.gather(*(self._ask(to, several, within) for to, several in asked.items()))
        for told in results:
            failed = told | failed
        return failed

    async def _ask(self, to: str, references: list[tuple[str, str]], within: float) -> dict[str, int]:
        """Ask one destination and wait for its result; without one nothing is committed."""
        with self._bench.change(self._router):
            transaction = self._router.mint("commitment").uid("transaction")
        request = {
            "TransactionUID": transaction,
            "ReferencedSOPSequence": [
                {"ReferencedSOPClassUID": sop_class, "ReferencedSOPInstanceUID": sop}
                for sop_class, sop in references
            ],
        }
        nothing = {sop: PROCESSING_FAILURE for _, sop in references}
        self._answers[transaction] = answer = asyncio.get_running_loop().create_future()
        try:
            async with calling(self._bench, to, [COMMITMENT]) as association:
                result = await association.action(
                    COMMITMENT, COMMITMENT_INSTANCE, REQUEST_COMMITMENT, request
                )
                if result.category != "success":
                    return nothing
            information = await asyncio.wait_for(answer, within)
        except (WireError, TimeoutError):
            return nothing
        finally:
            del self._answers[transaction]
        return _outcome(information, nothing)


def _outcome(information: Elements, nothing: dict[str, int]) -> dict[str, int]:
    """Return what a result does not commit: what it says, and what it does not speak of (PS3.4 table J.3-2)."""
    good = {item.get("ReferencedSOPInstanceUID") for item in information.get("ReferencedSOPSequence") or []}
    failed = {
        str(item.get("ReferencedSOPInstanceUID")): int(item.get("FailureReason") or PROCESSING_FAILURE)
        for item in information.get("FailedSOPSequence") or []
    }
    return failed | {sop: reason for sop, reason in nothing.items() if sop not in good and sop not in failed}
