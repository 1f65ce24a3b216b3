"""What a department changes of an exam that is planned: its protocol, one of several steps, that the patient is here (RAD-13). Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from stepwedge.model.lifecycles import STEP, IllegalTransition, follow

from .notices import Notice, ToArchive
from .state import STAMP

if TYPE_CHECKING:
    from datetime import datetime

    from stepwedge.model.order import Order
    from stepwedge.model.procedure import ScheduledStep

    from .state import Ris

WAITING: Final = frozenset({"SCHEDULED", "ARRIVED"})


def step_of(ris: Ris, order: Order, number: int) -> ScheduledStep:
    """Return one step of an order that has not begun, from 0."""
    steps = ris.steps_of(order)
    if not 0 <= number < len(steps):
        raise IllegalTransition("", f"step {number}", [str(one) for one in range(len(steps))])
    if steps[number].status not in WAITING:
        raise IllegalTransition(steps[number].status, "update", sorted(STEP[steps[number].status]))
    return steps[number]


def change_protocol(ris: Ris, order: Order, number: int, code: str, text: str, contrast: str) -> list[Notice]:
    """Give a step another protocol; exam, study and accession number stay."""
    step = step_of(ris, order, number)
    row = replace(step, code=code, text=text, contrast=contrast)
    ris.steps[step.id] = ris.habits.reprotocolled(step, row)
    return _told(ris, order, "XO", "SC")


def move_step(ris: Ris, order: Order, number: int, start: datetime | None, station: str) -> list[Notice]:
    """Move one step of several; the others stay where they are."""
    step = step_of(ris, order, number)
    moved = start.strftime(STAMP) if start else step.start
    ris.steps[step.id] = replace(step, start=moved, station=station or step.station)
    return _told(ris, order, "XO", "SC")


def drop_step(ris: Ris, order: Order, number: int) -> list[Notice]:
    """Give one step of several up (RAD-13 with DC and CA for it alone); the order stays to be done."""
    step = step_of(ris, order, number)
    if len([one for one in ris.steps_of(order) if one.status in WAITING]) == 1:
        raise IllegalTransition(order.status, "drop the last step", ["cancel the order"])
    dropped = ris.steps[step.id] = replace(step, status=follow(STEP, step.status, "cancel"))
    return [ToArchive("DC", "CA", order, ris.requested[step.requested], (dropped,))]


def arrive(ris: Ris, order: Order) -> list[Notice]:
    """Note that the patient has come: every step that waits is ARRIVED (PS3.3 C.4.10, (0040,0020))."""
    for step in ris.steps_of(order):
        if step.status in WAITING:
            ris.steps[step.id] = replace(step, status=follow(STEP, step.status, "arrive"))
    return []


def _told(ris: Ris, order: Order, control: str, status: str) -> list[Notice]:
    return [
        ToArchive(control, status, order, requested, tuple(ris.steps.by("requested", requested.id)))
        for requested in ris.requested.by("placer", order.placer)
    ]
