"""Every decision of the reading workstation that could also be taken wrongly, as a pure function."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class ReaderHabits:
    """What a conforming image display does."""

    def arranged(self, slices: Sequence[tuple[float, str]]) -> list[str]:
        """Show slices in the order of their position along the normal (PS3.3 C.7.6.2.1.1); (position, SOP) each."""
        return [sop for _, sop in sorted(slices)]

    def facing(self, right: str, bottom: str) -> tuple[str, str]:
        """Label the right and the bottom edge by the directions in which rows and columns run (PS3.3 C.7.6.1.1.1)."""
        return right, bottom

    def inverts(self, photometric: str, shape: str) -> bool:
        """Show low values bright where the image says so: MONOCHROME1, or Presentation LUT Shape INVERSE."""
        return photometric == "MONOCHROME1" or shape == "INVERSE"

    def gaps(self, missing: int) -> int:
        """Warn of every slice that is missing between two others."""
        return missing

    def window(self, center: str, width: str) -> tuple[str, str]:
        """Open an image in the window that it carries (PS3.3 C.11.2.1.2)."""
        return center, width

    def side(self, laterality: str) -> str:
        """Show the side as the image says it ((0020,0060), (0020,0062))."""
        return laterality

    def panics(self, *, critical: bool) -> bool:
        """Mark a critical result when it is signed (OBX-8)."""
        return critical

    def predecessor(self, sop: str) -> str:
        """Name the version that a newer structured report follows ((0040,A360))."""
        return sop
