"""Whether the radiologist sees what was acquired: order, edges, side, window, grey scale, and what is missing.

What must be shown is worked out here from the study as the archive hands it to the probe, not by the workstation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from stepwedge.actors import asking
from stepwedge.checks.acquired import acquired, study_of
from stepwedge.checks.check import Candidate, Look, Parameter, Question, check, only
from stepwedge.checks.difference import Difference
from stepwedge.errors import Broken

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from stepwedge.actors.asking import Retrieved
    from stepwedge.actors.cast import Cast

MISSING: Final = Parameter(
    "missing", "number", says="slices that are not in the study; the workstation must say so"
)
_TO_PATIENT: Final = {0: "LR", 1: "PA", 2: "HF"}
"""PS3.3 C.7.6.2.1.1: the axes point to the left, to the back and to the head."""


@check(
    "reading.display",
    says="the screen shows the study as it was acquired",
    ihe="RAD-16",
    observes="wire",
    place="at",
    where=only("images", "study"),
    takes=(MISSING,),
    chosen_by=("images",),
)
def display(question: Question) -> Look:
    """Let the workstation open the study, take it with the probe too, and compare the screens with the objects."""
    images = question.where["images"]
    source = acquired(images)
    study = str(question.where.get("study") or study_of(images))
    if not source or not study:
        return Look(unsure="no image was acquired, so none can be shown")
    reader = question.cast[question.at]
    case = {"id": question.case.id, "seed": question.case.seed}
    opened = reader.act("open_study", {"study": study}, case)
    objects = [one for one in _taken(question.cast, study) if one.pixels]
    if not objects:
        return Look(differences=[Difference(f"study {study}", "images", "none")])
    differences = list(_compared(opened.get("screens") or [], objects, source))
    warned = sum(int(screen.get("missing") or 0) for screen in opened.get("screens") or [])
    wanted = int(question.args.get("missing") or 0)
    if warned != wanted:
        differences.append(Difference("slices missing, as the screen says", str(wanted), str(warned)))
    label = f"{len(objects)} images in {len(opened.get('screens') or [])} series"
    return Look([] if differences else [Candidate(label, opened)], differences, label, len(objects))


def _taken(cast: Cast, study: str) -> list[Retrieved]:
    pacs = next((player for player in cast if player.role == "pacs"), None)
    if pacs is None:
        raise Broken("no actor of this lab is an archive, so nothing can be compared with the screen")
    return asking.retrieve(cast, pacs.name, "wado-rs" if pacs.address.web else "c-get", study)


def _compared(
    screens: Sequence[Mapping[str, Any]], objects: Sequence[Retrieved], source: Mapping[str, str]
) -> Iterator[Difference]:
    by_series: dict[str, list[Retrieved]] = {}
    for one in objects:
        by_series.setdefault(str(one.header.get("SeriesInstanceUID", "")), []).append(one)
    shown = {str(screen["series"]): screen for screen in screens}
    for uid in sorted(set(by_series) | set(shown)):
        if uid not in shown or uid not in by_series:
            found = "not shown" if uid in by_series else "shown"
            yield Difference(f"series {uid}", "shown" if uid in by_series else "not in the study", found)
            continue
        yield from _of_series(f"series {uid[-12:]}", shown[uid], by_series[uid], source)


def _of_series(
    label: str, screen: Mapping[str, Any], objects: Sequence[Retrieved], source: Mapping[str, str]
) -> Iterator[Difference]:
    first = objects[0].header
    order = [one.sop for one in sorted(objects, key=lambda one: (_along(one.header), one.sop))]
    if screen.get("order") not in (order, order[::-1]):
        yield Difference(f"{label}: order of the slices", "by position along the normal", "another")
    for sop, pixels in (screen.get("pixels") or {}).items():
        if source.get(sop) not in {None, pixels}:
            yield Difference(f"{label}: image {sop} pixels", "as acquired", "changed")
    right, bottom = _edges(first)
    inverted = first.get("PhotometricInterpretation") == "MONOCHROME1" or (
        first.get("PresentationLUTShape") == "INVERSE"
    )
    for name, wanted in {
        "count": len(objects),
        "right": right,
        "left": "".join(_opposite(letter) for letter in right),
        "bottom": bottom,
        "top": "".join(_opposite(letter) for letter in bottom),
        "laterality": str(first.get("ImageLaterality") or first.get("Laterality") or ""),
        "center": _head(first, "WindowCenter"),
        "width": _head(first, "WindowWidth"),
        "inverted": inverted,
    }.items():
        if screen.get(name) != wanted:
            yield Difference(f"{label}: {name}", str(wanted), str(screen.get(name)))


def _vector(header: Mapping[str, Any], keyword: str) -> list[float]:
    text = str(header.get(keyword) or "")
    return [float(part) for part in text.split("\\")] if text else []


def _along(header: Mapping[str, Any]) -> float:
    """Return the distance of a slice from the origin along its normal, in millimetres; its number without geometry."""
    axes, place = _vector(header, "ImageOrientationPatient"), _vector(header, "ImagePositionPatient")
    if not axes or not place:
        return float(header.get("InstanceNumber") or 0)
    (a, b, c), (d, e, f) = axes[:3], axes[3:]
    return place[0] * (b * f - c * e) + place[1] * (c * d - a * f) + place[2] * (a * e - b * d)


def _edges(header: Mapping[str, Any]) -> tuple[str, str]:
    """Return the letters at the right and the bottom edge: where rows and columns lead (PS3.3 C.7.6.1.1.1)."""
    if axes := _vector(header, "ImageOrientationPatient"):
        return _letters(axes[:3]), _letters(axes[3:])
    right, _, bottom = str(header.get("PatientOrientation") or "").partition("\\")
    return right, bottom


def _letters(direction: Sequence[float]) -> str:
    strong = [(abs(size), axis, size < 0) for axis, size in enumerate(direction) if abs(size) > 0.1]  # noqa: PLR2004 - a slant below is not labelled
    return "".join(
        _TO_PATIENT[axis][negative] for _, axis, negative in sorted(strong, key=lambda one: -one[0])
    )


def _opposite(letter: str) -> str:
    return next((pair[pair[0] == letter] for pair in _TO_PATIENT.values() if letter in pair), letter)


def _head(header: Mapping[str, Any], keyword: str) -> str:
    return str(header.get(keyword) or "").partition("\\")[0]
