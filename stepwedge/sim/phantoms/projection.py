"""Projection radiographs: CR (PS3.3 A.2), DX (A.26) and MG (A.27), the latter two for presentation and for processing."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from .modules import Iod, code, spacing

if TYPE_CHECKING:
    from datetime import datetime

    from .recipe import Recipe

FOR_PRESENTATION, FOR_PROCESSING = "FOR PRESENTATION", "FOR PROCESSING"
_VALUES: Final = (60, 700, 1000, 1300, 1600, 1900, 2300, 2700, 3200, 3800)


def _computed(shape: Recipe, _: int, __: datetime) -> dict[str, Any]:
    return {
        "ImageType": "ORIGINAL\\PRIMARY",
        "ImagerPixelSpacing": spacing(shape),
        "WindowCenter": "2048",
        "WindowWidth": "4096",
    }


def _digital(intent: str, shape: Recipe, _: int, at: datetime) -> dict[str, Any]:
    """Return the modules of DX and MG: DX Series, DX Image, DX Detector, Acquisition Context (PS3.3 C.8.11)."""
    shown = intent == FOR_PRESENTATION
    return {
        "ImageType": f"{'DERIVED' if shown else 'ORIGINAL'}\\PRIMARY\\",
        "PresentationIntentType": intent,
        "AcquisitionDateTime": f"{at:%Y%m%d%H%M%S}",
        "ImagerPixelSpacing": spacing(shape),
        "DetectorType": "DIRECT",
        "PixelIntensityRelationship": "LOG" if shown else "LIN",
        "PixelIntensityRelationshipSign": -1 if shown else 1,
        "RescaleIntercept": "0",
        "RescaleSlope": "1",
        "RescaleType": "US",
        "LossyImageCompression": "00",
        "BurnedInAnnotation": "NO",
        "AcquisitionContextSequence": [],
        "PresentationLUTShape": "IDENTITY",
        "PositionerType": "NONE",
        **({"WindowCenter": "2048", "WindowWidth": "4096"} if shown else {}),
    }


def _mammographic(intent: str, shape: Recipe, number: int, at: datetime) -> dict[str, Any]:
    """Return Mammography Image beside the modules of DX (PS3.3 C.8.11.7)."""
    return _digital(intent, shape, number, at) | {
        "PositionerType": "MAMMOGRAPHIC",
        "OrganExposed": "BREAST",
        "BreastImplantPresent": "NO",
        "AnatomicRegionSequence": code("76752008", "Breast"),
    }


CR: Final = Iod("CR", "1.2.840.10008.5.1.4.1.1.1", _VALUES, 20, _computed)
DX: Final = Iod("DX", "1.2.840.10008.5.1.4.1.1.1.1", _VALUES, 20, partial(_digital, FOR_PRESENTATION))
DX_RAW: Final = Iod("DX", "1.2.840.10008.5.1.4.1.1.1.1.1", _VALUES, 20, partial(_digital, FOR_PROCESSING))
MG: Final = Iod("MG", "1.2.840.10008.5.1.4.1.1.1.2", _VALUES, 20, partial(_mammographic, FOR_PRESENTATION))
