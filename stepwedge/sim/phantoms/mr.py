"""MR Image (PS3.3 A.4), spin echo or gradient echo as the recipe says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .modules import Iod, image_plane

if TYPE_CHECKING:
    from datetime import datetime

    from .recipe import Recipe


def _modules(shape: Recipe, number: int, _: datetime) -> dict[str, Any]:
    return image_plane(shape, number) | {
        "ImageType": "ORIGINAL\\PRIMARY\\OTHER",
        "PatientPosition": "HFS",
        "MRAcquisitionType": "2D",
        "MagneticFieldStrength": "1.5",
        "EchoTrainLength": "1",
        "SpacingBetweenSlices": f"{shape.slice_thickness:g}",
        "WindowCenter": "600",
        "WindowWidth": "1200",
    }


MR: Final = Iod(
    "MR",
    "1.2.840.10008.5.1.4.1.1.4",
    [8, 500, 100, 220, 340, 460, 640, 780, 900, 1100],
    8,
    _modules,
    framed=True,
)
