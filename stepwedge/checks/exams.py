"""Exams that fit no order: the exception list of the department (IHE PIR)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stepwedge.checks import matchers
from stepwedge.checks.check import Candidate, Look, Question, check, only
from stepwedge.checks.difference import Difference
from stepwedge.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping

_SHOWN = only("what", "says", "at", "patient", "accession", "study", "mpps", "settled")


def _uid(where: Mapping[str, Any]) -> str:
    value = where.get("mpps")
    uid = value.get("uid") if isinstance(value, dict) else value
    if not uid:
        raise BadInput("where.mpps", "an exam", matchers.show(value), "bind it from start_exam or enter_exam")
    return str(uid)


def _listed(question: Question, wanted: Any, *, settled: bool) -> Look:
    uid = _uid(question.where)
    answer = question.cast[question.at].ask("exceptions", {"settled": settled})
    rows = [one | {"what": one["kind"]} for one in answer.get("exceptions", []) if one.get("mpps") == uid]
    if not rows:
        place = "settled exceptions" if settled else "exception list"
        return Look(differences=[Difference(place, f"exam {uid}", "not there")], seen=answer.get("count", 0))
    judged = [matchers.compare("", wanted, row) if wanted is not None else [] for row in rows]
    nearest = min(range(len(rows)), key=lambda number: len(judged[number]))
    differences = judged[nearest]
    found = Candidate(f"{rows[nearest]['what']}: {rows[nearest]['says']}", rows[nearest])
    return Look([] if differences else [found], differences, found.label, len(rows))


@check(
    "exam.unmatched",
    says="the exam waits on the exception list for a person",
    ihe="RAD-6",
    observes="ask",
    place="at",
    where=only("mpps"),
    is_=_SHOWN,
    chosen_by=("mpps",),
    requires=("mpps",),
)
def unmatched(question: Question) -> Look:
    """Ask the department what it put aside; the exam must be there, with what ``is`` says of it."""
    return _listed(question, question.is_, settled=False)


@check(
    "exam.settled",
    says="the exam has left the exception list, and it is known who decided",
    ihe="RAD-6",
    observes="ask",
    place="at",
    where=only("mpps"),
    is_=_SHOWN,
    chosen_by=("mpps",),
    requires=("exam-reconciliation",),
)
def settled(question: Question) -> Look:
    """Ask the department what was put aside and settled; nothing of this exam may still wait."""
    waiting = _listed(question, None, settled=False)
    if waiting.matched:
        return Look(
            differences=[Difference("exception list", "nothing of this exam", waiting.closest)], seen=1
        )
    return _listed(question, question.is_, settled=True)
