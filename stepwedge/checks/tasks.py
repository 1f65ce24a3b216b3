"""What the archive's worklist service shows (UPS-RS, PS3.18 section 11)."""

from __future__ import annotations

from stepwedge.actors import asking_web
from stepwedge.checks import matchers
from stepwedge.checks.check import KEYWORDS, Candidate, Look, Question, check, look
from stepwedge.checks.messages import COUNT
from stepwedge.checks.queries import filtered, unasked


@check(
    "task.found",
    says="the worklist shows the task",
    ihe="PS3.18",
    observes="wire",
    place="from",
    where=KEYWORDS,
    is_=KEYWORDS,
    takes=(COUNT,),
    requires=("reading-tasks",),
)
def task_found(question: Question) -> Look:
    """Search for workitems by their attributes; without ``is`` and ``count`` one match is enough."""
    where = {key: spec for key, spec in question.where.items() if not matchers.missing(spec)}
    asked = asking_web.tasks(question.cast, question.from_, filtered(where))
    candidates = [
        Candidate(f"task {answer.get('SOPInstanceUID')}", answer, asked.evidence) for answer in asked.answers
    ]
    seen = look(candidates, where, question.is_, what="tasks", count=question.args.get("count"))
    strange = list(unasked(where, candidates))
    return Look(
        [] if strange else seen.matched, [*seen.differences, *strange], seen.closest, seen.seen, seen.evidence
    )
