"""What the archive hands over of a study, asked by the probe: the objects themselves, not what a query says of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stepwedge.actors import asking
from stepwedge.checks.acquired import acquired, study_of
from stepwedge.checks.check import Candidate, Look
from stepwedge.checks.difference import Difference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from stepwedge.actors.asking import Retrieved
    from stepwedge.checks.check import Question

DOORS = {"wado-rs": "wado-rs", "c-get": "c-get"}
"""Doors through which the probe takes a study, each with the claim it needs."""


def retrieved(question: Question, study: str) -> Iterator[tuple[str, list[Retrieved]]]:
    """Yield (door, objects) for every door of the question, the first one when it names none."""
    for door in question.through or ("wado-rs",):
        yield door, asking.retrieve(question.cast, question.from_, door, study)


def chosen(objects: list[Retrieved], images: Any) -> dict[str, Retrieved]:
    """Return those of the retrieved objects that were acquired as ``images``, by SOP Instance UID."""
    wanted = acquired(images)
    return {one.sop: one for one in objects if one.sop in wanted}


def made(images: Any) -> list[Mapping[str, Any]]:
    """Return what acquire said of each object."""
    several = images if isinstance(images, list) else [images]
    return [one for each in several for one in each.get("instances") or ()]


def object_by_object(
    question: Question,
    study: str,
    kind: str,
    judged: Callable[[str, Mapping[str, Any], Retrieved], Iterable[Difference]],
) -> Look:
    """Judge every object that was acquired, as it comes back of each door; one that does not is a difference.

    ``judged`` is given the door, what acquire said of the object, and the object; ``kind`` names them in the report.
    """
    images = question.where["images"]
    differences: list[Difference] = []
    seen, complete = 0, True
    for door, objects in retrieved(question, study):
        there = chosen(objects, images)
        for one in made(images):
            if (held := there.get(one["sop"])) is None:
                differences.append(Difference(f"{door}: image {one['sop']}", "comes back", "did not"))
                complete = False
                continue
            seen += 1
            differences += judged(door, one, held)
    label = f"{seen} {kind}"
    found = [] if differences else [Candidate(label, {"count": seen})]
    return Look(found, differences, label, seen, final=complete and bool(differences))


__all__ = ["DOORS", "chosen", "made", "object_by_object", "retrieved", "study_of"]
