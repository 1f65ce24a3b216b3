"""Frames as pictures for the eye (PS3.18 section 8.3.5): modality LUT, window, polarity, palette, viewport. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import RemoteProtocolError
from stepwedge.wire.png import Picture

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from stepwedge.wire.pixels import Shape

    Array = np.ndarray[Any, np.dtype[Any]]

FUNCTIONS: Final = ("linear", "linear-exact", "sigmoid")
LARGEST_SIDE: Final = 4096
"""Pixels of one side of a viewport."""
VIEWPORT_SIZES: Final = (2, 4, 6)


class BadParameter(Exception):
    """A rendering parameter that PS3.18 section 8.3.5 does not allow; answered 400."""


@dataclass(frozen=True, slots=True)
class Window:
    """Center and width after the modality LUT, and the function between them (PS3.3 C.11.2.1.2 and C.11.2.1.3)."""

    center: float
    width: float
    function: str = "linear"


@dataclass(frozen=True, slots=True)
class Viewport:
    """Size of the picture in pixels, and the region of the image it shows; a negative size flips (PS3.18 8.3.5.1.3)."""

    width: int
    height: int
    left: float = 0.0
    top: float = 0.0
    across: float = 0.0
    down: float = 0.0


def window_of(text: str) -> Window:
    """Read the query parameter ``window`` (PS3.18 section 8.3.5.1.4)."""
    parts = text.split(",")
    try:
        center, width, function = float(parts[0]), float(parts[1]), (parts[2:] or ["linear"])[0].lower()
    except (ValueError, IndexError):
        raise BadParameter(f"window must be center,width,function, not {text!r}") from None
    if function not in FUNCTIONS or len(parts) > 3:  # noqa: PLR2004
        raise BadParameter(f"the function of window must be one of {', '.join(FUNCTIONS)}")
    if not width >= (1 if function == "linear" else 1e-9):
        raise BadParameter("the width of window is too small (PS3.3 C.11.2.1.2)")
    return Window(center, width, function)


def viewport_of(text: str) -> Viewport:
    """Read the query parameter ``viewport`` (PS3.18 section 8.3.5.1.3)."""
    parts = text.split(",")
    try:
        width, height = int(parts[0]), int(parts[1])
        region = [float(part or 0) for part in parts[2:]]
    except (ValueError, IndexError):
        raise BadParameter(f"viewport must be vw,vh,sx,sy,sw,sh, not {text!r}") from None
    if not (0 < width <= LARGEST_SIDE and 0 < height <= LARGEST_SIDE) or len(parts) not in VIEWPORT_SIZES:
        raise BadParameter(
            f"viewport must have 1 to {LARGEST_SIDE} pixels a side, and no, two or four more numbers"
        )
    return Viewport(width, height, *region)


def rendered(
    frame: bytes, shape: Shape, header: Mapping[str, Any], window: Window | None, viewport: Viewport | None
) -> Picture:
    """Return one native frame (colours by pixel) as a picture of eight bits."""
    import numpy as np

    kind = np.dtype(f"<{'i' if shape.signed else 'u'}{shape.allocated // 8}")
    values = np.frombuffer(frame, kind).reshape(shape.rows, shape.columns, shape.samples)
    if shape.samples == 1 and shape.photometric == "PALETTE COLOR":
        picture = _palette(values[..., 0], header)
    elif shape.samples == 1:
        picture = _grey(values[..., 0].astype(np.float64), shape, header, window)[..., None]
    else:
        shift = shape.stored - 8
        picture = (values >> shift if shift > 0 else values).astype(np.uint8)
        if shape.photometric.startswith("YBR_FULL"):
            picture = _rgb(picture.astype(np.float64))
    if viewport is not None:
        picture = _scaled(picture, viewport)
    height, width, samples = picture.shape
    return Picture(width, height, samples, np.ascontiguousarray(picture).tobytes())


def _grey(values: Array, shape: Shape, header: Mapping[str, Any], window: Window | None) -> Array:
    """Apply rescale, the window asked for or that of the object, and the polarity."""
    import numpy as np

    values = values * _first(header, "RescaleSlope", 1.0) + _first(header, "RescaleIntercept", 0.0)
    if window is None:
        window = _own_window(header) or Window(*_whole(values))
    low, high = window.center - window.width / 2, window.center + window.width / 2
    if window.function == "sigmoid":
        shown = 1 / (1 + np.exp(np.clip(-4 * (values - window.center) / window.width, -700, 700)))
    elif window.function == "linear":  # PS3.3 C.11.2.1.2.1
        reach = max(window.width - 1, 1e-9)
        shown = np.clip((values - (window.center - 0.5)) / reach + 0.5, 0, 1)
        if window.width == 1:
            shown = (values > window.center - 0.5).astype(np.float64)
    else:
        shown = np.clip((values - low) / (high - low), 0, 1)
    if shape.photometric == "MONOCHROME1":
        shown = 1 - shown
    return np.rint(shown * 255).astype(np.uint8)


def _own_window(header: Mapping[str, Any]) -> Window | None:
    if not header.get("WindowCenter") or not header.get("WindowWidth"):
        return None
    function = str(header.get("VOILUTFunction") or "LINEAR").replace("_", "-").lower()
    width = _first(header, "WindowWidth", 1.0)
    if width < 1:
        return None
    return Window(_first(header, "WindowCenter", 0.0), width, function if function in FUNCTIONS else "linear")


def _whole(values: Array) -> tuple[float, float, str]:
    low, high = float(values.min()), float(values.max())
    return (low + high) / 2, max(high - low, 1.0), "linear-exact"


def _first(header: Mapping[str, Any], key: str, default: float) -> float:
    try:
        return float(str(header.get(key) or default).split("\\")[0])
    except ValueError:
        return default


def _palette(values: Array, header: Mapping[str, Any]) -> Array:
    """Look colours up (PS3.3 C.7.6.3.1.5 and C.7.6.3.1.6)."""
    import numpy as np

    planes = []
    for colour in ("Red", "Green", "Blue"):
        described = header.get(f"{colour}PaletteColorLookupTableDescriptor")
        data = header.get(f"{colour}PaletteColorLookupTableData")
        if not isinstance(described, list) or len(described) != 3 or not isinstance(data, bytes):  # noqa: PLR2004
            raise RemoteProtocolError(f"the {colour.lower()} palette is not whole (PS3.3 C.7.6.3.1.5)")
        count, first, bits = int(described[0]) or 1 << 16, int(described[1]), int(described[2])
        wide = len(data) >= 2 * count
        table = np.frombuffer(data, "<u2" if wide else "u1")[:count]
        if len(table) < count:
            raise RemoteProtocolError(f"the {colour.lower()} palette has {len(table)} entries, not {count}")
        entries = np.clip(values.astype(np.int64) - first, 0, count - 1)
        planes.append((table[entries] >> (8 if bits == 16 and wide else 0)).astype(np.uint8))  # noqa: PLR2004
    return np.stack(planes, axis=-1)


def _rgb(values: Array) -> Array:
    """Turn YBR_FULL into RGB (PS3.3 C.7.6.3.1.2)."""
    import numpy as np

    y, blue, red = values[..., 0], values[..., 1] - 128, values[..., 2] - 128
    planes = (y + 1.402 * red, y - 0.344136 * blue - 0.714136 * red, y + 1.772 * blue)
    return np.clip(np.rint(np.stack(planes, axis=-1)), 0, 255).astype(np.uint8)


def _scaled(picture: Array, viewport: Viewport) -> Array:
    """Cut the region out and scale it into the viewport, its aspect kept, between neighbouring pixels."""
    import numpy as np

    height, width, _ = picture.shape
    across, down = viewport.across or width - viewport.left, viewport.down or height - viewport.top
    left, top = viewport.left, viewport.top
    if not (0 <= left < width and 0 <= top < height) or not across or not down:
        raise BadParameter("the region of viewport lies outside of the image")
    right, bottom = min(left + abs(across), width), min(top + abs(down), height)
    scale = min(viewport.width / (right - left), viewport.height / (bottom - top))
    wide, high = max(round((right - left) * scale), 1), max(round((bottom - top) * scale), 1)
    columns = np.clip(left + (np.arange(wide) + 0.5) / wide * (right - left) - 0.5, 0, width - 1)
    rows = np.clip(top + (np.arange(high) + 0.5) / high * (bottom - top) - 0.5, 0, height - 1)
    found = _between(_between(picture.astype(np.float64), rows, 0), columns, 1)
    if across < 0:
        found = found[:, ::-1]
    if down < 0:
        found = found[::-1]
    return np.rint(found).astype(np.uint8)


def _between(values: Array, places: Array, axis: int) -> Array:
    """Interpolate along one axis."""
    import numpy as np

    first = np.floor(places).astype(np.int64)
    second = np.minimum(first + 1, values.shape[axis] - 1)
    weight = (places - first).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
    mixed: Array = np.take(values, first, axis) * (1 - weight) + np.take(values, second, axis) * weight
    return mixed


def described(picture: Picture) -> dict[str, Any]:
    """Return the Image Pixel Module of a picture, for a codec."""
    return {
        "rows": picture.height,
        "columns": picture.width,
        "samples": picture.samples,
        "allocated": 8,
        "stored": 8,
        "signed": False,
        "photometric": "RGB" if picture.samples > 1 else "MONOCHROME2",
    }
