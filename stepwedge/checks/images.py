"""Whether the images come back as they were acquired (RAD-16, PS3.18)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from stepwedge.actors import asking
from stepwedge.actors.words import Parameter
from stepwedge.checks.acquired import acquired, study_of
from stepwedge.checks.check import Candidate, Look, Question, check, only
from stepwedge.checks.difference import Difference
from stepwedge.errors import Broken, RemoteProtocolError
from stepwedge.wire.pixels import NAMES

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
    takes=(
        Parameter(
            "as_transfer_syntax",
            says="the only transfer syntax that is accepted, through c-get and wado-rs",
            choices=tuple(NAMES),
        ),
    ),
)
def intact(question: Question) -> Look:
    """Let the reading workstation open the study: exactly the acquired instances, every pixel as it was.

    With ``as_transfer_syntax`` the probe takes it, and accepts that encoding alone.
    """
    images = question.where["images"]
    source = acquired(images)
    if not source:
        return Look(unsure="no image was acquired, so none can be intact")
    study = str(question.where.get("study") or study_of(images))
    if not study:
        return Look(unsure="the images say no Study Instance UID, so nothing can be opened")
    differences: list[Difference] = []
    seen, changed = 0, False
    for door in question.through or ("c-move",):
        back = _taken(question, door, study)
        seen += len(back)
        changed = changed or any(
            source.get(str(one["sop"]), "") not in {"", one.get("pixels")} for one in back
        )
        differences += [found.below(door) for found in altered(source, back)]
    label = f"{seen} images of {len(source)} acquired, through {', '.join(question.through or ('c-move',))}"
    found = Candidate(label, {"study": study, "count": seen})
    return Look([] if differences else [found], differences, label, seen, final=changed)


def _taken(question: Question, door: str, study: str) -> list[dict[str, Any]]:
    """Take the study through one door: ``sop``, ``pixels`` and, where the encoding matters, ``transfer_syntax`` of each."""
    name = question.args.get("as_transfer_syntax")
    if not name:
        case = {"id": question.case.id, "seed": question.case.seed}
        result = workstation(question.cast).act("retrieve", {"study": study, "door": door}, case)
        return result.get("instances") or []
    if name not in NAMES:
        raise Broken(f"images.intact: as_transfer_syntax must be one of {', '.join(NAMES)}, not {name!r}")
    back = asking.retrieve(question.cast, question.from_, door, study, NAMES[name])
    if strange := sorted({one.transfer_syntax for one in back} - {NAMES[name]}):
        raise RemoteProtocolError(f"{door}: asked for {NAMES[name]} alone, and {', '.join(strange)} came")
    return [{"sop": one.sop, "pixels": one.pixels} for one in back]


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
