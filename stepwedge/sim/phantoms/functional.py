"""Multi-frame functional groups and dimensions (PS3.3 C.7.6.16, C.7.6.17): what enhanced objects say of each frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from stepwedge.model.identifiers import uid

from .modules import code, spacing

if TYPE_CHECKING:
    from datetime import datetime

    from .recipe import Recipe

Elements = dict[str, Any]
ORGANIZATION: Final = uid("stepwedge", "dimension organization", "one stack of slices")
"""One organization of dimensions for all phantoms: a stack, and the place in it."""
STACK: Final = "1"
NO_EVENT: Final = uid("stepwedge", "irradiation event", "none")
"""Stands where a scanner puts the event of the exam."""
REGIONS: Final = {
    "CHEST": ("51185008", "Chest"),
    "ABDOMEN": ("818983003", "Abdomen"),
    "BRAIN": ("12738006", "Brain"),
    "HEAD": ("69536005", "Head"),
    "BREAST": ("76752008", "Breast"),
}
"""Body Part Examined to the anatomic region (PS3.16 annex L)."""


def dimensions() -> Elements:
    """Return Multi-frame Dimension (PS3.3 C.7.6.17): Stack ID, then In-Stack Position Number."""
    return {
        "DimensionOrganizationSequence": [{"DimensionOrganizationUID": ORGANIZATION}],
        "DimensionOrganizationType": "3D",
        "DimensionIndexSequence": [
            {
                "DimensionOrganizationUID": ORGANIZATION,
                "DimensionIndexPointer": pointer,
                "FunctionalGroupPointer": "00209111",
                "DimensionDescriptionLabel": label,
            }
            for pointer, label in (("00209056", "Stack ID"), ("00209057", "In-Stack Position Number"))
        ],
    }


def groups(
    shape: Recipe, number: int, at: datetime, shared: Elements, each: Elements | None = None, side: str = "U"
) -> Elements:
    """Return Multi-frame Functional Groups: ``shared`` by all frames, ``each`` repeated by every frame, and its place.

    The stack of object ``number`` continues where that of the object before ends; slices lie at even distance. ``side`` is the
    Frame Laterality: ``U`` for what has none.
    """
    return {
        "NumberOfFrames": str(shape.frames),
        "SharedFunctionalGroupsSequence": [{**measures(shape), **anatomy(shape, side), **shared}],
        "PerFrameFunctionalGroupsSequence": [
            _frame(shape, number, frame, at) | (each or {}) for frame in range(shape.frames)
        ],
    }


def measures(shape: Recipe) -> Elements:
    """Return Pixel Measures and Plane Orientation (C.7.6.16.2.1, C.7.6.16.2.4), axial."""
    return {
        "PixelMeasuresSequence": [
            {
                "PixelSpacing": spacing(shape),
                "SliceThickness": f"{shape.slice_thickness:g}",
                "SpacingBetweenSlices": f"{shape.slice_thickness:g}",
            }
        ],
        "PlaneOrientationSequence": [{"ImageOrientationPatient": "1\\0\\0\\0\\1\\0"}],
    }


def anatomy(shape: Recipe, side: str) -> Elements:
    """Return Frame Anatomy (C.7.6.16.2.8)."""
    value, meaning = REGIONS[shape.body_part]
    return {
        "FrameAnatomySequence": [{"FrameLaterality": side, "AnatomicRegionSequence": code(value, meaning)}]
    }


def irradiation(event: str) -> Elements:
    """Return Irradiation Event Identification (C.7.6.16.2)."""
    return {"IrradiationEventIdentificationSequence": [{"IrradiationEventUID": event}]}


def irradiated(image: Elements, event: str) -> Elements:
    """Return the image with the Irradiation Event UID by which a dose report knows it, where its IOD has a place for it."""
    shared = image.get("SharedFunctionalGroupsSequence")
    if not shared:
        return image | {"IrradiationEventUID": event}
    if "IrradiationEventIdentificationSequence" not in shared[0]:
        return image
    return image | {"SharedFunctionalGroupsSequence": [shared[0] | irradiation(event)]}


def voi(center: int, width: int) -> Elements:
    """Return Frame VOI LUT (C.7.6.16.2.10)."""
    return {"FrameVOILUTSequence": [{"WindowCenter": str(center), "WindowWidth": str(width)}]}


def transformation(intercept: int, slope: int, units: str) -> Elements:
    """Return Pixel Value Transformation (C.7.6.16.2.9)."""
    return {
        "PixelValueTransformationSequence": [
            {"RescaleIntercept": str(intercept), "RescaleSlope": str(slope), "RescaleType": units}
        ]
    }


def _frame(shape: Recipe, number: int, frame: int, at: datetime) -> Elements:
    """Return Frame Content and Plane Position (C.7.6.16.2.2, C.7.6.16.2.3) of one frame, counted from 0."""
    half = shape.pixel_spacing * (shape.columns - 1) / 2, shape.pixel_spacing * (shape.rows - 1) / 2
    z = ((number - 1) * shape.frames + frame) * shape.slice_thickness
    when = f"{at:%Y%m%d%H%M%S}"
    return {
        "FrameContentSequence": [
            {
                "FrameReferenceDateTime": when,
                "FrameAcquisitionDateTime": when,
                "FrameAcquisitionDuration": 500.0,
                "FrameAcquisitionNumber": 1,
                "StackID": STACK,
                "InStackPositionNumber": frame + 1,
                "DimensionIndexValues": [1, frame + 1],
            }
        ],
        "PlanePositionSequence": [{"ImagePositionPatient": f"{-half[0]:g}\\{-half[1]:g}\\{z:g}"}],
    }
