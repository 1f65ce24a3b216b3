"""Whether the images come back as they were acquired (RAD-16, PS3.18)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from stepwedge.checks.acquired import acquired, study_of
from stepwedge.checks.check import Candidate, Look, Question, check, only
from stepwedge.checks.difference import Difference
from stepwedge.errors import Broken

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from stepwedge.actors.cast import Cast, Player


@check(
    "images.intact",
    says="every image comes back as it was acquired",
    ihe="RAD-16",
    observes="wire",
    place="from",
    doors={"c-move": "c-move", "c-get": "c-get", "wado-rs": "wado-rs"},
    where=only("images", "study"),
    chosen_by=("images",),
)
def intact(question: Question) -> Look:
    """Let the reading workstation open the study: exactly the acquired instances, every pixel as it was."""
    images = question.where["images"]
    source = acquired(images)
    if not source:
        return Look(unsure="no image was acquired, so none can be intact")
    study = str(question.where.get("study") or study_of(images))
    if not study:
        return Look(unsure="the images say no Study Instance UID, so nothing can be opened")
    reader = workstation(question.cast)
    differences: list[Difference] = []
    seen, changed = 0, False
    for door in question.through or ("c-move",):
        result = reader.act(
            "retrieve", {"study": study, "door": door}, {"id": question.case.id, "seed": question.case.seed}
        )
        back = result.get("instances") or []
        seen += len(back)
        changed = changed or any(
            source.get(str(one["sop"]), "") not in {"", one.get("pixels")} for one in back
        )
        differences += [found.below(door) for found in altered(source, back)]
    label = f"{seen} images of {len(source)} acquired, through {', '.join(question.through or ('c-move',))}"
    found = Candidate(label, {"study": study, "count": seen})
    return Look([] if differences else [found], differences, label, seen, final=changed)


def workstation(cast: Cast) -> Player:
    """Return the simulated reading workstation, to which the archive moves images."""
    for player in cast:
        if player.role == "reader" and player.simulated:
            return player
    raise Broken("no actor of this lab is a simulated reader, so nobody can open a study")


def altered(source: Mapping[str, str], back: Sequence[Mapping[str, Any]]) -> Iterator[Difference]:
    """Yield what is missing, doubled, strange or changed among the retrieved instances."""
    counts = Counter(str(instance["sop"]) for instance in back)
    for sop in source:
        if counts[sop] != 1:
            found = "did not come back" if not counts[sop] else f"came {counts[sop]} times"
            yield Difference(f"image {sop}", "comes back once", found)
    for instance in back:
        sop, pixels = str(instance["sop"]), str(instance.get("pixels") or "")
        if sop not in source:
            yield Difference(f"image {sop}", "nothing that was not acquired", "came back")
        elif pixels != source[sop]:
            yield Difference(
                f"image {sop} pixels", f"SHA-256 {source[sop][:16]}…", f"{pixels[:16]}…" if pixels else "none"
            )
