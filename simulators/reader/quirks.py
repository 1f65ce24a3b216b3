"""Wrong behaviours the reading workstation can be told to have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepwedge.sim.quirks import collect, quirk

from .habits import ReaderHabits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_OPPOSITE = str.maketrans("LRAPHF", "RLPAFH")


@quirk(
    "display.order_by_uid",
    defect="DEF-115",
    severity="S2",
    overrides=ReaderHabits.arranged,
    notices="scrolling jumps up and down the patient (slices not in the order of their position)",
)
def order_by_uid(
    original: Callable[[Sequence[tuple[float, str]]], list[str]], slices: Sequence[tuple[float, str]]
) -> list[str]:
    """Show slices in the order of their SOP Instance UIDs."""
    shown = sorted(original(slices))
    return shown if shown != original(slices) else [*shown[1:], *shown[:1]]


@quirk(
    "display.markers_flipped",
    defect="DEF-118",
    severity="S1",
    overrides=ReaderHabits.facing,
    notices="left and right are exchanged at the edges of the image (labels contradict (0020,0037) or (0020,0020))",
)
def markers_flipped(
    original: Callable[[str, str], tuple[str, str]], right: str, bottom: str
) -> tuple[str, str]:
    """Flip the image and leave the markers behind."""
    right, bottom = original(right, bottom)
    return right.translate(_OPPOSITE), bottom


@quirk(
    "display.inverted",
    defect="DEF-110",
    severity="S2",
    overrides=ReaderHabits.inverts,
    notices="air is white and bone is black (grey scale against (0028,0004) and (2050,0020))",
)
def inverted(original: Callable[[str, str], bool], photometric: str, shape: str) -> bool:
    """Take one grey scale for the other."""
    return not original(photometric, shape)


@quirk(
    "display.window_ignored",
    defect="DEF-119",
    severity="S3",
    overrides=ReaderHabits.window,
    notices="the lung is black at first sight (window against (0028,1050), (0028,1051))",
)
def window_ignored(
    original: Callable[[str, str], tuple[str, str]], center: str, width: str
) -> tuple[str, str]:
    """Open every image over the whole range."""
    return ("2048", "4096") if original(center, width) != ("", "") else ("", "")


@quirk(
    "sr.no_predecessor",
    defect="not listed",
    severity="S2",
    overrides=ReaderHabits.predecessor,
    notices="two structured reports contradict each other and none says which is newer ((0040,A360) missing)",
)
def no_predecessor(original: Callable[[str], str], sop: str) -> str:
    """Store every version as if it were the first."""
    return original(sop)[:0]


@quirk(
    "img.view_missing",
    defect="DEF-120",
    severity="S2",
    overrides=ReaderHabits.arranged,
    notices="one of two views never comes onto the screen (an image that was retrieved is not in the display order)",
)
def view_missing(
    original: Callable[[Sequence[tuple[float, str]]], list[str]], slices: Sequence[tuple[float, str]]
) -> list[str]:
    """Show all images but the last."""
    shown = original(slices)
    return shown[:-1] or shown


QUIRKS = collect(globals())
