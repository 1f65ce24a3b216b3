"""What the archive's worklist service shows (UPS-RS, PS3.18 section 11)."""

from __future__ import annotations

from stepwedge.actors import asking_web
from stepwedge.checks import matchers
from stepwedge.checks.check import KEYWORDS, Candidate, Look, Question, check, look, only
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


@check(
    "task.reported",
    says="who watches the task was told what became of it",
    ihe="PS3.4",
    observes="ask",
    place="at",
    where=only("task", "kind", "state", "reason"),
    is_=only("task", "kind", "state", "reason"),
    chosen_by=("task",),
    takes=(COUNT,),
    requires=("task-events",),
)
def task_reported(question: Question) -> Look:
    """Ask the watcher which event reports came (PS3.4 CC.2.4)."""
    told = question.cast[question.at].ask("news", {})["news"]
    candidates = [
        Candidate(f"report {one['number']} of {one['task']}: {one['kind']} {one['state']}", one)
        for one in told
    ]
    return look(
        candidates, question.where, question.is_, what="event reports", count=question.args.get("count")
    )
