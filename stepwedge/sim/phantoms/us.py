"""Ultrasound: a colour still (PS3.3 A.6) and a colour cine (A.7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .modules import Iod, cine

if TYPE_CHECKING:
    from datetime import datetime

    from .recipe import Recipe

_RGB: Final = (
    (0, 40, 60, 90, 120, 150, 180, 210, 230, 250),
    (0, 40, 60, 80, 100, 90, 80, 60, 40, 20),
    (0, 60, 200, 170, 140, 110, 80, 60, 40, 20),
)
"""Colour flow: blue away from the probe, red towards it; no two planes alike."""


CENTIMETRES: Final = 3
"""Physical units of a region (PS3.3 C.8.5.5)."""


def _still(shape: Recipe, _: int, __: datetime) -> dict[str, Any]:
    """Return US Image and US Region Calibration (PS3.3 C.8.5.6, C.8.5.5): the whole image is one region of tissue."""
    return {
        "SequenceOfUltrasoundRegions": [
            {
                "RegionSpatialFormat": 1,
                "RegionDataType": 1,
                "RegionFlags": 0,
                "RegionLocationMinX0": 0,
                "RegionLocationMinY0": 0,
                "RegionLocationMaxX1": shape.columns - 1,
                "RegionLocationMaxY1": shape.rows - 1,
                "PhysicalUnitsXDirection": CENTIMETRES,
                "PhysicalUnitsYDirection": CENTIMETRES,
                "PhysicalDeltaX": shape.pixel_spacing / 10,
                "PhysicalDeltaY": shape.pixel_spacing / 10,
            }
        ],
        "ImageType": "ORIGINAL\\PRIMARY\\ABDOMINAL\\0011",
        "PatientOrientation": "",
        "LossyImageCompression": "00",
    }


def _run(shape: Recipe, number: int, at: datetime) -> dict[str, Any]:
    return _still(shape, number, at) | cine(shape, 40)


US: Final = Iod("US", "1.2.840.10008.5.1.4.1.1.6.1", _RGB, 5, _still, 8, "RGB")
US_CINE: Final = Iod("US", "1.2.840.10008.5.1.4.1.1.3.1", _RGB, 5, _run, 8, "RGB")
