"""Unified procedure steps over DIMSE (PS3.4 annex CC): pushed, pulled, watched; the same workitems as over UPS-RS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from stepwedge.evidence.redact import refusal
from stepwedge.wire.dictionary import describe
from stepwedge.wire.dimse_asyncio import Failure, Reply
from stepwedge.wire.services import UPS

from . import ups
from .state import patient_key
from .ups_watching import GLOBAL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from stepwedge.sim.bench import Bench
    from stepwedge.wire.dimse import PeerInfo

    from .state import Archive
    from .ups import Outcome
    from .ups_watching import Watchers

Elements = dict[str, Any]

CLASSES: Final = UPS
CHANGE_STATE, REQUEST_CANCEL, SUBSCRIBE, UNSUBSCRIBE, SUSPEND = range(1, 6)
"""Action types, PS3.4 CC.2.1 to CC.2.3."""
NOT_AUTHORIZED: Final = 0x0124
NO_SUCH_ACTION: Final = 0x0123
INVALID_ARGUMENT: Final = 0x0115
UNKNOWN_RECEIVER: Final = 0xC308
NOT_APPROPRIATE: Final = 0xC314


class Workitems:
    """The handlers; what they decide stands in :mod:`.ups`."""

    def __init__(self, bench: Bench, archive: Archive, watchers: Watchers) -> None:
        self._bench = bench
        self._archive = archive
        self._watchers = watchers

    def find(self, identifier: Elements) -> Iterator[Elements]:
        """Yield the workitems that match, each with what was asked for (CC.2.8)."""
        for row in ups.found(self._archive, identifier):
            wanted = {*identifier, "SpecificCharacterSet"}
            yield {key: value for key, value in row.items() if key in wanted}

    def create(self, uid: str, attributes: Elements) -> Reply:
        """Answer N-CREATE (CC.2.5)."""
        patient = str(attributes.get("PatientID") or "")
        if why := refusal(
            self._bench.identity, patients=[patient] if patient else [], uids=[uid] if uid else []
        ):
            raise Failure(NOT_AUTHORIZED, why[:64])
        with self._bench.change(self._archive) as change:
            uid = uid or self._archive.mint("workitems").uid("workitem")
            before = self._archive.workitems.get(uid)
            key = patient_key(patient, str(attributes.get("IssuerOfPatientID") or "")) if patient else ""
            outcome = ups.create(self._archive, uid, attributes, key)
            self._watchers.changed(change, uid, before)
        return Reply(outcome.code, outcome.text[:64], sop_instance=uid)

    def set(self, uid: str, modifications: Elements) -> Reply:
        """Answer N-SET (CC.2.6)."""
        transaction = str(modifications.get("TransactionUID") or "")
        return self._change(uid, lambda: ups.update(self._archive, uid, modifications, transaction))

    def get(self, uid: str, tags: Sequence[str]) -> Reply:
        """Answer N-GET (CC.2.7): the attributes asked for, all when none is; the Transaction UID never."""
        known = self._archive.workitems.get(uid)
        if known is None:
            raise Failure(ups.UNKNOWN, "no such workitem")
        told = ups.shown(self._archive, known)
        names = {describe(int(tag, 16))[0] for tag in tags}
        return Reply(attributes={key: value for key, value in told.items() if not names or key in names})

    def act(self, peer: PeerInfo, uid: str, action: int, information: Elements) -> Reply:
        """Answer N-ACTION: claim, complete and cancel (CC.2.1), ask for a cancellation (CC.2.2), watch (CC.2.3)."""
        if action == CHANGE_STATE:
            wanted = str(information.get("ProcedureStepState") or "")
            key = str(information.get("TransactionUID") or "")
            return self._change(uid, lambda: ups.change_state(self._archive, uid, wanted, key))
        if action == REQUEST_CANCEL:
            return self._request_cancel(peer, uid, information)
        if action in {SUBSCRIBE, UNSUBSCRIBE, SUSPEND}:
            return self._watch(uid, action, str(information.get("ReceivingAE") or ""))
        raise Failure(NO_SUCH_ACTION, f"action type {action}")

    def _request_cancel(self, peer: PeerInfo, uid: str, information: Elements) -> Reply:
        reachable = any(self._watchers.receivers(uid))
        with self._bench.change(self._archive) as change:
            before = self._archive.workitems.get(uid)
            outcome = ups.request_cancel(
                self._archive, uid, information, self._bench.clock.now(), reachable=reachable
            )
            self._watchers.changed(change, uid, before)
            if not outcome.code and before is self._archive.workitems.get(uid):
                self._watchers.cancel_requested(change, uid, information, peer.calling)
        return Reply(outcome.code, outcome.text[:64])

    def _watch(self, uid: str, action: int, receiver: str) -> Reply:
        if not receiver:
            raise Failure(INVALID_ARGUMENT, "ReceivingAE is missing")
        if uid != GLOBAL and uid not in self._archive.workitems:
            raise Failure(ups.UNKNOWN, "no such workitem")
        if action == SUSPEND and uid != GLOBAL:
            raise Failure(NOT_APPROPRIATE, "only the global subscription can be suspended")
        directory = self._bench.directory
        if action == SUBSCRIBE and not directory.reaches(directory.by_ae(receiver), "dicom"):
            raise Failure(UNKNOWN_RECEIVER, f"no address is known for {receiver}")
        with self._bench.change(self._archive) as change:
            if action == SUBSCRIBE:
                self._watchers.subscribe(change, receiver, uid)
            elif action == UNSUBSCRIBE:
                self._watchers.unsubscribe(receiver, uid)
            else:
                self._watchers.suspend(receiver)
        return Reply()

    def _change(self, uid: str, decide: Callable[[], Outcome]) -> Reply:
        with self._bench.change(self._archive) as change:
            before = self._archive.workitems.get(uid)
            outcome = decide()
            self._watchers.changed(change, uid, before)
        return Reply(outcome.code, outcome.text[:64])
