"""What images show and say when they are opened: headers, frames, rendered pictures (PS3.18 section 10.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from stepwedge.actors import asking, asking_web
from stepwedge.actors.words import Parameter
from stepwedge.checks import matchers
from stepwedge.checks.acquired import acquired, study_of
from stepwedge.checks.check import KEYWORDS, Candidate, Look, Question, check, only
from stepwedge.checks.difference import Difference
from stepwedge.errors import Broken
from stepwedge.wire import pixels, png
from stepwedge.wire.elements import EXPLICIT_LE
from stepwedge.wire.http_blocking import HttpRefused

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from stepwedge.wire.elements import Elements

LOOKED_AT: Final = 3
"""Images of a series that are rendered or taken apart; the others are made the same way."""
TOLERANCE: Final = 1
"""Grey levels of 256 by which a rendered pixel may differ: a renderer may round where it wants."""
NOT_FOUND: Final = 404


@check(
    "images.say",
    says="every image that is opened says so in its header",
    ihe="RAD-16",
    observes="wire",
    place="from",
    doors={"wado-rs": "wado-rs", "c-get": "c-get"},
    where=only("images", "study"),
    is_=KEYWORDS,
    chosen_by=("images", "study"),
)
def say(question: Question) -> Look:
    """Open the study through every door; the header of each instance must be as expected."""
    study = str(question.where.get("study") or study_of(question.where.get("images")))
    expected = sorted(acquired(question.where.get("images") or []))
    matched: list[Candidate] = []
    differences: list[Difference] = []
    for door in question.through or ("wado-rs",):
        back = asking.retrieve(question.cast, question.from_, door, study)
        if not back or (expected and sorted(one.sop for one in back) != expected):
            differences.append(Difference(f"{door}: images", str(len(expected) or "some"), str(len(back))))
        for one in back:
            found = matchers.compare("", question.is_ or {}, _readable(one.header))
            differences += [each.below(f"{door}: image {one.sop}") for each in found]
            if not found:
                matched.append(Candidate(f"image {one.sop}", one.header))
    return Look([] if differences else matched, differences, seen=len(matched))


def _readable(header: Elements) -> Elements:
    """Return the header with bytes of unknown meaning (UN, private elements) as the text they may be, without padding."""
    return {
        key: value.decode(errors="replace").rstrip(" \0") if isinstance(value, bytes) else value
        for key, value in header.items()
    }


@check(
    "frames.intact",
    says="every frame comes under its own number",
    ihe="RAD-16",
    observes="wire",
    place="from",
    doors={"wado-rs": "wado-rs"},
    where=only("images"),
    chosen_by=("images",),
)
def frames(question: Question) -> Look:
    """Ask for the last frame, then the first, and for one too many, which must be refused as not found."""
    differences: list[Difference] = []
    seen = 0
    for place, elements in _opened(question):
        whole, _ = pixels.native(elements, EXPLICIT_LE)
        wanted = [len(whole), 1]
        given = asking_web.frames(question.cast, question.from_, place, wanted)
        for number, frame in zip(wanted, given, strict=True):
            seen += 1
            if frame != whole[number - 1]:
                other = next(
                    (str(at) for at, one in enumerate(whole, 1) if one == frame), "none of the image"
                )
                differences.append(
                    Difference(f"image {place[2]} frame {number}", f"frame {number}", f"frame {other}")
                )
        try:
            asking_web.frames(question.cast, question.from_, place, [len(whole) + 1])
        except HttpRefused as refused:
            if refused.status != NOT_FOUND:
                differences.append(
                    Difference("a frame that is not there", "HTTP 404", f"HTTP {refused.status}")
                )
        else:
            differences.append(Difference("a frame that is not there", "HTTP 404", "a frame"))
    return _judged("frames", seen, differences)


@check(
    "images.rendered",
    says="the rendered image shows the window that was asked for",
    ihe="RAD-16",
    observes="wire",
    place="from",
    doors={"wado-rs": "wado-rs"},
    where=only("images"),
    chosen_by=("images",),
    takes=(
        Parameter("center", "number", required=True, says="window center, after the modality LUT"),
        Parameter("width", "number", required=True, says="window width"),
    ),
    requires=("wado-rendered",),
)
def rendered(question: Question) -> Look:
    """Compare the rendered picture, pixel by pixel, with the acquired values under the same window."""
    center, width = float(question.args["center"]), float(question.args["width"])
    differences: list[Difference] = []
    seen = 0
    for place, elements in _opened(question):
        query = {"window": f"{center:g},{width:g},linear"}
        picture = png.read(asking_web.picture(question.cast, question.from_, place, query))
        seen += 1
        shape = pixels.Shape.of(elements)
        if (picture.width, picture.height) != (shape.columns, shape.rows):
            found = f"{picture.width} x {picture.height}"
            differences.append(Difference(f"image {place[2]} size", f"{shape.columns} x {shape.rows}", found))
            continue
        worst = _farthest(picture, windowed(elements, center, width))
        if worst > TOLERANCE:
            differences.append(
                Difference(
                    f"image {place[2]} grey levels",
                    f"window {center:g}/{width:g} (PS3.3 C.11.2.1.2), within {TOLERANCE}",
                    f"{worst} levels away",
                )
            )
    return _judged("rendered images", seen, differences)


def _judged(what: str, seen: int, differences: list[Difference]) -> Look:
    if not seen:
        return Look(unsure=f"no image was acquired, so there are no {what} to look at")
    found = Candidate(f"{seen} {what}", {"count": seen})
    return Look([] if differences else [found], differences, found.label, seen)


def _opened(question: Question) -> Iterator[tuple[tuple[str, str, str], Elements]]:
    """Yield (study, series, instance) and data set of some images, as they were acquired, or say that they are not."""
    images = question.where["images"]
    source = acquired(images)
    study = study_of(images)
    if source and not study:
        raise Broken("the images say no Study Instance UID, so nothing can be opened")
    if not source:
        return
    for one in asking.opened(question.cast, question.from_, study, limit=LOOKED_AT, wanted=set(source)):
        if pixels.digest(one, EXPLICIT_LE) != source[one["SOPInstanceUID"]]:
            raise Broken(f"image {one['SOPInstanceUID']} is not as it was acquired; images.intact says more")
        yield (study, str(one["SeriesInstanceUID"]), str(one["SOPInstanceUID"])), one


def windowed(elements: Mapping[str, Any], center: float, width: float) -> Any:
    """Return the grey levels (rows, columns) that a linear window makes of the first frame (PS3.3 C.11.2.1.2.1)."""
    import numpy as np

    shape = pixels.Shape.of(dict(elements))
    if shape.samples != 1:
        raise Broken("a window means nothing for a colour image")
    kind = np.dtype(f"<{'i' if shape.signed else 'u'}{shape.allocated // 8}")
    raw = np.frombuffer(elements["PixelData"], kind)[: shape.rows * shape.columns].astype(np.float64)
    slope, intercept = (
        float(elements.get(key) or other) for key, other in (("RescaleSlope", 1), ("RescaleIntercept", 0))
    )
    values = raw * slope + intercept
    levels = ((values - (center - 0.5)) / (width - 1) + 0.5) * 255
    levels[values <= center - 0.5 - (width - 1) / 2] = 0
    levels[values > center - 0.5 + (width - 1) / 2] = 255
    if shape.photometric == "MONOCHROME1":
        levels = 255 - levels
    return levels.reshape(shape.rows, shape.columns)


def _farthest(picture: png.Picture, levels: Any) -> int:
    """Return by how many grey levels the worst pixel is off, rounded down; every sample of a pixel counts."""
    import numpy as np

    shown = np.frombuffer(picture.pixels, "u1").reshape(picture.height, picture.width, picture.samples)
    return int(np.abs(shown.astype(np.float64) - levels[..., None]).max())
