"""What the archive hands over of a study, asked by the probe: the objects themselves, not what a query says of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stepwedge.actors import asking
from stepwedge.checks.acquired import acquired, study_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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


__all__ = ["DOORS", "chosen", "made", "retrieved", "study_of"]
