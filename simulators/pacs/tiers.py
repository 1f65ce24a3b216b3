"""Where studies lie: online, nearline, offline, and gone (PS3.4 C.4.1.1.3.2). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .state import Archive, Instance

ONLINE, NEARLINE, OFFLINE = TIERS = ("ONLINE", "NEARLINE", "OFFLINE")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a study lies, and whether a legal hold keeps it; without such a row it is online and free."""

    study: str
    tier: str = ONLINE
    at: str = ""
    hold: bool = False


@dataclass(frozen=True, slots=True)
class Removal:
    """The trace of a study that was deleted."""

    study: str
    reason: str
    count: int
    accession: str = ""
    patient: str = ""
    at: str = ""


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
