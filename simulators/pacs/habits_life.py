"""The archive's decisions about the life of objects; each can be replaced by a quirk, like those in :mod:`.habits`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .rejection import EXPIRED

if TYPE_CHECKING:
    from collections.abc import Sequence


class LifeHabits:
    """What a conforming archive does as objects come, are withdrawn, move and go."""

    def takes_note(self, code: str) -> bool:
        """Carry a rejection note out (RAD-66)."""
        return bool(code)

    def rejects(self, named: Sequence[str], _here: Sequence[str]) -> Sequence[str]:
        """Reject exactly what a note names, here already or not."""
        return named

    def readmits(self, code: str) -> bool:
        """Show an instance again that is sent again: only one that was deleted by the retention policy (RAD-66)."""
        return code == EXPIRED

    def notice(self, attributes: dict[str, Any]) -> dict[str, Any]:
        """Return the content of an availability notice."""
        return attributes

    def tier(self, tier: str) -> str:
        """Return the availability told of instances that lie in a tier."""
        return tier
