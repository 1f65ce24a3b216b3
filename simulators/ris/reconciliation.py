"""What was done before it was ordered, or under the wrong name, is brought together with its order (IHE RAD TF-1, PIR). Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from stepwedge.errors import Refused

from .notices import ToArchive
from .progress import perform
from .state import STAMP

if TYPE_CHECKING:
    from datetime import datetime

    from stepwedge.model.order import Order
    from stepwedge.model.procedure import PerformedStep

    from .notices import Notice
    from .state import Ris

_EVENTS = {"IN PROGRESS": "start", "COMPLETED": "complete", "DISCONTINUED": "discontinue"}


def reconcile(ris: Ris, performed: PerformedStep, order: Order, by: str, now: datetime) -> list[Notice]:
    """Attach an exam that fits no order to ``order``; the exam's study becomes the order's, so that no image changes its UID.

    The archive is told in which order and for which patient the study was made (RAD-4 or RAD-13), the placer how the
    order fares (RAD-3), and the entries of the exception list say who settled them and when.
    """
    if _owner(ris, performed) is not None:
        raise Refused(
            f"exam {performed.uid} belongs to order {performed.accession or performed.steps[0]} already"
        )
    if order.status not in {"ordered", "scheduled", "held"}:
        raise Refused(f"order {order.accession} is {order.status}; an exam cannot be attached to it")
    control = "NW" if order.status == "ordered" else "XO"
    notices: list[Notice] = [] if control == "XO" else ris.schedule(order, now)
    order = ris.orders[order.placer]
    ris.orders[order.placer] = order = replace(order, study=performed.study or order.study)
    for requested in ris.requested.by("placer", order.placer):
        ris.requested[requested.id] = replace(requested, study=order.study)
    steps = ris.steps_of(order)
    moved = replace(
        performed,
        patient=order.patient,
        accession=order.accession,
        steps=tuple(step.id for step in steps),
    )
    # It had begun before it ended: the steps go the same way, so that nobody hears of an end without a beginning.
    events = ["start"] if performed.status == "IN PROGRESS" else ["start", _EVENTS[performed.status]]
    told = [notice for event in events for notice in perform(ris, moved, event, now)]
    _settle(ris, performed.uid, order, by, now)
    archived = [notice for notice in notices if not isinstance(notice, ToArchive)]
    return [*_archive(ris, order, control), *archived, *told]


def _owner(ris: Ris, performed: PerformedStep) -> Order | None:
    for id_ in performed.steps:
        if (step := ris.steps.get(id_)) is not None:
            return ris.orders[ris.requested[step.requested].placer]
    return None


def _archive(ris: Ris, order: Order, control: str) -> list[Notice]:
    """Say once, with the study as it is now, which steps the order has."""
    return [
        ToArchive(control, "SC", order, requested, tuple(ris.steps.by("requested", requested.id)))
        for requested in ris.requested.by("placer", order.placer)
    ]


def _settle(ris: Ris, uid: str, order: Order, by: str, now: datetime) -> None:
    for number, oddity in list(ris.oddities.items()):
        if oddity.mpps == uid and not oddity.settled:
            settled = f"order {order.accession}, by {by}, {now.strftime(STAMP)}"
            ris.oddities[number] = replace(oddity, settled=settled)
