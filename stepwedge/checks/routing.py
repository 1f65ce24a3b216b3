"""What a router did with images: in which order they arrived, and what it still serves."""

from __future__ import annotations

from collections import Counter

from stepwedge.actors import asking
from stepwedge.actors.words import Parameter
from stepwedge.checks.acquired import acquired, study_of
from stepwedge.checks.check import Candidate, Look, Question, check, only
from stepwedge.checks.difference import Difference
from stepwedge.checks.images import altered

_TAKEN = frozenset({"0000", "B000", "B006", "B007"})


@check(
    "images.overtook",
    says="the urgent images arrive before those that were sent earlier and could wait",
    ihe="RAD-8",
    observes="journal",
    place="at",
    where=only("images", "others"),
    chosen_by=("images",),
    tapped=("dicom",),
)
def overtook(question: Question) -> Look:
    """Compare the arrival of the last of ``images`` with that of the first of ``others``."""
    urgent, others = acquired(question.where["images"]), acquired(question.where.get("others") or {})
    if not urgent or not others:
        return Look(unsure="images and others must both name images that were acquired")
    came: dict[str, int] = {}
    for number, exchange in enumerate(question.case.exchanges):
        mine = exchange.actor == question.at and exchange.direction == "in" and exchange.kind == "C-STORE"
        if mine and exchange.outcome in _TAKEN:
            came.setdefault(str(exchange.facts.get("sop") or ""), number)
    missing = [sop for sop in [*urgent, *others] if sop not in came]
    label = f"{len(came)} images at {question.at}"
    if missing:
        return Look([], [Difference(f"image {missing[0]}", "arrived", "not there yet")], label, len(came))
    late = [sop for sop in urgent if came[sop] > min(came[one] for one in others)]
    differences = [Difference(f"image {sop}", "before all others", "behind one of them") for sop in late]
    found = Candidate(label, {"count": len(came)})
    return Look([] if late else [found], differences, label, len(came), final=bool(late))


def _counts(question: Question) -> Counter[str]:
    """Count how often each image was sent to a system."""
    return Counter(
        str(one.facts.get("sop") or "")
        for one in question.case.exchanges
        if one.actor == question.at and one.direction == "in" and one.kind == "C-STORE"
    )


@check(
    "images.arrived",
    says="every image arrives as it was acquired",
    ihe="RAD-8",
    observes="journal",
    place="at",
    where=only("images"),
    chosen_by=("images",),
    takes=(Parameter("once", "flag", says="and none a second time", default=False),),
    tapped=("dicom",),
)
def arrived(question: Question) -> Look:
    """Compare what was sent to one system, and how it answered, with what was acquired; the last attempt of each image counts."""
    source = acquired(question.where["images"])
    if not source:
        return Look(unsure="no image was acquired, so none could arrive")
    came = {
        str(one.facts.get("sop") or ""): one
        for one in question.case.exchanges
        if one.actor == question.at and one.direction == "in" and one.kind == "C-STORE"
    }
    differences: list[Difference] = []
    for sop, pixels in source.items():
        if (one := came.get(sop)) is None:
            differences.append(Difference(f"image {sop}", "sent", "not sent"))
            continue
        found = str((one.facts.get("dataset") or {}).get("pixels") or "")
        if one.outcome not in _TAKEN:
            differences.append(Difference(f"image {sop}", "taken", f"answered {one.outcome}"))
        elif not found:
            return Look(unsure=f"image {sop} was too long to be read on its way")
        elif found != pixels:
            differences.append(Difference(f"image {sop}", "pixels as acquired", "other pixels"))
    if question.args.get("once"):
        for sop, count in _counts(question).items():
            if sop in source and count > 1:
                differences.append(Difference(f"image {sop}", "sent once", f"sent {count} times"))
    mine = [one for sop, one in came.items() if sop in source]
    found_ = Candidate(f"{len(mine)} images at {question.at}", {"count": len(mine)})
    evidence = [one.number for one in mine]
    return Look([] if differences else [found_], differences, found_.label, len(mine), evidence)


@check(
    "images.served",
    says="every image comes back from this system as it was acquired",
    ihe="RAD-16",
    observes="wire",
    place="from",
    doors={"c-get": "c-get"},
    where=only("images", "study"),
    chosen_by=("images",),
)
def served(question: Question) -> Look:
    """Let the probe take the study from one system: exactly the acquired images, every pixel as it was."""
    source = acquired(question.where["images"])
    study = str(question.where.get("study") or study_of(question.where["images"]))
    if not source or not study:
        return Look(unsure="the images say no study, or none was acquired")
    back = asking.retrieve(question.cast, question.from_, "c-get", study)
    differences = list(altered(source, [{"sop": one.sop, "pixels": one.pixels} for one in back]))
    label = f"{len(back)} images of {len(source)} acquired, from {question.from_}"
    return Look(
        [] if differences else [Candidate(label, {"count": len(back)})], differences, label, len(back)
    )
