"""CT Image (PS3.3 A.3), in Hounsfield units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .modules import Iod, image_plane

if TYPE_CHECKING:
    from datetime import datetime

    from .recipe import Recipe

CT_IMAGE_STORAGE: Final = "1.2.840.10008.5.1.4.1.1.2"
RESCALE_INTERCEPT: Final = -1024
AIR, WATER = -1000, 0
WEDGE: Final = (-800, -400, -100, 40, 120, 300, 600, 1000)
"""Hounsfield units of the eight steps, from lung to dense bone."""
NOISE: Final = 12


def _modules(shape: Recipe, number: int, _: datetime) -> dict[str, Any]:
    return image_plane(shape, number) | {
        "ImageType": "ORIGINAL\\PRIMARY\\AXIAL",
        "PatientPosition": "HFS",
        "RescaleIntercept": str(RESCALE_INTERCEPT),
        "RescaleSlope": "1",
        "RescaleType": "HU",
        "WindowCenter": "40",
        "WindowWidth": "400",
    }


CT: Final = Iod(
    "CT",
    CT_IMAGE_STORAGE,
    [units - RESCALE_INTERCEPT for units in (AIR, WATER, *WEDGE)],
    NOISE,
    _modules,
    framed=True,
)
