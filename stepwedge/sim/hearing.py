"""What of a patient is newest, and what came behind it: messages may overtake one another on their way (ITI-30, EVN-2)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from stepwedge.sim.tables import Table


@dataclass(frozen=True, slots=True)
class Heard:
    """When the newest event of a patient happened (EVN-2), and how many older ones came behind it and were left out."""

    at: str
    left_out: int = 0


def stale(heard: Table[Heard], patient: str, at: str, outdated: Callable[[str, str], bool]) -> bool:
    """Note when an event happened; tell whether a newer one is known, so that this one must not be applied (IDM-13).

    ``outdated(told, known)`` decides which of two times is too old, both ``YYYYMMDDHHMMSS``.
    """
    known = heard.get(patient) or Heard("")
    if at and known.at and outdated(at, known.at):
        heard[patient] = replace(known, left_out=known.left_out + 1)
        return True
    if at > known.at:
        heard[patient] = replace(known, at=at)
    return False
