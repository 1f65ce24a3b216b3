"""Phantoms: synthetic images of every modality, the same for the same seed, as IODs that a validator accepts.

A recipe (``fixtures/phantoms``) says what a scan looks like and which :class:`Iod` it becomes. The modules of an IOD that
no other has stand in one small module here, those that several have in :mod:`.modules`, the pixels in :mod:`.wedge`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from . import modules
from .ct import CT, CT_IMAGE_STORAGE
from .enhanced import ENHANCED_CT, ENHANCED_MR
from .fluoroscopy import RF, XA
from .functional import irradiated
from .modules import Iod
from .mr import MR
from .nuclear import NM, PT
from .projection import CR, DX, DX_RAW, MG
from .recipe import Recipe, recipe, reframed
from .secondary import SC
from .tomosynthesis import TOMO
from .us import US, US_CINE
from .wedge import altered, pixel_hash

if TYPE_CHECKING:
    from datetime import datetime

__all__ = [
    "CT_IMAGE_STORAGE",
    "IODS",
    "Iod",
    "Recipe",
    "altered",
    "image",
    "irradiated",
    "pixel_hash",
    "pixels",
    "recipe",
    "reframed",
]

IODS: Final = {
    "ct": CT,
    "mr": MR,
    "cr": CR,
    "dx": DX,
    "dx-for-processing": DX_RAW,
    "mg": MG,
    "us": US,
    "us-cine": US_CINE,
    "nm": NM,
    "pt": PT,
    "xa": XA,
    "rf": RF,
    "enhanced-ct": ENHANCED_CT,
    "enhanced-mr": ENHANCED_MR,
    "tomosynthesis": TOMO,
    "secondary-capture": SC,
}


def pixels(shape: Recipe, number: int, *parts: object) -> bytes:
    """Return the pixels of image ``number``, counted from 1; ``parts`` are what the noise depends on (seed, series)."""
    return modules.pixels(IODS[shape.iod], shape, number, *parts)


def image(shape: Recipe, number: int, at: datetime, *parts: object) -> dict[str, Any]:
    """Return one image as Elements, all modules of its IOD but those that a whole exam repeats.

    Patient, study, series, frame of reference and equipment are the scanner's to add (PS3.3 annex A).
    """
    iod = IODS[shape.iod]
    return {
        "SOPClassUID": iod.sop_class,
        "Modality": iod.modality,
        **modules.series(shape),
        **modules.general_image(number, at),
        **modules.image_pixel(iod, shape),
        **iod.modules(shape, number, at),
        **shape.attributes,
        **{key: values[(number - 1) % len(values)] for key, values in shape.each.items()},
        "PixelData": pixels(shape, number, *parts),
    }
