"""What the archive says it holds (RAD-14, PS3.4 annex C, PS3.18 section 10.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepwedge.actors import asking
from stepwedge.checks import matchers
from stepwedge.checks.check import KEYWORDS, Candidate, Look, Question, check, look
from stepwedge.checks.difference import Difference
from stepwedge.checks.messages import COUNT
from stepwedge.checks.queries import filtered, unasked

if TYPE_CHECKING:
    from collections.abc import Callable

    from stepwedge.actors.witness import Asked

DOORS = {"c-find": "c-find", "qido-rs": "qido-rs"}
PATIENT_DOORS = {"c-find": "c-find"}
"""PS3.18 has no patient level: only C-FIND can be asked for patients."""


def _study(answer: dict[str, object]) -> str:
    return f"study {answer.get('StudyInstanceUID')}"


def _patient(answer: dict[str, object]) -> str:
    return f"patient {answer.get('PatientID')}"


def _asked(
    question: Question, door: str, ask: Callable[..., Asked], label: Callable[[dict[str, object]], str]
) -> tuple[list[Candidate], list[Difference]]:
    asked = ask(question.cast, question.from_, door, filtered(question.where))
    candidates = [Candidate(label(answer), answer, asked.evidence) for answer in asked.answers]
    return candidates, [found.below(door) for found in unasked(question.where, candidates)]


def _present(
    question: Question, ask: Callable[..., Asked], label: Callable[[dict[str, object]], str], what: str
) -> Look:
    """Ask through every door; each must show what is expected, and all the same things."""
    where = {key: spec for key, spec in question.where.items() if not matchers.missing(spec)}
    looks: dict[str, Look] = {}
    differences: list[Difference] = []
    for door in question.through or ("c-find",):
        candidates, strange = _asked(question, door, ask, label)
        found = look(candidates, where, question.is_, what=what, count=question.args.get("count"))
        looks[door] = found
        differences += [*strange, *(each.below(door) for each in found.differences)]
    shown = {door: sorted(each.label for each in found.matched) for door, found in looks.items()}
    first = next(iter(shown))
    differences += [
        Difference(
            f"{door} and {first}",
            "the same answers",
            f"{', '.join(labels) or 'none'} and {', '.join(shown[first]) or 'none'}",
        )
        for door, labels in shown.items()
        if labels != shown[first]
    ]
    matched = [each for found in looks.values() for each in found.matched]
    closest = "; ".join(f"{door}: {found.closest}" for door, found in looks.items() if found.closest)
    evidence = [number for found in looks.values() for number in found.evidence]
    return Look(matched, differences, closest, sum(found.seen for found in looks.values()), evidence)


def _absent(
    question: Question, ask: Callable[..., Asked], label: Callable[[dict[str, object]], str], what: str
) -> Look:
    """Ask through every door; none may show it."""
    where = {key: spec for key, spec in question.where.items() if not matchers.missing(spec)}
    differences: list[Difference] = []
    evidence: list[int] = []
    seen = 0
    for door in question.through or ("c-find",):
        candidates, strange = _asked(question, door, ask, label)
        found = look(candidates, where, None, what=what)
        left = [Difference(door, f"no such {what}", each.label) for each in found.matched]
        differences += [*left, *strange]
        evidence += found.evidence
        seen += len(candidates)
    closest = differences[0].found if differences else ""
    return Look(
        [] if differences else [Candidate("nothing found", None)], differences, closest, seen, evidence
    )


@check(
    "study.found",
    says="the archive shows the study",
    ihe="RAD-14",
    observes="wire",
    place="from",
    doors=DOORS,
    where=KEYWORDS,
    is_=KEYWORDS,
    takes=(COUNT,),
)
def study_found(question: Question) -> Look:
    """Ask for studies at the study level."""
    return _present(question, asking.studies, _study, "studies")


@check(
    "study.absent",
    says="the archive shows no such study",
    ihe="RAD-14",
    observes="wire",
    place="from",
    doors=DOORS,
    where=KEYWORDS,
)
def study_absent(question: Question) -> Look:
    """Ask for studies at the study level; none may come."""
    return _absent(question, asking.studies, _study, "studies")


@check(
    "patient.found",
    says="the archive knows the patient",
    ihe="RAD-14",
    observes="wire",
    place="from",
    doors=PATIENT_DOORS,
    where=KEYWORDS,
    is_=KEYWORDS,
    takes=(COUNT,),
)
def patient_found(question: Question) -> Look:
    """Ask for patients at the patient level."""
    return _present(question, asking.patients, _patient, "patients")


@check(
    "patient.absent",
    says="the archive knows no such patient",
    ihe="RAD-14",
    observes="wire",
    place="from",
    doors=PATIENT_DOORS,
    where=KEYWORDS,
)
def patient_absent(question: Question) -> Look:
    """Ask for patients at the patient level; none may come."""
    return _absent(question, asking.patients, _patient, "patients")
