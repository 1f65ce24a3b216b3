"""The scanner's own listener: it hears the results of storage commitment (PS3.4 annex J)."""

# ruff: noqa: ARG002 - handlers have the signature of wire.provider.Provider, needed or not

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import Failed
from stepwedge.wire.dimse_asyncio import Failure, Provider, Reply
from stepwedge.wire.elements import EXPLICIT_LE, IMPLICIT_LE
from stepwedge.wire.services import COMMITMENT, VERIFICATION

if TYPE_CHECKING:
    from stepwedge.sim.bench import Bench
    from stepwedge.wire.dimse import PeerInfo

    from .state import Scanner, Transaction

ACCEPTS: Final = dict.fromkeys((VERIFICATION, COMMITMENT), (EXPLICIT_LE, IMPLICIT_LE))
INVALID_ARGUMENT: Final = 0x0115


class Console(Provider):
    """The handlers, and who waits for what they hear."""

    def __init__(self, bench: Bench, scanner: Scanner) -> None:
        self._bench = bench
        self._scanner = scanner
        self._heard = asyncio.Condition()

    async def on_event(
        self,
        peer: PeerInfo,
        sop_class: str,
        sop_instance: str,
        event_type: int,
        information: dict[str, Any],
    ) -> Reply | int:
        """Take a result; it is durable before the archive hears that it arrived."""
        if not self.take(information, "new"):
            raise Failure(INVALID_ARGUMENT, "this scanner did not ask with that Transaction UID")
        async with self._heard:
            self._heard.notify_all()
        return 0

    def take(self, information: dict[str, Any], association: str) -> Transaction | None:
        """Note what an N-EVENT-REPORT says (PS3.4 table J.3-2); None when nobody asked; the first result stands."""
        asked = self._scanner.transactions.get(str(information.get("TransactionUID", "")))
        if asked is None or asked.arrived:
            return asked
        committed = tuple(
            str(item["ReferencedSOPInstanceUID"]) for item in information.get("ReferencedSOPSequence") or []
        )
        failed = tuple(
            (str(item["ReferencedSOPInstanceUID"]), f"{int(item.get('FailureReason', 0)):04X}")
            for item in information.get("FailedSOPSequence") or []
        )
        done = replace(asked, committed=committed, failed=failed, arrived=association)
        with self._bench.change(self._scanner):
            self._scanner.transactions[done.uid] = done
            for sop in committed:
                if (picture := self._scanner.pictures.get(sop)) is not None:
                    self._scanner.pictures[sop] = replace(picture, status="committed")
        return done

    async def wait(self, transaction: str, seconds: float) -> Transaction:
        """Wait until the result of a transaction has come."""

        def answered() -> bool:
            return bool(self._scanner.transactions[transaction].arrived)

        try:
            async with asyncio.timeout(seconds), self._heard:
                await self._heard.wait_for(answered)
        except TimeoutError:
            raise Failed(
                f"the archive took the request for storage commitment and reported no result within {seconds:g} s"
                " (PS3.4 J.3.3, RAD-10)"
            ) from None
        return self._scanner.transactions[transaction]
