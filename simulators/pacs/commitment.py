"""Storage commitment (PS3.4 annex J): the request, and the result on the association where the site wants it."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import WireError
from stepwedge.sim.commitment import requested, result
from stepwedge.sim.dimse import dimse_send
from stepwedge.wire.dimse_asyncio import Failure, Reply
from stepwedge.wire.services import COMMITMENT, COMMITMENT_INSTANCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from stepwedge.sim.address import Entity
    from stepwedge.sim.bench import Bench
    from stepwedge.wire.dimse import PeerInfo
    from stepwedge.wire.dimse_asyncio import Speaker

    from .settings import Settings
    from .state import Commitment
    from .vault import Vault

Elements = dict[str, Any]

PROCESSING_FAILURE: Final = 0x0110
NEW, NEXT = "new", "next"


class Commitments:
    """Requests for storage commitment, and the results that are owed."""

    def __init__(
        self, bench: Bench, vault: Vault, settings: Settings, entity: Callable[[str], Entity | None]
    ) -> None:
        self._bench = bench
        self._vault = vault
        self._archive = vault.archive
        self._settings = settings
        self._entity = entity
        self._owed = [one for one in self._archive.commitments.values() if not one.reported]

    def asked(self, peer: PeerInfo, action_type: int, information: Elements) -> Reply:
        """Decide on a request; decision and debt to report it are durable before the answer."""
        transaction, references = requested(action_type, information, self._archive.commitments)
        if self._entity(peer.calling) is None:
            raise Failure(PROCESSING_FAILURE, f"no address is known for {peer.calling} to report to")
        lost = self._vault.lost([sop for _, sop in references])
        with self._bench.change(self._archive):
            promise = self._archive.promise(transaction, peer.calling, references, lost)
        if self._settings.commitment == NEXT:
            return Reply()
        return Reply(then=functools.partial(self._report, promise))

    def greeted(self, peer: PeerInfo) -> Reply:
        """Answer a C-ECHO, and report on its association what waits for the next one of this requester."""
        if self._settings.commitment != NEXT:
            return Reply()
        return Reply(then=functools.partial(self._report_owed, peer.calling))

    async def _report(self, promise: Commitment, association: Speaker) -> None:
        """Report on the requester's own association if it is still there after a moment, else call back."""
        if self._settings.commitment == NEW:
            await asyncio.sleep(self._settings.event_pause)
            self._call_back(promise)
            return
        deadline = self._bench.clock.tick() + self._settings.event_pause
        while association.lasts and self._bench.clock.tick() < deadline:  # noqa: ASYNC110 - nothing tells of a release
            await asyncio.sleep(self._settings.event_pause / 10)
        try:
            if association.lasts and await self._told(promise, association, "same"):
                return
        except WireError:
            self._call_back(promise)
            raise
        self._call_back(promise)

    async def _report_owed(self, requester: str, association: Speaker) -> None:
        """Report everything that is owed; what is not taken stays owed."""
        if not association.accepts(COMMITMENT):
            return
        for promise in list(self._archive.commitments.values()):
            owed = promise.requester == requester and not promise.reported
            if association.lasts and self._archive.habits.remembers(owed):
                await self._told(promise, association, NEXT)

    async def _told(self, promise: Commitment, association: Speaker, where: str) -> bool:
        event_type, information = _result(promise, self._bench.ae_title)
        answer = await association.report_event(COMMITMENT, COMMITMENT_INSTANCE, event_type, information)
        if answer.category not in {"success", "warning"}:
            return False
        with self._bench.change(self._archive):
            self._archive.reported(promise.transaction, where)
        return True

    def _call_back(self, promise: Commitment) -> None:
        """Give a result to the outbox, which brings it on a new association (PS3.4 J.3.3.1.2)."""
        if not self._archive.habits.calls_back():
            return
        event_type, information = _result(promise, self._bench.ae_title)
        with self._bench.change(self._archive) as change:
            self._archive.reported(promise.transaction, NEW)
            change.send(
                dimse_send(
                    self._bench.directory.by_ae(promise.requester),
                    "report_event",
                    COMMITMENT,
                    COMMITMENT_INSTANCE,
                    information,
                    control=promise.transaction,
                    number=event_type,
                )
            )

    def resume(self) -> None:
        """Call back for what was owed when the process died, unless it waits for the requester."""
        while self._owed and self._settings.commitment != NEXT:
            self._call_back(self._owed.pop())


def _result(promise: Commitment, retrieve_ae: str) -> tuple[int, Elements]:
    failed = [(one.sop_class, one.sop, one.reason) for one in promise.failed]
    return result(promise.transaction, retrieve_ae, promise.committed, failed)
