"""Whether a query is answered with what matches and nothing else, page by page, and metadata say what the file says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from stepwedge.actors import asking, asking_web
from stepwedge.actors.words import Parameter
from stepwedge.checks import matchers
from stepwedge.checks.acquired import acquired, study_of
from stepwedge.checks.check import KEYWORDS, Candidate, Look, Question, check, only
from stepwedge.checks.difference import Difference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LEFT_OUT: Final = frozenset({"PixelData", "SpecificCharacterSet", "RetrieveURL", "RetrieveAETitle"})
"""Bulk data, the character set of JSON, which is UTF-8 whatever the file's is (PS3.18 F.2), and what only an answer has."""


@check(
    "query.exactly",
    says="the archive answers the query with what matches, and with nothing else",
    ihe="RAD-14",
    observes="wire",
    place="from",
    doors={"c-find": "c-find", "qido-rs": "qido-rs"},
    where=KEYWORDS,
    is_=KEYWORDS,
    takes=(
        Parameter(
            "page", "number", says="through qido-rs: how many answers at once; all pages together are judged"
        ),
    ),
)
def exactly(question: Question) -> Look:
    """Send ``where`` as it stands, wild cards, ranges and lists too; each key of ``is`` lists the values of all answers, in any order."""
    differences: list[Difference] = []
    matched: list[Candidate] = []
    evidence: list[int] = []
    seen = 0
    for door in question.through or ("c-find",):
        answers, numbers = _asked(question, door)
        evidence += numbers
        seen += len(answers)
        for key, wanted in (question.is_ or {}).items():
            listed = [str(one) for one in (wanted if isinstance(wanted, list) else [wanted])]
            found = sorted(str(one.get(key, "")) for one in answers)
            if found != sorted(listed):
                differences.append(
                    Difference(
                        f"{door}: {key}",
                        matchers.show(sorted(listed)) if listed else "no answer",
                        matchers.show(found) if found else "no answer",
                    )
                )
        matched.append(Candidate(f"{door}: {len(answers)} answers", None, tuple(numbers)))
    return Look([] if differences else matched, differences, seen=seen, evidence=evidence)


def _asked(question: Question, door: str) -> tuple[list[dict[str, Any]], list[int]]:
    where = {
        key: "\\".join(map(str, value)) if isinstance(value, list) else str(value)
        for key, value in question.where.items()
    }
    page = int(question.args.get("page") or 0)
    if not page or door != "qido-rs":
        asked = asking.studies(question.cast, question.from_, door, where)
        return asked.answers, list(asked.evidence)
    answers: list[dict[str, Any]] = []
    numbers: list[int] = []
    while True:
        asked = asking_web.page(question.cast, question.from_, where, page, len(answers))
        answers += asked.answers
        numbers += asked.evidence
        if not asked.answers:
            return answers, numbers


@check(
    "images.described",
    says="the archive describes every image as its file does",
    ihe="RAD-16",
    observes="wire",
    place="from",
    where=only("images", "study"),
    chosen_by=("images",),
    requires=("wado-rs",),
)
def described(question: Question) -> Look:
    """Compare the metadata of each image with the header of its file, attribute by attribute, private ones too (PS3.18 10.4.1.1.2)."""
    images = question.where["images"]
    study = str(question.where.get("study") or study_of(images))
    told = {
        str(one.get("SOPInstanceUID")): one
        for one in asking_web.metadata(question.cast, question.from_, study)
    }
    files = {one.sop: one.header for one in asking.retrieve(question.cast, question.from_, "wado-rs", study)}
    differences = [
        each.below(f"image {sop}")
        for sop, header in files.items()
        for each in _apart(header, told.get(sop) or {})
    ]
    if sorted(files) != sorted(acquired(images)) or sorted(told) != sorted(files):
        differences.append(
            Difference("images", str(len(acquired(images))), f"{len(files)} files, {len(told)} described")
        )
    found = [] if differences else [Candidate(f"{len(files)} images", None)]
    return Look(found, differences, seen=len(files))


def _apart(header: Mapping[str, Any], told: Mapping[str, Any]) -> Iterator[Difference]:
    """Yield the attributes of which file and metadata say different things."""
    for key in sorted((header.keys() | told.keys()) - LEFT_OUT):
        there, here = header.get(key), told.get(key)
        if (
            not matchers.missing(there)
            and isinstance(there, bytes)
            and here is not None
            and not isinstance(here, bytes)
        ):
            continue  # bulk data, by its address
        if there != here and not _alike(there, here):
            yield Difference(key, matchers.show(there), matchers.show(here))


def _alike(there: Any, here: Any) -> bool:
    """Tell whether two values mean the same: nothing and nothing, or numbers that JSON writes in its own way (PS3.18 table F.2.3-1)."""
    if matchers.missing(there) or matchers.missing(here):
        return matchers.missing(there) and matchers.missing(here)
    ours, theirs = str(there).split("\\"), str(here).split("\\")
    numbers = [
        (matchers.number(one), matchers.number(other)) for one, other in zip(ours, theirs, strict=False)
    ]
    return len(ours) == len(theirs) and all(one is not None and one == other for one, other in numbers)
