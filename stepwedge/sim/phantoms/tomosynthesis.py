"""Breast Tomosynthesis (PS3.3 A.55): a compressed breast in slices parallel to the detector."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from . import projection
from .functional import dimensions, groups, transformation, voi
from .modules import Iod, code

if TYPE_CHECKING:
    from datetime import datetime

    from .recipe import Recipe

Elements = dict[str, Any]
_PIXELS: Final = {
    "PixelPresentation": "MONOCHROME",
    "VolumetricProperties": "VOLUME",
    "VolumeBasedCalculationTechnique": "TOMOSYNTHESIS",
}
_CC, _MLO = code("399162004", "cranio-caudal")[0], code("399368009", "medio-lateral oblique")[0]
_VIEWS: Final = (("R", _CC), ("L", _CC), ("R", _MLO), ("L", _MLO))
_EXPOSURE: Final = {"KVP": "29", "XRayTubeCurrentInmA": 120.0, "ExposureTimeInms": 30.0, "ExposureInmAs": 4.0}
_ACQUISITION: Final[Elements] = {
    # PS3.3 C.8.21: an arc of 15 degrees in steps of one
    "FieldOfViewShape": "RECTANGLE",
    "FieldOfViewOrigin": "0\\0",
    "KVP": "29",
    "XRayTubeCurrentInmA": 120.0,
    "ExposureTimeInms": 480.0,
    "ExposureInmAs": 64.0,
    "XRayReceptorType": "DIGITAL_DETECTOR",
    "EstimatedRadiographicMagnificationFactor": "1.1",
    "DistanceSourceToDetector": "650",
    "DistanceSourceToPatient": "600",
    "ExposureControlMode": "AUTOMATIC",
    "ExposureControlModeDescription": "by thickness",
    "AnodeTargetMaterial": "TUNGSTEN",
    "HalfValueLayer": "0.5",
    "FilterType": "FLAT",
    "FilterMaterial": "ALUMINUM",
    "FocalSpots": "0.3",
    "DetectorTemperature": "25",
    "PaddleDescription": "18x24",
    "PrimaryPositionerScanArc": 15.0,
    "PrimaryPositionerScanStartAngle": -7.5,
    "PrimaryPositionerIncrement": 1.0,
    "PerProjectionAcquisitionSequence": [
        _EXPOSURE | {"PositionerPrimaryAngle": f"{step - 7.5:g}", "RelativeXRayExposure": "100"}
        for step in range(16)
    ],
}


def _volume(shape: Recipe, number: int, at: datetime) -> Elements:
    """Return X-Ray 3D Image, Breast Tomosynthesis Acquisition and Breast View (PS3.3 C.8.21, C.8.11.7)."""
    kind = "DERIVED\\PRIMARY\\TOMOSYNTHESIS\\NONE"
    side, view = _VIEWS[(number - 1) % len(_VIEWS)]
    frame_type = {"XRay3DFrameTypeSequence": [{"FrameType": kind, **_PIXELS, "ReconstructionIndex": 1}]}
    shared = {**transformation(0, 1, "US"), **voi(2048, 4096)}
    return {
        "ImageType": kind,
        **_PIXELS,
        "ContentQualification": "PRODUCT",
        "PresentationLUTShape": "IDENTITY",
        "AcquisitionContextSequence": [],
        "BurnedInAnnotation": "NO",
        "LossyImageCompression": "00",
        "BreastImplantPresent": "NO",
        "XRay3DAcquisitionSequence": [_ACQUISITION | {"BodyPartThickness": "50", "CompressionForce": "90"}],
        "XRay3DReconstructionSequence": [
            {
                "ReconstructionDescription": "",
                "ApplicationName": "Stepwedge",
                "ApplicationVersion": "0.1.0",
                "ApplicationManufacturer": "Stepwedge",
                "AlgorithmType": "FILTER_BACK_PROJ",
                "AcquisitionIndex": [1],
            }
        ],
        "ViewCodeSequence": [view | {"ViewModifierCodeSequence": []}],
        **dimensions(),
        **groups(shape, number, at, shared, frame_type, side),
    }


TOMO: Final = Iod(
    "MG", "1.2.840.10008.5.1.4.1.1.13.1.3", projection.MG.values, projection.MG.noise, _volume, framed=True
)
