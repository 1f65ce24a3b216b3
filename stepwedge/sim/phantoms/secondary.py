"""Secondary Capture (PS3.3 A.8): a screen of the console, such as the dose screen of a scanner."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .modules import Iod

if TYPE_CHECKING:
    from datetime import datetime

    from .recipe import Recipe


def _screen(_: Recipe, __: int, at: datetime) -> dict[str, Any]:
    """Return SC Equipment and SC Image (PS3.3 C.8.6)."""
    return {
        "ConversionType": "WSD",
        "ImageType": "DERIVED\\SECONDARY\\SCREEN SAVE",
        "PatientOrientation": "",
        "DateOfSecondaryCapture": f"{at:%Y%m%d}",
        "TimeOfSecondaryCapture": f"{at:%H%M%S}",
        "BurnedInAnnotation": "YES",
    }


SC: Final = Iod(
    "CT", "1.2.840.10008.5.1.4.1.1.7", (0, 30, 60, 90, 120, 150, 180, 210, 230, 250), 2, _screen, 8
)
