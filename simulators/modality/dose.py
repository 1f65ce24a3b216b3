"""What a device knows of the radiation it gave: its irradiation events, their sums, and what MPPS says of them. Pure.

The numbers are a phantom's, the same for the same acquisition, and no two events of an exam are alike.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from stepwedge.sim.phantoms import Recipe

Elements = dict[str, Any]
KIND: Final = {
    # what gives radiation, by the object it makes; a for-processing image is of the same exposure as the one shown
    "ct": "ct",
    "enhanced-ct": "ct",
    "cr": "projection",
    "dx": "projection",
    "xa": "projection",
    "rf": "projection",
    "mg": "mammography",
    "tomosynthesis": "mammography",
}
SIDES: Final = ("R", "L", "R", "L")
"""Breasts in the order of the phantom's views."""
_AREA: Final = 1e5  # Gy.m2 to dGy.cm2
_FRAME_SECONDS: Final = 0.066


@dataclass(frozen=True, slots=True)
class Exposure:
    """One irradiation event (PS3.16 TID 10003, 10013).

    Attributes:
        exam: the performed step; ``series`` and ``images`` are where it lies and the (SOP class, instance) pairs it made.
        kind: ``ct``, ``projection`` or ``mammography``.
        started: ``YYYYMMDDHHMMSS``.
        current: tube current in mA; ``milliseconds`` how long it flowed.
        dose: what is summed: DLP in mGy.cm, dose area product in Gy.m2, or average glandular dose in mGy.
        local: what is not: CTDIvol in mGy, or dose at the reference point in Gy.
        length: scanned length in mm.
        fluoroscopy: seconds of fluoroscopy.
    """

    uid: str
    exam: str
    series: str
    kind: str
    started: str
    region: str
    protocol: str
    kvp: int
    current: int
    milliseconds: int
    dose: float
    local: float = 0.0
    length: float = 0.0
    fluoroscopy: float = 0.0
    frames: int = 1
    side: str = ""
    images: tuple[tuple[str, str], ...] = ()


def exposures(
    shape: Recipe,
    exam: str,
    series: str,
    at: datetime,
    uids: Sequence[str],
    images: Sequence[tuple[str, str]],
    earlier: int,
) -> list[Exposure]:
    """Return the events of one acquisition: a CT scan is one, each radiograph or run is one of its own.

    Args:
        shape: what was acquired.
        exam: UID of the performed step.
        series: Series Instance UID of the images.
        at: when it began.
        uids: a UID for each image; a scan takes the first.
        images: (SOP class, instance) of each image.
        earlier: events the exam already has.
    """
    kind = KIND.get(shape.iod, "")
    if not kind:
        return []
    first = Exposure(
        uids[0],
        exam,
        series,
        kind,
        f"{at:%Y%m%d%H%M%S}",
        shape.body_part,
        shape.protocol,
        120,
        200,
        4000,
        0.0,
    )
    if kind == "ct":
        index = 8.0 + 0.25 * earlier
        length = shape.slice_thickness * shape.frames * len(images)
        dose = round(index * length / 10, 4)
        return [replace(first, dose=dose, local=index, length=length, images=tuple(images))]
    event = _compressed if kind == "mammography" else partial(_projected, shape)
    return [
        event(replace(first, uid=uid, images=(image,)), earlier + number)
        for number, (uid, image) in enumerate(zip(uids, images, strict=True))
    ]


def _compressed(event: Exposure, place: int) -> Exposure:
    """Return a mammographic exposure."""
    dose, side = round(1.2 + 0.05 * place, 4), SIDES[place % len(SIDES)]
    return replace(event, kvp=29, current=120, milliseconds=480, dose=dose, side=side)


def _projected(shape: Recipe, event: Exposure, place: int) -> Exposure:
    """Return a radiograph, or a run; only radiofluoroscopy runs are fluoroscopy."""
    dose = round((1.5 + 0.25 * place) * shape.frames * 1e-5, 8)
    return replace(
        event,
        kvp=75,
        milliseconds=10 * shape.frames,
        dose=dose,
        local=round(dose * 40, 8),
        frames=shape.frames,
        fluoroscopy=round(shape.frames * _FRAME_SECONDS, 3) if shape.iod == "rf" else 0.0,
    )


def decimal(value: float) -> str:
    """Return a Decimal String of at most eight significant digits."""
    return f"{value:.8g}"


def performed(given: Sequence[Exposure]) -> Elements:
    """Return the radiation dose of a performed step (PS3.3 C.4.16, PS3.4 table F.7.2-1).

    MPPS has no attribute for a dose length product or a glandular dose; devices write them into Comments on Radiation Dose.
    """
    if not given:
        return {}
    total = sum(one.dose for one in given)
    told: Elements = {
        "TotalNumberOfExposures": len(given),
        "ExposureDoseSequence": [_given(one) for one in given],
    }
    if (kind := given[0].kind) == "projection":
        told["ImageAndFluoroscopyAreaDoseProduct"] = decimal(total * _AREA)
        told["TotalTimeOfFluoroscopy"] = round(sum(one.fluoroscopy for one in given))
    else:
        told["CommentsOnRadiationDose"] = f"{_NAMES[kind]}={decimal(total)} {_UNITS[kind]}"
    return told


_NAMES: Final = {"ct": "TotalDLP", "mammography": "TotalAGD"}
_UNITS: Final = {"ct": "mGy.cm", "mammography": "mGy"}


def _given(one: Exposure) -> Elements:
    return {
        "RadiationMode": "PULSED" if one.frames > 1 else "CONTINUOUS",
        "KVP": str(one.kvp),
        "XRayTubeCurrentInuA": str(one.current * 1000),
        "ExposureTime": str(one.milliseconds),
        "FilterType": "FLAT",
        "FilterMaterial": "ALUMINUM",
    }
