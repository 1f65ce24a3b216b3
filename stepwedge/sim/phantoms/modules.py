"""Modules that several IODs share (PS3.3 annex C), each a function from a recipe to elements, written once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from . import wedge

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from .recipe import Recipe

Elements = dict[str, Any]
SAMPLES: Final = {"MONOCHROME1": 1, "MONOCHROME2": 1, "RGB": 3}


@dataclass(frozen=True, slots=True)
class Iod:
    """One kind of object.

    Attributes:
        values: stored value of air, water and the eight steps; for RGB one such row per colour.
        noise: greatest deviation of a pixel from its material.
        stored: Bits Stored; up to 8 a pixel takes one byte, else two.
        modules: what this kind of object has beside the general modules.
        framed: whether its images share a frame of reference.
    """

    modality: str
    sop_class: str
    values: Sequence[Any]
    noise: int
    modules: Callable[[Recipe, int, datetime], Elements]
    stored: int = 12
    photometric: str = "MONOCHROME2"
    framed: bool = False


def series(shape: Recipe) -> Elements:
    """Return General Series as far as the protocol knows it (PS3.3 C.7.3.1)."""
    return {
        "SeriesDescription": shape.series_description,
        "BodyPartExamined": shape.body_part,
        "ProtocolName": shape.protocol,
    }


def general_image(number: int, at: datetime) -> Elements:
    """Return General Image (PS3.3 C.7.6.1)."""
    date, time = f"{at:%Y%m%d}", f"{at:%H%M%S}"
    return {
        "InstanceNumber": str(number),
        "AcquisitionNumber": "1",
        "AcquisitionDate": date,
        "AcquisitionTime": time,
        "ContentDate": date,
        "ContentTime": time,
    }


def image_plane(shape: Recipe, number: int) -> Elements:
    """Return Image Plane (PS3.3 C.7.6.2): axial slices, the image's centre on the axis."""
    half = shape.pixel_spacing * (shape.columns - 1) / 2, shape.pixel_spacing * (shape.rows - 1) / 2
    z = (number - 1) * shape.slice_thickness
    return {
        "PixelSpacing": spacing(shape),
        "ImageOrientationPatient": "1\\0\\0\\0\\1\\0",
        "ImagePositionPatient": f"{-half[0]:g}\\{-half[1]:g}\\{z:g}",
        "SliceThickness": f"{shape.slice_thickness:g}",
        "SliceLocation": f"{z:g}",
    }


def spacing(shape: Recipe) -> str:
    """Return the distance of pixels in both directions."""
    return f"{shape.pixel_spacing:g}\\{shape.pixel_spacing:g}"


def image_pixel(iod: Iod, shape: Recipe) -> Elements:
    """Return Image Pixel (PS3.3 C.7.6.3) without the pixels."""
    return {
        "SamplesPerPixel": SAMPLES[iod.photometric],
        "PhotometricInterpretation": iod.photometric,
        **({"PlanarConfiguration": 0} if iod.photometric == "RGB" else {}),
        "Rows": shape.rows,
        "Columns": shape.columns,
        "BitsAllocated": 8 if iod.stored <= 8 else 16,  # noqa: PLR2004 - one byte or two
        "BitsStored": iod.stored,
        "HighBit": iod.stored - 1,
        "PixelRepresentation": 0,
    }


def multi_frame(shape: Recipe, *pointers: str) -> Elements:
    """Return Multi-frame (PS3.3 C.7.6.6); ``pointers`` are the tags by which frames are told apart."""
    return {
        "NumberOfFrames": str(shape.frames),
        "FrameIncrementPointer": pointers[0] if len(pointers) == 1 else list(pointers),
    }


def cine(shape: Recipe, milliseconds: int) -> Elements:
    """Return Multi-frame and Cine of a run (PS3.3 C.7.6.6, C.7.6.5): frames at even distance of time."""
    return {
        **multi_frame(shape, "00181063"),
        "FrameTime": str(milliseconds),
        "CineRate": str(1000 // milliseconds),
        "RecommendedDisplayFrameRate": str(1000 // milliseconds),
    }


def code(value: str, meaning: str, scheme: str = "SCT", **more: Any) -> list[Elements]:
    """Return a code sequence of one item (PS3.3 table 8.8-1)."""
    return [{"CodeValue": value, "CodingSchemeDesignator": scheme, "CodeMeaning": meaning, **more}]


def pixels(iod: Iod, shape: Recipe, number: int, *parts: object) -> bytes:
    """Return all frames of image ``number``, row by row, little endian; ``parts`` are what the noise depends on."""
    import numpy as np

    rows = iod.values if iod.photometric == "RGB" else [iod.values]
    frames = []
    for frame in range(shape.frames):
        seen = wedge.materials(shape.rows, shape.columns, number + frame)
        told = (number, *parts) if shape.frames == 1 else (number, frame, *parts)
        planes = [
            wedge.grey(seen, values, iod.noise, *told, *([colour] if len(rows) > 1 else []))
            for colour, values in enumerate(rows)
        ]
        frames.append(np.stack(planes, axis=-1))
    depth = "u1" if iod.stored <= 8 else "<u2"  # noqa: PLR2004 - one byte or two
    data = bytes(np.clip(np.stack(frames), 0, (1 << iod.stored) - 1).astype(depth).tobytes())
    return data + b"\0" * (len(data) % 2)
