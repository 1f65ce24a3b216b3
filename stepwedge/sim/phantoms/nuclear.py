"""Nuclear medicine: NM (PS3.3 A.5), several views in one object, and PT (A.21), slices of activity."""

from __future__ import annotations

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
    """Return the PET modules (PS3.3 C.8.9)."""
    date, time = f"{at:%Y%m%d}", f"{at:%H%M%S}"
    return {
        **_ORIENTATION,
        **image_plane(shape, number),
        "ImageType": "ORIGINAL\\PRIMARY",
        "SeriesType": "STATIC\\IMAGE",
        "Units": "BQML",
        "CountsSource": "EMISSION",
        "DecayCorrection": "START",
        "CorrectedImage": "DECY\\ATTN",
        "CollimatorType": "NONE",
        "NumberOfSlices": 64,
        "FrameReferenceTime": "0",
        "ActualFrameDuration": "180000",
        "DecayFactor": "1",
        "ImageIndex": number,
        "RescaleIntercept": "0",
        "RescaleSlope": "4",
        "RadiopharmaceuticalInformationSequence": [
            {
                "Radiopharmaceutical": "Fluorodeoxyglucose F^18^",
                "RadiopharmaceuticalStartDateTime": f"{date}{time}",
                "RadiopharmaceuticalStartTime": time,
                "RadionuclideTotalDose": "350000000",
                "RadionuclideHalfLife": "6586.2",
                "RadionuclidePositronFraction": "0.9673",
                "RadionuclideCodeSequence": code("77004003", "^18^Fluorine"),
            }
        ],
    }


_COUNTS: Final = (2, 60, 90, 130, 180, 240, 320, 420, 560, 800)
NM: Final = Iod("NM", "1.2.840.10008.5.1.4.1.1.20", _COUNTS, 2, _views, 16)
PT: Final = Iod("PT", "1.2.840.10008.5.1.4.1.1.128", _COUNTS, 2, _activity, 16, framed=True)
