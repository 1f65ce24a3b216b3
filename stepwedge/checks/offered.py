"""Whether an archive keeps out what it could never find or show again (PS3.4 B.2.3, PS3.8 9.3.3.2, PS3.18 10.5)."""

from __future__ import annotations

from stepwedge.actors import asking, offering
from stepwedge.actors.words import Parameter
from stepwedge.checks.check import Candidate, Look, Question, check, only
from stepwedge.checks.difference import Difference


@check(
    "object.refused",
    says="the archive does not take the object, and says so",
    ihe="RAD-8",
    observes="wire",
    place="from",
    doors={"c-store": "storage", "stow-rs": "stow-rs"},
    where=only("study"),
    chosen_by=("study",),
    takes=(
        Parameter(
            "header",
            "mapping",
            says="DICOM keyword to value: how it differs from an image of the study; null for nothing",
        ),
        Parameter("cut", "number", says="so many bytes of its pixels are missing"),
    ),
    requires=("wado-rs",),
)
def refused(question: Question) -> Look:
    """Offer a copy of an image of the study with something wrong in it; it must be refused, and be nowhere afterwards."""
    cast, actor, study = question.cast, question.from_, str(question.where["study"])
    header, cut = question.args.get("header") or {}, int(question.args.get("cut") or 0)
    differences: list[Difference] = []
    matched: list[Candidate] = []
    evidence: list[int] = []
    for door in question.through or ("c-store",):
        instance = offering.copy(cast, actor, study, header, cut)
        answer = offering.offered(cast, actor, door, instance)
        evidence += answer.evidence
        shown = [one["SOPInstanceUID"] for one in asking.instances(cast, actor, "c-find", study).answers]
        if answer.taken:
            differences.append(Difference(f"{door}: the object", "refused", f"taken: {answer.said}"))
        elif answer.sop in shown:
            differences.append(
                Difference(
                    f"{door}: the study", "without the refused object", f"shows it; said was {answer.said}"
                )
            )
        matched.append(Candidate(f"{door}: {answer.said}", None, tuple(answer.evidence)))
    label = "; ".join(one.label for one in matched)
    return Look(
        [] if differences else matched, differences, label, len(matched), evidence, final=bool(differences)
    )
