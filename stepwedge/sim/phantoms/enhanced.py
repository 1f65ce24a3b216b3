"""Enhanced CT (PS3.3 A.38) and Enhanced MR (A.36): a whole stack of slices in one object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from . import ct, mr
from .functional import NO_EVENT, dimensions, groups, irradiation, transformation, voi
from .modules import Iod, code

if TYPE_CHECKING:
    from datetime import datetime

    from .recipe import Recipe

Elements = dict[str, Any]
_VOLUME: Final = {"VolumetricProperties": "VOLUME", "VolumeBasedCalculationTechnique": "NONE"}
_PIXELS: Final = {"PixelPresentation": "MONOCHROME", **_VOLUME}


def _common(at: datetime) -> Elements:
    """Return what both enhanced images say of themselves (PS3.3 C.8.16, C.8.13.1, C.8.15.2)."""
    return {
        **_PIXELS,
        "AcquisitionDateTime": f"{at:%Y%m%d%H%M%S}",
        "AcquisitionDuration": 6.0,
        "AcquisitionContextSequence": [],
        "ContentQualification": "PRODUCT",
        "BurnedInAnnotation": "NO",
        "LossyImageCompression": "00",
        "PresentationLUTShape": "IDENTITY",
        **dimensions(),
    }


_CT_GROUPS: Final[Elements] = {
    # PS3.3 C.8.15.3: how the scan was made, the same for all frames
    "CTAcquisitionTypeSequence": [
        {"AcquisitionType": "SPIRAL", "ConstantVolumeFlag": "NO", "FluoroscopyFlag": "NO"}
    ],
    "CTAcquisitionDetailsSequence": [
        {
            "RotationDirection": "CW",
            "RevolutionTime": 0.5,
            "SingleCollimationWidth": 0.6,
            "TotalCollimationWidth": 38.4,
            "TableHeight": "150",
            "GantryDetectorTilt": "0",
            "DataCollectionDiameter": "500",
        }
    ],
    "CTTableDynamicsSequence": [{"TableSpeed": 46.0, "TableFeedPerRotation": 23.0, "SpiralPitchFactor": 0.6}],
    "CTPositionSequence": [
        {
            "TablePosition": 0.0,
            "ReconstructionTargetCenterPatient": [0.0, 0.0, 0.0],
            "DataCollectionCenterPatient": [0.0, 0.0, 0.0],
        }
    ],
    "CTGeometrySequence": [
        {"DistanceSourceToDetector": "1085", "DistanceSourceToDataCollectionCenter": 595.0}
    ],
    "CTReconstructionSequence": [
        {
            "ReconstructionAlgorithm": "FILTER_BACK_PROJ",
            "ConvolutionKernel": "STANDARD",
            "ConvolutionKernelGroup": "SOFT_TISSUE",
            "ReconstructionDiameter": "360",
            "ReconstructionAngle": 360.0,
            "ImageFilter": "NONE",
        }
    ],
    "CTExposureSequence": [
        {
            "ExposureTimeInms": 500.0,
            "XRayTubeCurrentInmA": 200.0,
            "ExposureInmAs": 100.0,
            "ExposureModulationType": "NONE",
            "CTDIvol": 8.0,
            "CTDIPhantomTypeCodeSequence": code("113691", "IEC Body Dosimetry Phantom", "DCM"),
        }
    ],
    "CTXRayDetailsSequence": [
        {
            "KVP": "120",
            "FocalSpots": "1.2",
            "FilterType": "FLAT",
            "FilterMaterial": "ALUMINUM",
            "CalciumScoringMassFactorPatient": 1.0,
            "EnergyWeightingFactor": 1.0,
        }
    ],
}


def _ct(shape: Recipe, number: int, at: datetime) -> Elements:
    kind = "ORIGINAL\\PRIMARY\\VOLUME\\NONE"
    frame_type = {"CTImageFrameTypeSequence": [{"FrameType": kind, **_PIXELS}]}
    pixels = [float(shape.pixel_spacing)] * 2
    reconstruction = [_CT_GROUPS["CTReconstructionSequence"][0] | {"ReconstructionPixelSpacing": pixels}]
    shared = {
        **_CT_GROUPS,
        "CTReconstructionSequence": reconstruction,
        **irradiation(NO_EVENT),
        **transformation(ct.RESCALE_INTERCEPT, 1, "HU"),
        **voi(40, 400),
    }
    return {
        "ImageType": kind,
        "AcquisitionNumber": "1",
        "PatientPosition": "HFS",
        "MultienergyCTAcquisition": "NO",
        **_common(at),
        **groups(shape, number, at, {**frame_type, **shared}),
    }


_MR_SEQUENCE: Final[Elements] = {
    # PS3.3 C.8.13.4: a spin echo, one slice after the other
    "PulseSequenceName": "SE",
    "MRAcquisitionType": "2D",
    "EchoPulseSequence": "SPIN",
    "MultipleSpinEcho": "NO",
    "MultiPlanarExcitation": "NO",
    "PhaseContrast": "NO",
    "TimeOfFlightContrast": "NO",
    "SteadyStatePulseSequence": "NONE",
    "EchoPlanarPulseSequence": "NO",
    "SpectrallySelectedSuppression": "NONE",
    "OversamplingPhase": "NONE",
    "GeometryOfKSpaceTraversal": "RECTILINEAR",
    "SegmentedKSpaceTraversal": "SINGLE",
    "RectilinearPhaseEncodeReordering": "LINEAR",
    "NumberOfKSpaceTrajectories": 1,
    "SaturationRecovery": "NO",
}
_MR_GROUPS: Final[Elements] = {
    # PS3.3 C.8.13.5
    "MRTimingAndRelatedParametersSequence": [
        {
            "RepetitionTime": "500",
            "FlipAngle": "90",
            "EchoTrainLength": "1",
            "RFEchoTrainLength": 1,
            "GradientEchoTrainLength": 0,
            "SpecificAbsorptionRateSequence": [
                {"SpecificAbsorptionRateDefinition": "IEC_WHOLE_BODY", "SpecificAbsorptionRateValue": 0.5}
            ],
            "GradientOutputType": "DB_DT",
            "GradientOutput": 10.0,
            "OperatingModeSequence": [
                {"OperatingModeType": "STATIC FIELD", "OperatingMode": "IEC_NORMAL"},
                {"OperatingModeType": "RF", "OperatingMode": "IEC_NORMAL"},
                {"OperatingModeType": "GRADIENT", "OperatingMode": "IEC_NORMAL"},
            ],
        }
    ],
    "MRFOVGeometrySequence": [
        {
            "InPlanePhaseEncodingDirection": "ROW",
            "MRAcquisitionFrequencyEncodingSteps": 64,
            "MRAcquisitionPhaseEncodingStepsInPlane": 64,
            "PercentSampling": "100",
            "PercentPhaseFieldOfView": "100",
        }
    ],
    "MREchoSequence": [{"EffectiveEchoTime": 15.0}],
    "MRModifierSequence": [
        {
            "InversionRecovery": "NO",
            "FlowCompensation": "NONE",
            "Spoiling": "NONE",
            "T2Preparation": "NO",
            "SpectrallySelectedExcitation": "NONE",
            "SpatialPresaturation": "NONE",
            "PartialFourier": "NO",
            "ParallelAcquisition": "NO",
        }
    ],
    "MRImagingModifierSequence": [
        {
            "MagnetizationTransfer": "NONE",
            "BloodSignalNulling": "NO",
            "Tagging": "NONE",
            "TransmitterFrequency": 63.87,
            "PixelBandwidth": "130",
        }
    ],
    "MRReceiveCoilSequence": [
        {
            "ReceiveCoilName": "HEAD",
            "ReceiveCoilManufacturerName": "",
            "ReceiveCoilType": "VOLUME",
            "QuadratureReceiveCoil": "YES",
        }
    ],
    "MRTransmitCoilSequence": [
        {"TransmitCoilName": "BODY", "TransmitCoilManufacturerName": "", "TransmitCoilType": "BODY"}
    ],
    "MRAveragesSequence": [{"NumberOfAverages": "1"}],
}


def _mr(shape: Recipe, number: int, at: datetime) -> Elements:
    kind = "ORIGINAL\\PRIMARY\\T1\\NONE"
    seen = {"ComplexImageComponent": "MAGNITUDE", "AcquisitionContrast": "T1"}
    frame_type = {"MRImageFrameTypeSequence": [{"FrameType": kind, **_PIXELS, **seen}]}
    shared = {**_MR_GROUPS, **transformation(0, 1, "US"), **voi(500, 1000)}
    return {
        "ImageType": kind,
        "AcquisitionNumber": "1",
        "PatientPosition": "HFS",
        "ResonantNucleus": "1H",
        "KSpaceFiltering": "NONE",
        "MagneticFieldStrength": "1.5",
        "ApplicableSafetyStandardAgency": "IEC",
        "ApplicableSafetyStandardDescription": "IEC 60601-2-33",
        **seen,
        **_MR_SEQUENCE,
        **_common(at),
        **groups(shape, number, at, {**frame_type, **shared}),
    }


ENHANCED_CT: Final = Iod("CT", "1.2.840.10008.5.1.4.1.1.2.1", ct.CT.values, ct.CT.noise, _ct, framed=True)
ENHANCED_MR: Final = Iod(
    "MR", "1.2.840.10008.5.1.4.1.1.4.1", mr.MR.values, mr.MR.noise, _mr, mr.MR.stored, framed=True
)
