"""How available studies are: who was told so (RAD-49), and what was withdrawn (RAD-66)."""

from __future__ import annotations

from typing import Final

from stepwedge.actors import asking
from stepwedge.checks.acquired import acquired, study_of
from stepwedge.checks.check import Candidate, Look, Question, check, look, only
from stepwedge.checks.difference import Difference
from stepwedge.checks.messages import COUNT
from stepwedge.checks.notices import TERMS, notices

NAMES: Final = ("study", "mpps", "step_sequence", "retrieve_from", "count", *(term.lower() for term in TERMS))


@check(
    "availability.notified",
    says="the archive tells how available the study is",
    ihe="RAD-49",
    observes="journal",
    place="at",
    where=only(*NAMES),
    is_=only(*NAMES),
    chosen_by=("study",),
    takes=(COUNT,),
    requires=("availability-notice",),
    tapped=("dicom",),
)
def notified(question: Question) -> Look:
    """Look through the availability notices of the case that arrived at one simulated actor."""
    candidates = [
        Candidate(f"#{one.number:04} notice on study {one.study}", one.summary, (one.number,))
        for one in notices(question.case.exchanges, question.at)
    ]
    return look(candidates, question.where, question.is_, what="notices", count=question.args.get("count"))


@check(
    "images.hidden",
    says="the archive shows none of the images",
    ihe="RAD-66",
    observes="wire",
    place="from",
    doors={"c-find": "c-find", "qido-rs": "qido-rs"},
    where=only("images", "study"),
    chosen_by=("images",),
)
def hidden(question: Question) -> Look:
    """Ask for the instances of the study through every door; none of the named may come."""
    images = question.where["images"]
    named = set(acquired(images))
    study = str(question.where.get("study") or study_of(images))
    if not named or not study:
        return Look(unsure="no image of one study is named, so none can be hidden")
    differences: list[Difference] = []
    evidence: list[int] = []
    seen = 0
    for door in question.through or ("c-find",):
        asked = asking.instances(question.cast, question.from_, door, study)
        evidence += asked.evidence
        seen += len(asked.answers)
        differences += [
            Difference(f"{door}: image {sop}", "not shown", "shown")
            for sop in sorted(named & {str(answer.get("SOPInstanceUID")) for answer in asked.answers})
        ]
    found = Candidate(f"none of {len(named)} images", None, tuple(evidence))
    return Look([] if differences else [found], differences, found.label, seen, evidence)
