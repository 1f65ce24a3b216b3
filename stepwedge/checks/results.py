"""What an earlier step gave."""

from __future__ import annotations

from stepwedge.checks import matchers
from stepwedge.checks.check import Candidate, Look, Question, check, only
from stepwedge.checks.difference import Difference


@check(
    "result",
    says="the result is as it should be",
    ihe="",
    observes="value",
    place="none",
    where=only("of"),
    chosen_by=("of",),
)
def result(question: Question) -> Look:
    """Judge a value bound by an earlier step: ``where: {of: $stored}``."""
    value = question.where.get("of")
    if matchers.missing(value) and question.is_ is None:
        return Look(differences=[Difference("result", "a value", matchers.show(value))], seen=1)
    differences = [] if question.is_ is None else matchers.compare("", question.is_, value)
    found = Candidate(matchers.show(value), value)
    return Look(matched=[] if differences else [found], differences=differences, closest=found.label, seen=1)
