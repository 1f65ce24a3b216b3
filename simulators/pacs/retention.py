"""How long studies are kept, and the note by which the archive lets go of them (IHE IOCM, RAD-66). Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import BadInput
from stepwedge.sim import keyobjects

from .rejection import EXPIRED
from .selecting import matches, read_conditions, same_mapping

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from .state import Archive, Instance

Elements = dict[str, Any]

LONGEST: Final = 200 * 366
"""Days of a rule at most."""


@dataclass(frozen=True, slots=True)
class Term:
    """One rule of retention.

    Attributes:
        modality: pattern of the Modality it is for.
        days: how many days after the Study Date an object may go.
        keep_if: conditions on the object; one that meets all of them is kept for ever.
    """

    modality: str
    days: int
    keep_if: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def read(cls, given: Any, place: str) -> Term:
        """Read ``{modality: CT, days: 3650, keep_if: {body_part: BREAST}}``; without modality it is for all."""
        known = same_mapping(given, ("modality", "days", "keep_if"), f"{place}.retention")
        days = known.get("days")
        if not isinstance(days, int) or isinstance(days, bool) or not 0 <= days <= LONGEST:
            raise BadInput(f"{place}.retention: days", f"a number of days, 0 to {LONGEST}", repr(days))
        keep_if = read_conditions(known.get("keep_if") or {}, f"{place}.retention: keep_if")
        return cls(str(known.get("modality") or "*"), days, keep_if)


def day_of(text: str) -> date | None:
    """Read a DA value (PS3.5 table 6.2-1); None for anything else."""
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:8])) if len(text) == len("YYYYMMDD") else None
    except ValueError:
        return None


def last_day(terms: Sequence[Term], instance: Instance) -> date | None:
    """Return the last day an object is kept: that of the first rule for its modality; None keeps it for ever."""
    taken = day_of(str(instance.header.get("StudyDate", "")))
    for term in terms:
        if matches({"modality": (term.modality,)}, instance):
            keeps = bool(term.keep_if) and matches(term.keep_if, instance)
            return None if keeps or taken is None else taken + timedelta(days=term.days)
    return None


def expired(archive: Archive, terms: Sequence[Term], today: date) -> list[str]:
    """Return the studies of which no object need be kept any longer and that no legal hold protects."""
    over = []
    for study in archive.studies:
        instances = archive.remaining(study)
        days = [last_day(terms, one) for one in instances]
        free = bool(days) and all(archive.habits.expires(day, today) for day in days)
        if free and not archive.habits.held(archive.held(study)):
            over.append(study)
    return over


def farewell(
    opened: Sequence[Mapping[str, Any]], uids: tuple[str, str], at: datetime, maker: str
) -> Elements:
    """Return the rejection note (113039, DCM) that takes every object of a study away.

    ``opened`` are the objects, each with patient and study as known now; ``uids`` are those of the note, series and instance.
    """
    return keyobjects.selection(EXPIRED, opened[0], opened, uids, at, maker=maker)
