"""What the order placer knows of its orders (RAD-3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from stepwedge.actors import asking_fhir
from stepwedge.checks import matchers
from stepwedge.checks.check import Candidate, Look, Question, check, only
from stepwedge.checks.difference import Difference
from stepwedge.errors import BadInput
from stepwedge.sim.resources.orders import REQUEST_STATUS

DOORS: Final = {"ask": "", "fhir": "fhir"}
"""What a simulated ward says itself, and what any ward shows over FHIR."""


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
    doors=DOORS,
    where=only("order", "placer"),
    chosen_by=("order", "placer"),
    requires=("order-status",),
)
def status(question: Question) -> Look:
    """Ask the placer for one order; ``is`` is its status, or a mapping of what it knows."""
    placer = number_of(question.where, "placer")
    return through_doors(
        question, {"ask": lambda: _told(question, placer), "fhir": lambda: _shown(question, placer)}
    )


def _told(question: Question, placer: str) -> Look:
    known = question.cast[question.at].ask("order", {"placer": placer})
    if not known.get("status"):
        return Look(unsure=f"{question.at} gives no status for order {placer}")
    wanted = question.is_
    if wanted is not None and (not isinstance(wanted, Mapping) or matchers.matcher_word(wanted)):
        wanted = {"status": wanted}
    differences = [] if wanted is None else matchers.compare("", wanted, known)
    found = Candidate(f"order {placer}: {known['status']}", known)
    return Look([] if differences else [found], differences, found.label, 1)


def _shown(question: Question, placer: str) -> Look:
    """Ask for the ServiceRequest; its status is coarser, so a state of ours is fine when it is shown so."""
    asked = asking_fhir.resources(question.cast, question.at, "ServiceRequest", {"identifier": placer})
    if len(asked.answers) != 1:
        return Look(differences=[Difference("ServiceRequest", f"one for {placer}", str(len(asked.answers)))])
    shown = str(asked.answers[0].get("status"))
    wanted = question.is_
    if isinstance(wanted, Mapping) and not matchers.matcher_word(wanted):
        wanted = wanted.get("status")
    words = [word for word, status_ in REQUEST_STATUS.items() if status_ == shown]
    good = wanted is None or any(not matchers.compare("", wanted, word) for word in words)
    label = f"ServiceRequest of order {placer}: {shown}"
    differences = [] if good else [Difference("ServiceRequest.status", matchers.describe(wanted), shown)]
    found = Candidate(label, asked.answers[0], asked.evidence)
    return Look([] if differences else [found], differences, label, 1, list(asked.evidence))


def through_doors(question: Question, doors: Mapping[str, Callable[[], Look]]) -> Look:
    """Look through every door the step names, or the first; all must hold."""
    looks = {door: doors[door]() for door in question.through or tuple(doors)[:1]}
    if len(looks) == 1:
        return next(iter(looks.values()))
    unsure = "; ".join(f"{door}: {found.unsure}" for door, found in looks.items() if found.unsure)
    differences = [each.below(door) for door, found in looks.items() for each in found.differences]
    missed = any(not found.matched for found in looks.values())
    matched = [] if missed else [each for found in looks.values() for each in found.matched]
    closest = "; ".join(f"{door}: {found.closest}" for door, found in looks.items() if found.closest)
    evidence = [number for found in looks.values() for number in found.evidence]
    return Look(
        matched, differences, closest, sum(each.seen for each in looks.values()), evidence, unsure=unsure
    )
