"""What was performed drives what was scheduled: MPPS to scheduled steps to the order (RAD-6, RAD-7 to RAD-3)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from stepwedge.model.lifecycles import ORDER, STEP, IllegalTransition, follow
from stepwedge.model.order import STATUS_TO_HL7

from .notices import Oddity, ToPlacer
from .state import STAMP

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from stepwedge.model.order import Order
    from stepwedge.model.procedure import PerformedStep, ScheduledStep

    from .notices import Notice
    from .state import Ris


def perform(ris: Ris, performed: PerformedStep, event: str, now: datetime) -> list[Notice]:
    """Record a performed step and let it drive steps and order; ``event`` is start, complete or discontinue.

    What was performed has happened, whatever the books say: it is always recorded, and what does not fit goes to the
    exception list.
    """
    performed = replace(performed, patient=ris.survivor(performed.patient))
    ris.performed[performed.uid] = performed
    steps = [step for id_ in performed.steps if (step := ris.steps.get(id_)) is not None]
    if event == "start":
        _check(ris, performed, steps, now)
    notices: list[Notice] = []
    for step in steps:
        if event != "start" and _still_running(ris, step, performed):
            continue
        try:
            status = follow(STEP, step.status, ris.habits.step_event(event))
        except IllegalTransition:
            continue
        ris.steps[step.id] = replace(step, status=status)
    for placer in dict.fromkeys(ris.requested[step.requested].placer for step in steps):
        notices += _progress(ris, ris.orders[placer])
    if event == "discontinue" and ris.habits.gives_back(performed.reason):
        notices += _give_back(ris, steps)
    return notices


def _give_back(ris: Ris, steps: Sequence[ScheduledStep]) -> list[Notice]:
    """Put the steps of an exam begun from the wrong worklist entry back on the list; what was given up is scheduled again."""
    notices: list[Notice] = []
    for step in (ris.steps[each.id] for each in steps):
        order = ris.orders[ris.requested[step.requested].placer]
        if step.status != "DISCONTINUED" or order.status == "cancelled":
            continue
        ris.steps[step.id] = replace(step, status=follow(STEP, step.status, "return"))
        if order.status == "discontinued":
            order = replace(order, status=follow(ORDER, order.status, "schedule"))
            ris.orders[order.placer] = order
            notices.append(ToPlacer("SC", STATUS_TO_HL7[order.status], order))
    return notices


def _still_running(ris: Ris, step: ScheduledStep, performed: PerformedStep) -> bool:
    return any(
        other.status == "IN PROGRESS" and other.uid != performed.uid
        for other in ris.performed.by("step", step.id)
    )


def _check(ris: Ris, performed: PerformedStep, steps: Sequence[ScheduledStep], now: datetime) -> None:
    """Put on the exception list what a person must look at."""
    if not steps:
        _odd(ris, "unscheduled exam", "performed without a scheduled step that is known here", performed, now)
    for step in steps:
        order = ris.orders[ris.requested[step.requested].placer]
        if order.patient != performed.patient:
            says = f"performed for patient {performed.patient}, scheduled for {order.patient}"
            _odd(ris, "wrong patient", says, performed, now)
        if order.status in {"cancelled", "discontinued"}:
            _odd(ris, "cancelled exam", f"performed although its order is {order.status}", performed, now)


def _odd(ris: Ris, kind: str, says: str, performed: PerformedStep, now: datetime) -> None:
    number = str(ris.next("oddity"))
    ris.oddities[number] = Oddity(
        kind,
        says,
        now.strftime(STAMP),
        patient=performed.patient,
        accession=performed.accession,
        study=performed.study,
        mpps=performed.uid,
    )


def _progress(ris: Ris, order: Order) -> list[Notice]:
    """Let an order follow its steps."""
    statuses = tuple(step.status for step in ris.steps_of(order))
    if ris.habits.all_done(statuses):
        event = "complete" if "COMPLETED" in statuses else "discontinue"
    elif any(status not in {"SCHEDULED", "ARRIVED", "CANCELED"} for status in statuses):
        event = "start"
    else:
        return []
    try:
        status = follow(ORDER, order.status, event)
    except IllegalTransition:
        return []
    if status == order.status:
        return []
    ris.orders[order.placer] = order = replace(order, status=status)
    return [ToPlacer("SC", STATUS_TO_HL7[status], order)]
