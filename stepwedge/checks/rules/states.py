"""INV-8: in the end all systems hold states of one row of the state table, and got there forward only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from stepwedge.checks.difference import Difference
from stepwedge.checks.matchers import show
from stepwedge.checks.rules.account import accounts
from stepwedge.checks.rules.ledger import linked
from stepwedge.checks.rules.rule import CaseFacts, Finding, rule
from stepwedge.checks.rules.sightings import between, once
from stepwedge.model.lifecycles import MPPS, ORDER, REPORT, IllegalTransition, Table, follow
from stepwedge.model.order import EVENT_FROM_HL7

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stepwedge.checks.rules.ledger import Order

STATES: Final = {
    # what happened to the order's performed and scheduled steps -> order status at the placer, and whether the worklist
    # still offers the steps that nobody has started (RAD-3, RAD-5, RAD-13, RAD-7)
    "cancelled": (("cancelled",), False),
    "nothing done": (("ordered", "scheduled"), True),
    "started": (("in progress",), True),
    "partly done": (("in progress",), True),
    "all done": (("completed",), False),
    "all given up": (("discontinued",), False),
    "some given up": (("completed", "discontinued", "in progress"), False),
}
WRONG_ENTRY: Final = "110514"
"""*Incorrect worklist entry selected*, DCM (CID 9300)."""


@dataclass(slots=True)
class Progress:
    """How far one order is, as its performed steps and its cancellation say.

    Attributes:
        offered: Scheduled Procedure Step IDs that were ever scheduled or offered.
        performed: state of each performed step by its UID.
        taken: Scheduled Procedure Step IDs that some performed step answers.
    """

    offered: set[str] = field(default_factory=set)
    performed: dict[str, str] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    cancelled: bool = False

    @property
    def row(self) -> str:
        """The row of :data:`STATES`."""
        ended = set(self.performed.values())
        if self.cancelled:
            return "cancelled"
        if not self.performed:
            return "nothing done"
        if "IN PROGRESS" in ended:
            return "started"
        if self.offered - self.taken:
            return "partly done"
        if ended == {"COMPLETED"}:
            return "all done"
        return "all given up" if ended == {"DISCONTINUED"} else "some given up"


@rule(
    "INV-8",
    says="order placer, calendar, worklist, performed steps and archive agree in the end, and no state ever goes backwards",
    source="IHE RAD TF-1 3.3; HL7 tables 0038 and 0119; PS3.3 C.4.10; PS3.4 F.7.2; RAD-48",
)
def states_converge(facts: CaseFacts) -> Finding:
    """Compare each order's states with one row of the table, and follow every sequence of states."""
    differences = [*_backwards(facts)]
    reached = 0
    unseen: set[str] = set()
    for order in facts.ledger.orders:
        if not order.numbers.get("accession"):
            continue
        reached += 1
        progress = _progress(facts, order)
        statuses, offers = STATES[progress.row]
        known = facts.readback.order(order.placer)
        if known is None:
            unseen.add("what the order placer's users see: it is a real system")
        elif known.get("status") not in statuses:
            wanted = f"{' or '.join(statuses)}, as {progress.row}"
            differences.append(
                Difference(f"{order}: status at the placer", wanted, show(known.get("status")))
            )
        differences += _offers(facts, order, progress, offers=offers)
        differences += _appointment(facts, order, progress)
    differences += _archive(facts)
    return Finding(differences, reached, unseen=sorted(unseen))


def _progress(facts: CaseFacts, order: Order) -> Progress:
    steps: dict[str, set[str]] = {}
    dropped: set[str] = set()  # given up before they began, while the others stay (RAD-13, DC)
    early = False
    progress = Progress(offered=set(order.steps), cancelled=_cancelled(facts, order))
    for sighting, owner in linked(facts.ledger, facts.seen):
        if owner is not order:
            continue
        if sighting.kind == "worklist" and sighting["step"]:
            progress.offered.add(sighting["step"])
        elif sighting.kind == "schedule" and sighting["control"] == "DC" and sighting["step"]:
            dropped.add(sighting["step"])
        elif sighting.kind == "mpps":
            progress.performed[sighting.uid] = "IN PROGRESS"
            steps[sighting.uid] = {step for _, step in sighting.steps}
            progress.taken |= steps[sighting.uid]
            early = early or sighting.at < order.placed
    if early:  # the exam came first (IHE PIR): it names no step, and does everything that was ordered for it
        progress.taken |= progress.offered
    progress.offered -= dropped
    for uid, status in _performed(facts):
        if uid in progress.performed and status:
            progress.performed[uid] = status
    for uid in _mistaken(facts) & set(progress.performed):
        del progress.performed[uid]
        progress.taken -= steps.get(uid, set())
    return progress


def _mistaken(facts: CaseFacts) -> set[str]:
    """Return the performed steps that were begun from the wrong worklist entry: their order is as if they never were."""
    found = set()
    for exchange in once(facts.exchanges):
        attributes: dict[str, Any] = exchange.facts.get("identifier") or {}
        items = attributes.get("PerformedProcedureStepDiscontinuationReasonCodeSequence") or [{}]
        if (
            exchange.kind == "N-SET"
            and exchange.outcome == "0000"
            and items[0].get("CodeValue") == WRONG_ENTRY
        ):
            found.add(str(exchange.facts.get("sop") or ""))
    return found


def _performed(facts: CaseFacts) -> Iterator[tuple[str, str]]:
    """Yield (MPPS UID, status) of every accepted N-CREATE and N-SET in time order.

    Only what the manager accepted: the copies it sends on (RAD-6, RAD-7) say the same again.
    """
    managers: dict[str, str] = {}
    for exchange in sorted(once(facts.exchanges), key=lambda one: one.at):
        if exchange.kind in {"N-CREATE", "N-SET"} and exchange.outcome == "0000":
            uid, (_, asked) = str(exchange.facts.get("sop") or ""), between(exchange)
            if managers.setdefault(uid, asked) != asked:
                continue
            attributes: dict[str, Any] = exchange.facts.get("identifier") or {}
            yield (
                uid,
                str(attributes.get("PerformedProcedureStepStatus") or ""),
            )


def _cancelled(facts: CaseFacts, order: Order) -> bool:
    """Tell whether the filler agreed to cancel: its answer CR, or its OC or CA towards others (HL7 table 0119)."""
    agreed = {("reply", "CR"), ("status", "OC"), ("status", "CR"), ("schedule", "CA"), ("schedule", "OC")}
    return any(
        owner is order and (sighting.kind, sighting["control"]) in agreed
        for sighting, owner in linked(facts.ledger, facts.seen)
    )


def _offers(facts: CaseFacts, order: Order, progress: Progress, *, offers: bool) -> Iterator[Difference]:
    """Compare the worklist with the steps that are still to be done, each once."""
    accession = order.numbers["accession"]
    wanted = progress.offered - progress.taken if offers else set()
    found = [
        one["step"] for one in facts.afterwards if one.kind == "worklist" and one["accession"] == accession
    ]
    for step in sorted(wanted - set(found)):
        yield Difference(f"{order}: worklist", f"step {step} still to be done", "not offered")
    for step in sorted(set(found)):
        if step not in wanted and (wanted or not offers or progress.offered):
            yield Difference(f"{order}: worklist", f"no step that is {progress.row}", f"step {step} offered")
        elif found.count(step) > 1:
            yield Difference(f"{order}: worklist", f"step {step} once", f"{found.count(step)} times")


def _appointment(facts: CaseFacts, order: Order, progress: Progress) -> Iterator[Difference]:
    """Compare the ward's calendar with what was scheduled: one appointment, at the first step, until it is cancelled (RAD-48)."""
    ward = facts.readback.player("ehr")
    if not facts.cast.claimed("appointments") or ward is None or not ward.simulated or not order.steps:
        return
    known = facts.readback.appointment(order.placer) or {}
    wanted = ("cancelled",) if progress.cancelled else ("booked", "no show")
    if known.get("status") not in wanted or known.get("count") != 1:
        found = f"{known['count']}, {known['status']}" if known else "none"
        yield Difference(f"{order}: appointment", f"one, {' or '.join(wanted)}", found)
    starts = [sightings[-1]["start"] for sightings in order.steps.values() if sightings[-1]["start"]]
    if known and starts and known.get("start") != min(starts):
        yield Difference(f"{order}: time of the appointment", min(starts), show(known.get("start")))


def _archive(facts: CaseFacts) -> Iterator[Difference]:
    """Compare the archive with what was stored: a study is there when, and only when, it took an image."""
    for account in accounts(facts.exchanges):
        for door in facts.readback.doors():
            there = bool(facts.readback.studies(door, "StudyInstanceUID", account.study))
            if not account.here and any(account.attached.values()):
                continue  # what else was stored into it may still be shown, or not
            if there != bool(account.here):
                wanted = "there: images were stored" if account.here else "not there: no image is left in it"
                yield Difference(f"{door}: study {account.study}", wanted, "there" if there else "not there")


def _backwards(facts: CaseFacts) -> Iterator[Difference]:
    """Yield every step backwards that order status, report or performed step took."""
    tracks: dict[tuple[str, str], str] = {}
    told: set[tuple[str, str]] = set()
    for sighting, order in linked(facts.ledger, facts.seen):
        if (sighting.source, sighting.uid) in told:
            continue  # the same message again, or on its way through a relay, says nothing new
        if sighting.kind == "status" and sighting["status"] in EVENT_FROM_HL7:
            told.add((sighting.source, sighting.uid))
            key = ("order", order.placer)
            event = EVENT_FROM_HL7[sighting["status"]]
            yield from _step(ORDER, tracks, key, event, sighting.label, "ordered")
        elif sighting.kind == "report":
            told.add((sighting.source, sighting.uid))
            key = (f"report from {sighting.source}", order.placer)
            yield from _step(REPORT, tracks, key, sighting["status"], sighting.label, "")
    events = {"IN PROGRESS": "set", "COMPLETED": "complete", "DISCONTINUED": "discontinue", "": "set"}
    for uid, status in _performed(facts):
        if ("mpps", uid) not in tracks:
            tracks["mpps", uid] = "IN PROGRESS"
            continue
        event = events.get(status, status)
        yield from _step(MPPS, tracks, ("mpps", uid), event, f"performed step {uid}", "IN PROGRESS")


def _step(
    table: Table, tracks: dict[tuple[str, str], str], key: tuple[str, str], event: str, label: str, first: str
) -> Iterator[Difference]:
    state = tracks.setdefault(key, first)
    try:
        tracks[key] = follow(table, state, event)
    except IllegalTransition as illegal:
        allowed = " or ".join(illegal.allowed) or "nothing more"
        yield Difference(f"{label}: {key[0]} that is {state or 'not there yet'}", allowed, event)
