"""A recipe: what a scan of one body part looks like, read from ``fixtures/phantoms``."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import yaml

from stepwedge import kit
from stepwedge.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_LIMITS: Final = {"rows": 1024, "columns": 1024, "frames": 256}


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a scan of one body part looks like; lengths in millimetres.

    Attributes:
        iod: the object it becomes, a key of ``phantoms.IODS``.
        pixel_spacing: of both directions.
        slice_thickness: also the distance between slices; what is no slice has none.
        attributes: further elements, by DICOM keyword.
        each: elements that differ from image to image: the n-th value belongs to image n, round and round.
    """

    iod: str
    series_description: str
    body_part: str
    protocol: str
    rows: int
    columns: int
    pixel_spacing: float
    slice_thickness: float = 0.0
    frames: int = 1
    attributes: Mapping[str, Any] = field(default_factory=dict)
    each: Mapping[str, list[Any]] = field(default_factory=dict)


@lru_cache
def recipe(name: str = "ct-chest") -> Recipe:
    """Read ``fixtures/phantoms/<name>.yaml``."""
    return read(kit.find(f"fixtures/phantoms/{name}.yaml"))


def read(path: Path) -> Recipe:
    """Read one recipe file, refusing unknown keys and sizes that are not a phantom's."""
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    try:
        made = Recipe(**values)
    except TypeError as error:
        raise BadInput(str(path), f"the keys {', '.join(Recipe.__dataclass_fields__)}", str(error)) from None
    for axis, largest in _LIMITS.items():
        size = getattr(made, axis)
        if not (isinstance(size, int) and 0 < size <= largest):
            raise BadInput(str(path), f"{axis} between 1 and {largest}", repr(size))
    return made


def reframed(shape: Recipe, frames: int) -> Recipe:
    """Return the recipe with another number of frames; only what has several can have more or fewer of them."""
    if frames == shape.frames:
        return shape
    if shape.frames == 1 or not 1 < frames <= _LIMITS["frames"]:
        raise BadInput("frames", f"2 to {_LIMITS['frames']}, of an object of several frames", repr(frames))
    return replace(shape, frames=frames)
