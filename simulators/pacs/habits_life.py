"""The archive's decisions about the life of objects; each can be replaced by a quirk, like those in :mod:`.habits`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .rejection import EXPIRED
from .tiers import NEARLINE

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

    def makes_task(self, wanted: bool) -> bool:
        """Tell whether an exam that is over and all here becomes a reading task: where the site wants that."""
        return wanted

    def free_to_claim(self, state: str) -> bool:
        """Tell whether a workitem may be claimed: nobody did before (PS3.4 table CC.1.1-2)."""
        return state == "SCHEDULED"

    def tells(self, receivers: list[str]) -> list[str]:
        """Report a change of a workitem to everybody who watches it (PS3.4 CC.2.4)."""
        return receivers

    def has_lock(self, shown: bool) -> bool:
        """Tell whether who changes a claimed workitem shows its Transaction UID, that of the claim (PS3.4 CC.1.1)."""
        return shown

    def task_is_over(self, ended: bool) -> bool:
        """Tell whether nothing of a workitem may be changed any more: completed and canceled are final."""
        return ended

    def expires(self, last: date | None, today: date) -> bool:
        """Tell whether an object may be deleted: the last day it is kept, None for ever, is over."""
        return last is not None and last < today

    def held(self, hold: bool) -> bool:
        """Tell whether a legal hold keeps a study from being deleted."""
        return hold

    def passes_note_on(self, went: Sequence[str]) -> Sequence[str]:
        """Send a rejection note after its images, wherever they ``went`` (RAD-66)."""
        return went

    def brings_back(self, tier: str) -> bool:
        """Bring what lies nearline back before it is sent."""
        return tier == NEARLINE

    def insists(self, word: str) -> bool:
        """Go on sending to a destination that is down or full, until the object is there."""
        return bool(word)

    def routed_to(self, named: Sequence[str]) -> Sequence[str]:
        """Return where an object goes of what its rule names."""
        return named

    def fetches(self, wanted: str, moment: str) -> bool:
        """Tell whether priors are fetched ahead at this moment: when the rule says so."""
        return wanted == moment

    def whose(self, own: Sequence[str], _everybody: Sequence[str]) -> Sequence[str]:
        """Return the keys of the patient records whose studies are priors: the patient's, with all that was merged into it."""
        return own
