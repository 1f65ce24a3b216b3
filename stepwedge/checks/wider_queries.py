"""Queries beyond the baseline, where they were negotiated: relational ones, and names as they sound (PS3.4 C.5.1.1)."""

from __future__ import annotations

from stepwedge.actors import asking
from stepwedge.checks.check import KEYWORDS, Candidate, Look, Question, check, look
from stepwedge.checks.messages import COUNT
from stepwedge.checks.queries import filtered


@check(
    "study.found_by_sound",
    says="the archive finds the study by a name that is spelt as it sounds",
    ihe="RAD-14",
    observes="wire",
    place="from",
    doors={"c-find": "c-find", "qido-rs": "qido-rs"},
    where=KEYWORDS,
    is_=KEYWORDS,
    chosen_by=("PatientName",),
    takes=(COUNT,),
    requires=("fuzzy-names",),
)
def by_sound(question: Question) -> Look:
    """Ask for studies with fuzzy semantic matching; what comes is judged by ``is`` alone."""
    looks = []
    for door in question.through or ("c-find",):
        keys = filtered(question.where)
        asked = asking.studies(question.cast, question.from_, door, keys, fuzzy=True)
        candidates = [
            Candidate(f"study {answer.get('StudyInstanceUID')}", answer, asked.evidence)
            for answer in asked.answers
        ]
        looks.append(
            look(candidates, question.is_ or {}, None, what="studies", count=question.args.get("count"))
        )
    differences = [each for found in looks for each in found.differences]
    matched = [each for found in looks for each in found.matched]
    evidence = [number for found in looks for number in found.evidence]
    return Look(
        [] if differences else matched, differences, seen=sum(one.seen for one in looks), evidence=evidence
    )


@check(
    "series.found_relationally",
    says="the archive finds the series without being told the study",
    ihe="RAD-14",
    observes="wire",
    place="from",
    doors={"c-find": "c-find"},
    where=KEYWORDS,
    is_=KEYWORDS,
    takes=(COUNT,),
    requires=("relational-queries",),
)
def relationally(question: Question) -> Look:
    """Ask for series at the series level with keys of the patient and the series only."""
    asked = asking.series(question.cast, question.from_, filtered(question.where))
    candidates = [
        Candidate(f"series {answer.get('SeriesInstanceUID')}", answer, asked.evidence)
        for answer in asked.answers
    ]
    return look(candidates, question.where, question.is_, what="series", count=question.args.get("count"))
