"""Nuclear medicine: NM (PS3.3 A.5), several views in one object, and PT (A.21), slices of activity."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from .modules import Iod, code, image_plane, multi_frame, spacing

if TYPE_CHECKING:
    from datetime import datetime

    from .recipe import Recipe

_ORIENTATION: Final[dict[str, Any]] = {
    # NM/PET Patient Orientation (PS3.3 C.8.4.6): lying on the back, head first
    "PatientOrientationCodeSequence": code(
        "102538003",
        "recumbent",
        PatientOrientationModifierCodeSequence=code("40199007", "supine"),
    ),
    "PatientGantryRelationshipCodeSequence": code("102540008", "headfirst"),
}


def _views(shape: Recipe, _: int, __: datetime) -> dict[str, Any]:
    """Return the NM modules (PS3.3 C.8.4): one energy window, one detector per frame, and the vectors that say so."""
    return {
        **_ORIENTATION,
        **multi_frame(shape, "00540010", "00540020"),
        "ImageType": "ORIGINAL\\PRIMARY\\STATIC\\EMISSION",
        "PixelSpacing": spacing(shape),
        "CountsAccumulated": "100000",
        "ActualFrameDuration": "120000",
        "EnergyWindowVector": [1] * shape.frames,
        "NumberOfEnergyWindows": 1,
        "DetectorVector": list(range(1, shape.frames + 1)),
        "NumberOfDetectors": shape.frames,
        "EnergyWindowInformationSequence": [
            {
                "EnergyWindowRangeSequence": [
                    {"EnergyWindowLowerLimit": "126", "EnergyWindowUpperLimit": "154"}
                ],
                "EnergyWindowName": "Tc99m",
            }
        ],
        "RadiopharmaceuticalInformationSequence": [
            {"RadionuclideCodeSequence": code("72454003", "^99m^Technetium")}
        ],
        "DetectorInformationSequence": [
            {
                "CollimatorType": "PARA",
                "ImagePositionPatient": "0\\0\\0",
                "ImageOrientationPatient": "1\\0\\0\\0\\0\\-1" if detector % 2 == 0 else "-1\\0\\0\\0\\0\\-1",
            }
            for detector in range(shape.frames)
        ],
    }


def _activity(shape: Recipe, number: int, at: datetime) -> dict[str, Any]:
    """Return the PET modules (PS3.3 C.8.9): activity at the start of the scan, two slices to a bed position."""
    bed = (number - 1) // _SLICES_PER_BED
    scanned = at + timedelta(seconds=bed * _BED_SECONDS)
    reference = bed * _BED_SECONDS + _average(_BED_SECONDS)
    injected = at - timedelta(minutes=UPTAKE_MINUTES)
    return {
        **_ORIENTATION,
        **image_plane(shape, number),
        "AcquisitionDate": f"{scanned:%Y%m%d}",
        "AcquisitionTime": f"{scanned:%H%M%S}",
        "ImageType": "ORIGINAL\\PRIMARY",
        "SeriesType": "WHOLE BODY\\IMAGE",
        "Units": "BQML",
        "CountsSource": "EMISSION",
        "DecayCorrection": "START",
        "CorrectedImage": "DECY\\ATTN\\SCAT\\RAN\\DTIM\\NORM",
        "AttenuationCorrectionMethod": "CT",
        "ScatterCorrectionMethod": "model based",
        "RandomsCorrectionMethod": "DLYD",
        "CollimatorType": "NONE",
        "NumberOfSlices": 64,
        "FrameReferenceTime": f"{reference * 1000:.3f}",
        "ActualFrameDuration": str(_BED_SECONDS * 1000),
        "DecayFactor": f"{math.exp(_DECAY * reference):.8g}",
        "ImageIndex": number,
        "RescaleIntercept": "0",
        "RescaleSlope": "4",
        "RadiopharmaceuticalInformationSequence": [
            {
                "Radiopharmaceutical": "Fluorodeoxyglucose F^18^",
                "RadiopharmaceuticalStartDateTime": f"{injected:%Y%m%d%H%M%S}",
                "RadiopharmaceuticalStartTime": f"{injected:%H%M%S}",
                "RadionuclideTotalDose": "350000000",
                "RadionuclideHalfLife": f"{_HALF_LIFE:g}",
                "RadionuclidePositronFraction": "0.9673",
                "RadionuclideCodeSequence": code("77004003", "^18^Fluorine"),
            }
        ],
    }


def _average(seconds: float) -> float:
    """Return when in a bed position the decaying activity has its average, in seconds from its start (PS3.3 C.8.9.4)."""
    return math.log(_DECAY * seconds / (1 - math.exp(-_DECAY * seconds))) / _DECAY


_HALF_LIFE: Final = 6586.2
"""Of fluorine 18, in seconds."""
_DECAY: Final = math.log(2) / _HALF_LIFE
_BED_SECONDS: Final = 180
_SLICES_PER_BED: Final = 2
UPTAKE_MINUTES: Final = 60
"""From injection to scan."""
_COUNTS: Final = (2, 60, 90, 130, 180, 240, 320, 420, 560, 800)
NM: Final = Iod("NM", "1.2.840.10008.5.1.4.1.1.20", _COUNTS, 2, _views, 16)
PT: Final = Iod("PT", "1.2.840.10008.5.1.4.1.1.128", _COUNTS, 2, _activity, 16, framed=True)
