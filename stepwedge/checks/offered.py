"""Whether an archive keeps out what it could never find or show again (PS3.4 B.2.3, PS3.8 9.3.3.2, PS3.18 10.5)."""

from __future__ import annotations

from typing import Any

from stepwedge.actors import asking, offering
from stepwedge.actors.words import Parameter
from stepwedge.checks import matchers
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


@check(
    "object.names",
    says="the object beside the images names exactly those it is about",
    ihe="RAD-16",
    observes="wire",
    place="from",
    doors={"wado-rs": "wado-rs", "c-get": "c-get"},
    where=only("study", "sop"),
    chosen_by=("sop",),
)
def names(question: Question) -> Look:
    """Open the study and read one object of it (key object selection, presentation state, report): every image it refers to.

    ``is`` is judged against its header, with ``names``: the SOP Instance UIDs, in no order.
    """
    study, sop = str(question.where.get("study") or ""), str(question.where["sop"])
    wanted = dict(question.is_ or {})
    expected = sorted(str(one) for one in wanted.pop("names", []))
    differences: list[Difference] = []
    for door in question.through or ("wado-rs",):
        back = asking.retrieve(question.cast, question.from_, door, study)
        header = next((one.header for one in back if one.sop == sop), None)
        if header is None:
            differences.append(
                Difference(f"{door}: object {sop}", "comes with the study", f"not among {len(back)}")
            )
            continue
        found = sorted(_named(header) - {sop})
        if found != expected:
            differences.append(Difference(f"{door}: names", matchers.show(expected), matchers.show(found)))
        differences += [each.below(door) for each in matchers.compare("", wanted, header)]
    return Look([] if differences else [Candidate(f"object {sop}", None)], differences, seen=1)


def _named(value: Any) -> set[str]:
    """Gather the Referenced SOP Instance UIDs of images, at any depth (a performed step is no image)."""
    if isinstance(value, list):
        return {uid for item in value for uid in _named(item)}
    if not isinstance(value, dict):
        return set()
    own = (
        {str(value["ReferencedSOPInstanceUID"])}
        if "ReferencedSOPInstanceUID" in value and _of_image(value)
        else set()
    )
    return own.union(*(_named(item) for item in value.values()))


def _of_image(item: dict[str, Any]) -> bool:
    return str(item.get("ReferencedSOPClassUID", "")).startswith("1.2.840.10008.5.1.4.1.1.")
