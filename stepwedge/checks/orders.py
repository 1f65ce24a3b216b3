"""What the order placer knows of its orders (RAD-3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stepwedge.checks import matchers
from stepwedge.checks.check import Candidate, Look, Question, check, only
from stepwedge.errors import BadInput


def number_of(where: Mapping[str, Any], key: str) -> str:
    """Return a number of the order that ``where`` names: given itself, or in the order object."""
    order = where.get("order")
    value = where.get(key) or (order.get(key) if isinstance(order, Mapping) else None)
    if not value:
        raise BadInput(
            f"where.{key}", f"an order with a {key} number", matchers.show(order), "bind it from place_order"
        )
    return str(value)


@check(
    "order.status",
    says="the ward sees how the order fares",
    ihe="RAD-3",
    observes="ask",
    place="at",
    where=only("order", "placer"),
    chosen_by=("order", "placer"),
    requires=("order-status",),
)
def status(question: Question) -> Look:
    """Ask the placer for one order; ``is`` is its status, or a mapping of what it knows."""
    placer = number_of(question.where, "placer")
    known = question.cast[question.at].ask("order", {"placer": placer})
    if not known.get("status"):
        return Look(unsure=f"{question.at} gives no status for order {placer}")
    wanted = question.is_
    if wanted is not None and (not isinstance(wanted, Mapping) or matchers.matcher_word(wanted)):
        wanted = {"status": wanted}
    differences = [] if wanted is None else matchers.compare("", wanted, known)
    found = Candidate(f"order {placer}: {known['status']}", known)
    return Look([] if differences else [found], differences, found.label, 1)
