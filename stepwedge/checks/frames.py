"""Whether objects of several frames are whole, and series that belong together are aligned (PS3.3 C.7.6.6, C.7.6.16, C.7.4.1)."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from stepwedge.checks.check import Candidate, Look, Question, check, only
from stepwedge.checks.difference import Difference
from stepwedge.checks.stored import DOORS, chosen, made, object_by_object, retrieved, study_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from stepwedge.actors.asking import Retrieved
    from stepwedge.wire.elements import Elements

VECTORS: Final = (
    # Frame Increment Pointers of NM (PS3.3 C.8.4.8): one value for each frame
    "EnergyWindowVector",
    "DetectorVector",
    "PhaseVector",
    "RotationVector",
    "RRIntervalVector",
    "TimeSlotVector",
    "SliceVector",
    "AngularViewVector",
    "TimeSliceVector",
)
_MILLIMETRE: Final = 0.01
"""Distance by which slices may be uneven."""


@check(
    "images.frames",
    says="every object holds as many frames as were acquired, and says so of each",
    ihe="RAD-16",
    observes="wire",
    place="from",
    doors=DOORS,
    where=only("images"),
    chosen_by=("images",),
)
def frames(question: Question) -> Look:
    """Take the study to the probe and compare the frames of every acquired object with what the scanner performed."""
    images = question.where["images"]
    study = study_of(images)
    if not study or not made(images):
        return Look(unsure="no image was acquired, so no frame can be missing")

    def judged(door: str, said: Mapping[str, Any], held: Retrieved) -> Iterator[Difference]:
        for found in whole(held.header, int(said.get("frames") or 1)):
            yield found.below(door)

    return object_by_object(question, study, "objects, frame by frame", judged)


def whole(header: Elements, wanted: int) -> Iterator[Difference]:
    """Yield what contradicts ``wanted`` frames: the number, the functional groups, the vectors, the stack."""
    label = f"image {header.get('SOPInstanceUID', '')}"
    if int(header.get("NumberOfFrames") or 1) != wanted:
        yield Difference(f"{label}: NumberOfFrames", str(wanted), str(header.get("NumberOfFrames", "none")))
    if (groups := header.get("PerFrameFunctionalGroupsSequence")) is not None:
        if len(groups) != wanted:
            yield Difference(
                f"{label}: PerFrameFunctionalGroupsSequence", f"{wanted} items", f"{len(groups)}"
            )
        yield from _stack(label, groups)
    for name in VECTORS:
        if name in header:
            values = header[name] if isinstance(header[name], list) else [header[name]]
            if len(values) != wanted:
                yield Difference(f"{label}: {name}", f"{wanted} values", str(len(values)))


def _stack(label: str, groups: Sequence[Elements]) -> Iterator[Difference]:
    """Yield where the stack is uneven: a place taken twice, or slices at uneven distance (PS3.3 C.7.6.16.2.2, .3)."""
    places = [tuple(_first(one, "FrameContentSequence").get("DimensionIndexValues") or ()) for one in groups]
    if len(set(places)) != len(places):
        yield Difference(f"{label}: DimensionIndexValues", "each place in the stack once", "a place twice")
    depths = [
        float(position.split("\\")[2])
        for one in groups
        if (position := str(_first(one, "PlanePositionSequence").get("ImagePositionPatient") or ""))
    ]
    steps = [after - before for before, after in pairwise(depths)]
    if steps and max(steps) - min(steps) > _MILLIMETRE:
        found = f"{min(steps):g} to {max(steps):g} mm"
        yield Difference(f"{label}: distance of frames", "the same between all", found)


def _first(group: Elements, name: str) -> Elements:
    items: list[Any] = group.get(name) or [{}]
    first: Elements = items[0]
    return first


@check(
    "images.aligned",
    says="series of one patient position share study and frame of reference",
    ihe="RAD-16",
    observes="wire",
    place="from",
    doors=DOORS,
    where=only("images"),
    chosen_by=("images",),
)
def aligned(question: Question) -> Look:
    """Take the study to the probe; all acquired images must come back in one frame of reference (PS3.3 C.7.4.1)."""
    images = question.where["images"]
    study = study_of(images)
    if not made(images):
        return Look(unsure="no image was acquired, so none can be aligned")
    if not study:
        return Look([], [Difference("Study Instance UID", "one for all series", "several")], seen=1)
    differences: list[Difference] = []
    shown: dict[str, set[str]] = {}
    for door, objects in retrieved(question, study):
        there = chosen(objects, images)
        missing = [one["sop"] for one in made(images) if one["sop"] not in there]
        differences += [Difference(f"{door}: image {sop}", "comes back", "did not") for sop in missing]
        for held in there.values():
            frame = str(held.header.get("FrameOfReferenceUID") or "none")
            shown.setdefault(frame, set()).add(str(held.header.get("Modality") or ""))
    if len(shown) > 1 or "none" in shown:
        found = "; ".join(f"{', '.join(sorted(kinds))} in {frame}" for frame, kinds in sorted(shown.items()))
        differences.append(Difference("Frame of Reference UID", "one for all series", found))
    label = f"{len(made(images))} images in {len(shown)} frames of reference"
    return Look([] if differences else [Candidate(label, sorted(shown))], differences, label, len(shown))
