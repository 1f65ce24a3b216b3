"""The archive's decisions about the life of objects; each can be replaced by a quirk, like those in :mod:`.habits`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .rejection import EXPIRED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date


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

    def expires(self, last: date | None, today: date) -> bool:
        """Delete what was to be kept until a day only when that day is over."""
        return last is not None and today > last

    def destinations(self, wanted: Sequence[str], _all: Sequence[str]) -> Sequence[str]:
        """Send an object to every destination that a rule names."""
        return wanted

    def sends_back(self, sender: str, destination: str) -> bool:
        """Send an object to a destination, unless that is where it came from."""
        return sender != destination

    def prefetches(self, already: bool) -> bool:
        """Send a prior to a destination that does not have it from us yet."""
        return not already

    def delivered(self, status: str) -> bool:
        """Call an object sent only when the destination said so."""
        return status == "0000"

    def announces(self, event: str, _state: str) -> bool:
        """Tell every subscriber of every event of a workitem (PS3.4 CC.2.4)."""
        return bool(event)
