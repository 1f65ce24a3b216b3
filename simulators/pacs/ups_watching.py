"""Who watches workitems, and what they are told: subscriptions and event reports (PS3.4 CC.2.3, CC.2.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from stepwedge.sim.dimse import dimse_send
from stepwedge.wire.services import UPS_EVENT

from .ups import CANCELED, PUSH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stepwedge.sim.bench import Bench
    from stepwedge.sim.store import Change

    from .state import Archive
    from .ups import Workitem

Elements = dict[str, Any]

GLOBAL: Final = "1.2.840.10008.5.1.4.34.5"
"""UPS Global Subscription SOP Instance: all workitems, those to come as well."""
STATE_REPORT, CANCEL_REQUESTED, PROGRESS_REPORT = 1, 2, 3
PROGRESS: Final = "ProcedureStepProgressInformationSequence"


@dataclass(frozen=True, slots=True)
class Subscription:
    """One application entity that is told of one workitem, or of all."""

    receiver: str
    workitem: str


class Watchers:
    """Subscriptions, and the event reports they cause; all inside ``bench.change``, so that a report is owed as soon as it is true."""

    def __init__(self, bench: Bench, archive: Archive) -> None:
        self._bench = bench
        self._archive = archive

    def subscribe(self, change: Change, receiver: str, workitem: str) -> None:
        """Begin to tell a receiver, first how things stand (CC.2.3.3)."""
        self._archive.subscriptions[f"{receiver} {workitem}"] = Subscription(receiver, workitem)
        for uid in self._archive.workitems if workitem == GLOBAL else [workitem]:
            self._send(change, receiver, uid, STATE_REPORT, _state(self._archive.workitems[uid]))

    def unsubscribe(self, receiver: str, workitem: str) -> None:
        """Tell a receiver no more; of nothing at all when it gives up the global subscription."""
        for key, one in list(self._archive.subscriptions.items()):
            if one.receiver == receiver and workitem in {GLOBAL, one.workitem}:
                del self._archive.subscriptions[key]

    def suspend(self, receiver: str) -> None:
        """Go on telling a receiver of the workitems that are there, and of none to come (CC.2.3.3, action 5)."""
        if self._archive.subscriptions.get(f"{receiver} {GLOBAL}") is None:
            return
        del self._archive.subscriptions[f"{receiver} {GLOBAL}"]
        for uid in self._archive.workitems:
            self._archive.subscriptions[f"{receiver} {uid}"] = Subscription(receiver, uid)

    def receivers(self, uid: str) -> Iterator[str]:
        """Yield who is told of a workitem, each once."""
        told = (one.receiver for one in self._archive.subscriptions.values() if one.workitem in {uid, GLOBAL})
        yield from dict.fromkeys(told)

    def changed(self, change: Change, uid: str, before: Workitem | None) -> None:
        """Report what is another after a request than it was ``before``."""
        now = self._archive.workitems.get(uid)
        if now is None or now is before:
            return
        for receiver in self._archive.habits.tells(list(self.receivers(uid))):
            if before is None or _state(now) != _state(before):
                self._send(change, receiver, uid, STATE_REPORT, _state(now))
            elif now.attributes.get(PROGRESS) != before.attributes.get(PROGRESS):
                self._send(change, receiver, uid, PROGRESS_REPORT, {PROGRESS: now.attributes[PROGRESS]})

    def cancel_requested(self, change: Change, uid: str, reason: Elements, requester: str) -> None:
        """Tell the performer, who must be among the subscribers, that somebody wants it cancelled."""
        told = {
            "ReasonForCancellation": str(reason.get("ReasonForCancellation") or ""),
            "RequestingAE": requester,
        }
        for receiver in self.receivers(uid):
            self._send(change, receiver, uid, CANCEL_REQUESTED, told)

    def _send(self, change: Change, receiver: str, uid: str, event: int, information: Elements) -> None:
        change.send(
            dimse_send(
                self._bench.directory.by_ae(receiver),
                "report_event",
                PUSH,
                uid,
                information,
                control=f"ups {self._archive.next('ups event')}",
                number=event,
                context=UPS_EVENT,
            )
        )


def _state(known: Workitem) -> Elements:
    """Return what a state report says (PS3.4 table CC.2.4-1)."""
    told: Elements = {
        "ProcedureStepState": known.state,
        "InputReadinessState": str(known.attributes.get("InputReadinessState") or ""),
    }
    if known.state == CANCELED:
        item = (known.attributes.get(PROGRESS) or [{}])[0]
        told["ReasonForCancellation"] = str(item.get("ReasonForCancellation") or "")
    return told
