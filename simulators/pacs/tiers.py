"""Where studies lie, and for how long they are kept: online, nearline, offline, and gone (PS3.4 C.4.1.1.3.2). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import BadInput

if TYPE_CHECKING:
    from .state import Archive, Instance, Study

ONLINE, NEARLINE, OFFLINE = TIERS = ("ONLINE", "NEARLINE", "OFFLINE")
DAYS_A_YEAR: Final = 365.25


@dataclass(frozen=True, slots=True)
class Place:
    """Where a study lies; without such a row it is online.

    Attributes:
        hold: a legal hold keeps it from being deleted, whatever its age.
    """

    study: str
    tier: str = ONLINE
    hold: bool = False
    at: str = ""


@dataclass(frozen=True, slots=True)
class Removal:
    """The trace of a study that was deleted."""

    study: str
    reason: str
    count: int
    accession: str = ""
    patient: str = ""
    at: str = ""


@dataclass(frozen=True, slots=True)
class Retention:
    """How long studies are kept.

    Attributes:
        years: years after the study for each modality; ``*`` is for all others; nothing for a modality keeps for ever.
        minors: age until which the studies of a patient are kept at least.
    """

    years: Mapping[str, int]
    minors: int = 0

    @classmethod
    def read(cls, given: Mapping[str, Any], place: str) -> Retention:
        """Read ``{years: {CT: 8, "*": 10}, minors: 25}``."""
        years = given.get("years") or {}
        if set(given) - {"years", "minors"} or not isinstance(years, Mapping):
            raise BadInput(f"{place}.retention", "years (a mapping by modality) and minors", str(dict(given)))
        for name, value in (*years.items(), ("minors", given.get("minors", 0))):
            if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 200:  # noqa: PLR2004 - a lifetime
                raise BadInput(f"{place}.retention: {name}", "a number of years, 0 to 200", repr(value))
        return cls({str(name): value for name, value in years.items()}, given.get("minors", 0))


def day_of(text: str) -> date | None:
    """Read a DA value; None for anything else."""
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:8])) if len(text) == 8 else None  # noqa: PLR2004 - VR DA
    except ValueError:
        return None


def plus_years(day: date, years: int) -> date:
    """Return the same day years later; 29 February becomes 1 March, so that nothing goes a day early."""
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return date(day.year + years, 3, 1)


def keep_until(archive: Archive, study: Study, rule: Retention) -> date | None:
    """Return the last day a study is kept; None keeps it for ever: on hold, of no known day, or by no rule."""
    place = archive.places.get(study.uid)
    instances = archive.instances.by("study", study.uid)
    days = [day for one in instances if (day := day_of(str(one.header.get("StudyDate", ""))))]
    if (place is not None and place.hold) or not days:
        return None
    modalities = {str(one.header.get("Modality", "")) for one in instances}
    terms = [rule.years.get(one, rule.years.get("*")) for one in modalities]
    if any(term is None for term in terms):
        return None
    last = plus_years(max(days), max(term for term in terms if term is not None))
    born = day_of(archive.person_of(instances[0]).birth_date)
    return max(last, plus_years(born, rule.minors)) if born and rule.minors else last


def expired(archive: Archive, rule: Retention, today: date) -> list[str]:
    """Return the studies whose last day is over."""
    return [
        study.uid
        for study in archive.studies.values()
        if archive.instances.by("study", study.uid)
        and archive.habits.expires(keep_until(archive, study, rule), today)
    ]


def remove(archive: Archive, study: str, reason: str, at: str) -> list[Instance]:
    """Delete every instance of a study, leave its trace, and return what was deleted."""
    gone = archive.instances.by("study", study)
    for one in gone:
        del archive.instances[one.sop]
    row = archive.studies[study]
    archive.removals[study] = Removal(study, reason, len(gone), row.accession, row.patient, at)
    if study in archive.places:
        del archive.places[study]
    return gone
