"""What the worklist offers, asked on the wire as a scanner asks (RAD-5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stepwedge.actors import asking
from stepwedge.checks.check import KEYWORDS, Candidate, Look, Question, check, look
from stepwedge.checks.difference import Difference
from stepwedge.checks.messages import COUNT
from stepwedge.checks.queries import filtered, judged, unasked

if TYPE_CHECKING:
    from stepwedge.actors.witness import Asked
    from stepwedge.wire.elements import Elements


def entry_view(entry: Elements) -> dict[str, Any]:
    """Return an entry with its one scheduled step's attributes beside its own, as a console shows a line.

    PS3.4 table K.6-1: a worklist item carries one Scheduled Procedure Step Sequence item.
    """
    steps = entry.get("ScheduledProcedureStepSequence") or []
    return {**entry, **(steps[0] if len(steps) == 1 else {})}


def _candidates(question: Question) -> tuple[list[Candidate], list[Difference]]:
    asked: Asked = asking.worklist(question.cast, question.from_, filtered(question.where))
    views = [entry_view(answer) for answer in asked.answers]
    candidates = [
        Candidate(f"entry {view.get('AccessionNumber') or view.get('PatientID')}", view, asked.evidence)
        for view in views
    ]
    return candidates, unasked(question.where, candidates)


@check(
    "worklist.entry",
    says="the exam stands on the worklist",
    ihe="RAD-5",
    observes="wire",
    place="from",
    where=KEYWORDS,
    is_=KEYWORDS,
    takes=(COUNT,),
    requires=("mwl",),
)
def entry(question: Question) -> Look:
    """Ask for the entries that ``where`` describes; every answer must match what was asked (PS3.4 C.2.2.2)."""
    candidates, strange = _candidates(question)
    found = look(
        candidates,
        judged(question.where),
        question.is_,
        what="worklist entries",
        count=question.args.get("count"),
    )
    if not strange:
        return found
    return Look(found.matched, [*strange, *found.differences], found.closest, found.seen, found.evidence)


@check(
    "worklist.no_entry",
    says="the exam is not on the worklist",
    ihe="RAD-5",
    observes="wire",
    place="from",
    where=KEYWORDS,
    requires=("mwl",),
)
def no_entry(question: Question) -> Look:
    """Ask for the entries that ``where`` describes; none may come."""
    candidates, strange = _candidates(question)
    found = look(candidates, judged(question.where), None, what="worklist entries")
    if not found.matched and not strange:
        return Look([Candidate("no entry", None)], [], "", len(candidates), found.evidence)
    left = [Difference("worklist", "no entry", candidate.label) for candidate in found.matched]
    return Look([], [*left, *strange], found.closest, len(candidates), found.evidence)
