"""What the screen shows of a study: order, edges, side, window, grey scale, and what is missing. Pure.

Positions are millimetres along the normal of the image plane (PS3.3 C.7.6.2.1.1).
"""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .habits import ReaderHabits

Elements = dict[str, Any]

_AXES: Final = (("L", "R"), ("P", "A"), ("H", "F"))
"""Where the axes of the patient coordinate system point, and where not (PS3.3 C.7.6.2.1.1)."""
_SLANT: Final = 0.1
"""Direction cosines below this are not labelled."""
_OPPOSITE: Final = str.maketrans("LRAPHF", "RLPAFH")
_HOLE: Final = 1.5
"""A distance of so many usual distances is a hole."""


def displayed(instances: Sequence[Mapping[str, Any]], habits: ReaderHabits) -> list[Elements]:
    """Return one screen for each series, in the order of series numbers; ``instances`` as ``retrieval.shown`` has them."""
    series: dict[str, list[Mapping[str, Any]]] = {}
    for one in instances:
        if one["pixels"]:
            series.setdefault(str(one["header"].get("SeriesInstanceUID", "")), []).append(one)
    screens = [_screen(uid, images, habits) for uid, images in series.items()]
    return sorted(screens, key=lambda screen: (screen["number"], screen["series"]))


def _screen(uid: str, images: Sequence[Mapping[str, Any]], habits: ReaderHabits) -> Elements:
    first: Elements = images[0]["header"]
    slices = [(_position(one["header"]), str(one["sop"])) for one in images]
    right, bottom = habits.facing(*_directions(first))
    center, width = habits.window(_first(first, "WindowCenter"), _first(first, "WindowWidth"))
    return {
        "series": uid,
        "number": int(first.get("SeriesNumber") or 0),
        "count": len(images),
        "order": habits.arranged(slices),
        "left": right.translate(_OPPOSITE),
        "right": right,
        "top": bottom.translate(_OPPOSITE),
        "bottom": bottom,
        "laterality": habits.side(str(first.get("ImageLaterality") or first.get("Laterality") or "")),
        "center": center,
        "width": width,
        "inverted": habits.inverts(
            str(first.get("PhotometricInterpretation", "")), str(first.get("PresentationLUTShape", ""))
        ),
        "missing": habits.gaps(_holes([position for position, _ in slices])),
        "pixels": {str(one["sop"]): one["pixels"] for one in images},
    }


def _numbers(header: Elements, keyword: str, count: int) -> list[float]:
    try:
        found = [float(part) for part in str(header.get(keyword) or "").split("\\")]
    except ValueError:
        return []
    return found if len(found) == count and all(map(math.isfinite, found)) else []


def _position(header: Elements) -> float:
    """Return where a slice lies; an image without geometry lies where its number says."""
    place, axes = _numbers(header, "ImagePositionPatient", 3), _numbers(header, "ImageOrientationPatient", 6)
    if not place or not axes:
        return float(header.get("InstanceNumber") or 0)
    row, column = axes[:3], axes[3:]
    normal = [
        row[1] * column[2] - row[2] * column[1],
        row[2] * column[0] - row[0] * column[2],
        row[0] * column[1] - row[1] * column[0],
    ]
    return sum(one * two for one, two in zip(normal, place, strict=True))


def _directions(header: Elements) -> tuple[str, str]:
    """Return the letters of the right and the bottom edge."""
    if axes := _numbers(header, "ImageOrientationPatient", 6):
        return _letters(axes[:3]), _letters(axes[3:])
    written = str(header.get("PatientOrientation") or "").split("\\")
    return (written[0], written[1]) if len(written) == 2 else ("", "")  # noqa: PLR2004 - row and column


def _letters(direction: Sequence[float]) -> str:
    order = sorted(range(3), key=lambda axis: -abs(direction[axis]))
    return "".join(_AXES[axis][direction[axis] < 0] for axis in order if abs(direction[axis]) > _SLANT)


def _holes(positions: Sequence[float]) -> int:
    """Return how many slices are missing between others, measured by the usual distance."""
    ordered = sorted(positions)
    distances = [after - before for before, after in pairwise(ordered)]
    if len(distances) < 2 or (usual := median(distances)) <= 0:  # noqa: PLR2004 - one distance is no measure
        return 0
    return sum(round(distance / usual) - 1 for distance in distances if distance > _HOLE * usual)


def _first(header: Elements, keyword: str) -> str:
    return str(header.get(keyword) or "").split("\\", maxsplit=1)[0]
