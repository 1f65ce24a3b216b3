"""The phantom itself: a water cylinder holding a step wedge, the same pixels for the same seed.

Nothing here comes from a patient. Each image and each frame differs from every other one (the wedge turns, the noise is
seeded), so a swapped, doubled or altered one changes its hash.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from stepwedge.model.identifiers import digits

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

STEPS: Final = 8
"""Steps of the wedge; materials are counted air, water, first step to last."""
_BODY, _HALF_WIDTH, _HALF_LENGTH = (
    0.9,
    0.25,
    0.5,
)  # radius of the water, extent of the wedge; half the image is 1


def materials(rows: int, columns: int, turn: int) -> np.ndarray:
    """Return what lies at each pixel, 0 air, 1 water, 2 to 9 the steps; each ``turn`` is 10 degrees."""
    import numpy as np

    y, x = np.mgrid[:rows, :columns].astype(np.float32)
    y, x = 2 * y / max(rows - 1, 1) - 1, 2 * x / max(columns - 1, 1) - 1
    angle = np.deg2rad(10.0 * turn)
    across = x * np.cos(angle) + y * np.sin(angle)
    along = -x * np.sin(angle) + y * np.cos(angle)
    step = np.clip(((along + _HALF_LENGTH) * STEPS).astype(np.int32), 0, STEPS - 1)
    inside = (np.abs(across) < _HALF_WIDTH) & (np.abs(along) < _HALF_LENGTH)
    seen: np.ndarray = np.where(inside, step + 2, np.where(x**2 + y**2 < _BODY**2, 1, 0))
    return seen


def grey(seen: np.ndarray, values: Sequence[int], noise: int, *parts: object) -> np.ndarray:
    """Return stored values of one plane: that of each material, give or take ``noise``, which depends on ``parts``."""
    import numpy as np

    source = np.random.default_rng(int(digits(15, "phantom", *parts)))
    plane: np.ndarray = np.array(values, dtype=np.int32)[seen]
    return plane + source.integers(-noise, noise, size=plane.shape, endpoint=True)


def pixel_hash(pixel_data: bytes) -> str:
    """Return the SHA-256 by which pixels are compared from end to end."""
    return hashlib.sha256(pixel_data).hexdigest()


def altered(pixel_data: bytes) -> bytes:
    """Return the same image with its first pixel changed in the lowest bit: seen by a hash, not by an eye."""
    return bytes([pixel_data[0] ^ 1]) + pixel_data[1:]
