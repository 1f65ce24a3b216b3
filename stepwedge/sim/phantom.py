"""A synthetic CT phantom: a water cylinder holding a step wedge, the same pixels for the same seed.

Nothing here comes from a patient. Each slice differs from every other one (the wedge turns, the noise is seeded), so a
swapped, doubled or altered image changes its hash.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import yaml

from stepwedge import kit
from stepwedge.errors import BadInput
from stepwedge.model.identifiers import digits

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
RESCALE_INTERCEPT = -1024
AIR, WATER = -1000, 0
WEDGE = (-800, -400, -100, 40, 120, 300, 600, 1000)
"""Hounsfield units of the eight steps, from lung to dense bone."""
NOISE = 12
"""Greatest deviation of a pixel from its material, in Hounsfield units."""
_LARGEST = 1024
_BODY, _HALF_WIDTH, _HALF_LENGTH = (
    0.9,
    0.25,
    0.5,
)  # radius of the water, extent of the wedge; half the image is 1


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a scan of one body part looks like; lengths in millimetres."""

    series_description: str
    body_part: str
    protocol: str
    rows: int
    columns: int
    pixel_spacing: float
    slice_thickness: float
    kvp: int
    convolution_kernel: str
    patient_position: str


@lru_cache
def recipe(name: str = "ct-chest") -> Recipe:
    """Read ``fixtures/phantoms/<name>.yaml``."""
    return _read(kit.find(f"fixtures/phantoms/{name}.yaml"))


def _read(path: Path) -> Recipe:
    """Read one recipe file, refusing unknown keys and sizes that are not a phantom's."""
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    try:
        made = Recipe(**values)
    except TypeError as error:
        raise BadInput(str(path), f"the keys {', '.join(Recipe.__dataclass_fields__)}", str(error)) from None
    for axis in ("rows", "columns"):
        size = getattr(made, axis)
        if not (isinstance(size, int) and 0 < size <= _LARGEST):
            raise BadInput(str(path), f"{axis} between 1 and {_LARGEST}", repr(size))
    return made


def pixels(shape: Recipe, number: int, *parts: object) -> bytes:
    """Return slice ``number`` as unsigned 16 bit little endian, row by row.

    Args:
        shape: size and spacing.
        number: Instance Number, from 1; the wedge turns by 10 degrees with each.
        parts: whatever the noise must depend on (seed, series).
    """
    import numpy as np

    y, x = np.mgrid[: shape.rows, : shape.columns].astype(np.float32)
    y, x = 2 * y / max(shape.rows - 1, 1) - 1, 2 * x / max(shape.columns - 1, 1) - 1
    turn = np.deg2rad(10.0 * number)
    across = x * np.cos(turn) + y * np.sin(turn)
    along = -x * np.sin(turn) + y * np.cos(turn)
    units = np.where(x**2 + y**2 < _BODY**2, WATER, AIR).astype(np.int32)
    step = np.clip(((along + _HALF_LENGTH) * len(WEDGE)).astype(np.int32), 0, len(WEDGE) - 1)
    inside = (np.abs(across) < _HALF_WIDTH) & (np.abs(along) < _HALF_LENGTH)
    units = np.where(inside, np.array(WEDGE, dtype=np.int32)[step], units)
    noise = np.random.default_rng(int(digits(15, "phantom", number, *parts)))
    units = units + noise.integers(-NOISE, NOISE, size=units.shape, endpoint=True)
    return bytes((units - RESCALE_INTERCEPT).astype("<u2").tobytes())


def image(shape: Recipe, number: int, at: datetime, *parts: object) -> dict[str, Any]:
    """Return the image of one slice as Elements: modules General Image, Image Plane, Image Pixel and CT Image.

    Patient, study, series, frame of reference and equipment are the scanner's to add (PS3.3 table A.3-1).
    """
    half = shape.pixel_spacing * (shape.columns - 1) / 2, shape.pixel_spacing * (shape.rows - 1) / 2
    z = (number - 1) * shape.slice_thickness
    date, time = f"{at:%Y%m%d}", f"{at:%H%M%S}"
    return {
        "SOPClassUID": CT_IMAGE_STORAGE,
        "Modality": "CT",
        "ImageType": "ORIGINAL\\PRIMARY\\AXIAL",
        "InstanceNumber": str(number),
        "AcquisitionNumber": "1",
        "AcquisitionDate": date,
        "AcquisitionTime": time,
        "ContentDate": date,
        "ContentTime": time,
        "SeriesDescription": shape.series_description,
        "BodyPartExamined": shape.body_part,
        "ProtocolName": shape.protocol,
        "PatientPosition": shape.patient_position,
        "PixelSpacing": f"{shape.pixel_spacing:g}\\{shape.pixel_spacing:g}",
        "ImageOrientationPatient": "1\\0\\0\\0\\1\\0",
        "ImagePositionPatient": f"{-half[0]:g}\\{-half[1]:g}\\{z:g}",
        "SliceThickness": f"{shape.slice_thickness:g}",
        "SliceLocation": f"{z:g}",
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": shape.rows,
        "Columns": shape.columns,
        "BitsAllocated": 16,
        "BitsStored": 12,
        "HighBit": 11,
        "PixelRepresentation": 0,
        "RescaleIntercept": str(RESCALE_INTERCEPT),
        "RescaleSlope": "1",
        "RescaleType": "HU",
        "KVP": str(shape.kvp),
        "ConvolutionKernel": shape.convolution_kernel,
        "WindowCenter": "40",
        "WindowWidth": "400",
        "PixelData": pixels(shape, number, *parts),
    }


def pixel_hash(pixel_data: bytes) -> str:
    """Return the SHA-256 by which pixels are compared from end to end."""
    return hashlib.sha256(pixel_data).hexdigest()


def altered(pixel_data: bytes) -> bytes:
    """Return the same image with its first pixel changed in the lowest bit: seen by a hash, not by an eye."""
    return bytes([pixel_data[0] ^ 1]) + pixel_data[1:]
