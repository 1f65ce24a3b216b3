"""X-Ray runs: angiography (XA, PS3.3 A.14) and radiofluoroscopy (RF, A.16)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .modules import Iod, cine

if TYPE_CHECKING:
    from datetime import datetime

    from .recipe import Recipe

_VALUES: Final = (1000, 700, 640, 580, 520, 460, 380, 300, 200, 90)


def _x_ray(shape: Recipe, _: int, __: datetime) -> dict[str, Any]:
    """Return X-Ray Image and X-Ray Acquisition (PS3.3 C.8.7.1, C.8.7.2); a run of several frames is a cine of 15 a second."""
    return {
        "ImageType": "ORIGINAL\\PRIMARY\\SINGLE PLANE",
        "PatientOrientation": "",
        "PixelIntensityRelationship": "LIN",
        "LossyImageCompression": "00",
        "RadiationSetting": "GR" if shape.frames > 1 else "SC",
        "KVP": "75",
        "ExposureTime": "10",
        "XRayTubeCurrent": "200",
        "WindowCenter": "512",
        "WindowWidth": "1024",
        **(cine(shape, 66) if shape.frames > 1 else {}),
    }


def _angiogram(shape: Recipe, number: int, at: datetime) -> dict[str, Any]:
    """Return XA Positioner beside them (PS3.3 C.8.7.5)."""
    return _x_ray(shape, number, at) | {
        "PositionerMotion": "STATIC",
        "PositionerPrimaryAngle": "30",
        "PositionerSecondaryAngle": "0",
    }


XA: Final = Iod("XA", "1.2.840.10008.5.1.4.1.1.12.1", _VALUES, 6, _angiogram, 10)
RF: Final = Iod("RF", "1.2.840.10008.5.1.4.1.1.12.2", _VALUES, 6, _x_ray, 10)
