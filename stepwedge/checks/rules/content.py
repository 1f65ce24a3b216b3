"""INV-5: what was ordered is what was scheduled, is what the worklist offers, is what the images say they answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stepwedge.checks.difference import Difference
from stepwedge.checks.matchers import show
from stepwedge.checks.rules.ledger import linked
from stepwedge.checks.rules.rule import CaseFacts, Finding, rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from stepwedge.checks.rules.ledger import Order
    from stepwedge.checks.rules.sightings import Sighting

_ORDERED: Final = {
    "procedure": "procedure code",
    "priority": "priority",
    "alerts": "medical alerts",
    "reason": "reason for the study",
}
_SCHEDULED: Final = {
    "requested": "Requested Procedure ID",
    "step": "Scheduled Procedure Step ID",
    "modality": "modality",
    "protocol": "protocol code",
    "station": "station AE title",
    "start": "scheduled start",
}
_LONGEST: Final = 64
"""Characters of a text on the worklist (LO, PS3.5 table 6.2-1)."""
_MINUTE: Final = len("YYYYMMDDHHMM")


@rule(
    "INV-5",
    says="what was ordered is what is scheduled, offered on the worklist, performed and said by the images",
    source="IHE RAD TF-2 RAD-4, RAD-5, RAD-13, RAD-8 and appendix A and B; (0040,0275), (0040,1003)",
)
def as_requested(facts: CaseFacts) -> Finding:
    """Compare order, schedule, worklist, performed steps and request attributes of images."""
    differences: list[Difference] = []
    reached = 0
    for sighting, order in linked(facts.ledger, [*facts.seen, *facts.afterwards]):
        compared = _COMPARISONS.get(sighting.kind)
        if compared is not None:
            reached += 1
            differences += compared(facts, sighting, order)
    return Finding(differences, reached)


def _as_ordered(_facts: CaseFacts, sighting: Sighting, order: Order) -> Iterator[Difference]:
    """Compare a schedule or worklist entry with the order (RAD-2)."""
    for name, label in _ORDERED.items():
        wanted = order.wanted(name, sighting.at)
        if name == "reason" and sighting.kind == "worklist":
            wanted = tuple(text[:_LONGEST] for text in wanted)
        if wanted and sighting[name] not in wanted:
            yield Difference(
                f"{sighting.label}: {label}",
                f"{' or '.join(wanted)} as ordered",
                show(sighting.values.get(name)),
            )


def _as_scheduled(facts: CaseFacts, sighting: Sighting, order: Order) -> Iterator[Difference]:
    """Compare a worklist entry with the order and with what the archive was told of the same step (RAD-4, RAD-13)."""
    yield from _as_ordered(facts, sighting, order)
    told = order.steps.get(sighting["step"], [])
    if not order.steps:
        return  # the messages between RIS and archive cannot be seen here
    if not told:
        known = ", ".join(sorted(order.steps))
        yield Difference(
            f"{sighting.label}: Scheduled Procedure Step ID", f"one of {known}", show(sighting["step"])
        )
        return
    if sighting.final:
        told = told[-1:]
    yield from min([list(_differing(sighting, version)) for version in told], key=len)


def _differing(sighting: Sighting, told: Sighting) -> Iterator[Difference]:
    for name, label in _SCHEDULED.items():
        wanted, found = told[name], sighting[name]
        if name == "start":
            wanted, found = wanted[:_MINUTE], found[:_MINUTE]
        if wanted and found != wanted:
            yield Difference(f"{sighting.label}: {label}", f"{wanted} as in {told.label}", show(found))


NOT_ACQUIRED: Final = frozenset({"KO", "PR", "SR"})
"""Modalities of objects that refer to images: they answer a request only through those (PS3.3 C.7.3.1.1.1)."""


def _as_performed(facts: CaseFacts, sighting: Sighting, order: Order) -> Iterator[Difference]:
    """Compare the scheduled steps a performed step or an image answers with those of the order."""
    if order.placed > _begun(facts, sighting):
        return  # the exam came first (IHE PIR): nobody could say then which order it answers
    if sighting.raw.get("ReferencedRequestSequence"):
        return  # a structured report names its request there, and no step (PS3.3 C.17.2)
    if sighting.kind == "image" and sighting.raw.get("Modality") in NOT_ACQUIRED:
        return
    if not sighting.steps:
        where = "ScheduledStepAttributesSequence" if sighting.kind == "mpps" else "RequestAttributesSequence"
        yield Difference(f"{sighting.label}: {where}", f"the scheduled step of {order}", "nothing")
        return
    offered = _offered(facts, order)
    for requested, step in sighting.steps if offered else ():
        if (requested, step) not in offered:
            wanted = " or ".join(f"{one} / {two}" for one, two in sorted(offered))
            yield Difference(
                f"{sighting.label}: requested procedure / scheduled step", wanted, f"{requested} / {step}"
            )
    if sighting.kind == "image":
        yield from _of_its_step(facts, sighting)


def _begun(facts: CaseFacts, sighting: Sighting) -> float:
    """Return when the exam began that a sighting speaks of, seconds since 1970."""
    references = sighting.raw.get("ReferencedPerformedProcedureStepSequence") or []
    uids = {sighting.uid, *(str(item.get("ReferencedSOPInstanceUID") or "") for item in references)}
    begun = [one.at for one in facts.seen if one.kind == "mpps" and one.uid in uids]
    return min([sighting.at, *begun])


def _offered(facts: CaseFacts, order: Order) -> set[tuple[str, str]]:
    """Return (Requested Procedure ID, Scheduled Procedure Step ID) of all steps of an order."""
    told = [version for versions in order.steps.values() for version in versions]
    lines = [
        one for one, owner in linked(facts.ledger, facts.seen) if owner is order and one.kind == "worklist"
    ]
    return {(one["requested"], one["step"]) for one in [*told, *lines] if one["step"]}


def _of_its_step(facts: CaseFacts, image: Sighting) -> Iterator[Difference]:
    """Compare the steps an image names with those of the performed step it says it belongs to (RAD-8 appendix A)."""
    references = image.raw.get("ReferencedPerformedProcedureStepSequence") or []
    uids = {str(item.get("ReferencedSOPInstanceUID") or "") for item in references}
    performed: Sequence[Sighting] = [one for one in facts.seen if one.kind == "mpps" and one.uid in uids]
    for step in performed:
        if set(step.steps) != set(image.steps) or len(image.steps) != len(step.steps):
            yield Difference(
                f"{image.label}: RequestAttributesSequence",
                _pairs(step.steps) + " as performed",
                _pairs(image.steps),
            )


def _pairs(steps: Sequence[tuple[str, str]]) -> str:
    return ", ".join(f"{requested} / {step}" for requested, step in steps) or "nothing"


_COMPARISONS: Final = {
    "schedule": _as_ordered,
    "worklist": _as_scheduled,
    "mpps": _as_performed,
    "image": _as_performed,
}
