"""What the archive can do of SOP Class Extended Negotiation for query and retrieval (PS3.4 C.5.1.1, C.5.2.1, C.5.3.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from stepwedge.wire.dictionary import vr_of
from stepwedge.wire.elements import match
from stepwedge.wire.matching import moments
from stepwedge.wire.names import similar
from stepwedge.wire.services import (
    PATIENT_FIND,
    PATIENT_GET,
    PATIENT_MOVE,
    STUDY_FIND,
    STUDY_GET,
    STUDY_MOVE,
)

if TYPE_CHECKING:
    from stepwedge.wire.dimse import PeerInfo

    from .habits import PacsHabits

RELATIONAL, COMBINED, FUZZY = 0, 1, 2
"""Options of C-FIND by byte; timezone query adjustment (3) and enhanced multi-frame conversion (4) are not given."""
OPTIONS: Final = {
    **dict.fromkeys((PATIENT_FIND, STUDY_FIND), b"\1\1\1\0\0"),
    **dict.fromkeys((PATIENT_MOVE, STUDY_MOVE, PATIENT_GET, STUDY_GET), b"\1\0"),
}
MOMENTS: Final = (
    ("StudyDate", "StudyTime"),
    ("SeriesDate", "SeriesTime"),
    ("AcquisitionDate", "AcquisitionTime"),
    ("ContentDate", "ContentTime"),
    ("PerformedProcedureStepStartDate", "PerformedProcedureStepStartTime"),
)
"""Pairs of date and time that are one moment (PS3.4 C.2.2.2.5.3)."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """What one query or retrieval may do beyond the baseline."""

    relational: bool = False
    combined: bool = False
    fuzzy: bool = False

    @classmethod
    def of(cls, peer: PeerInfo, model: str, habits: PacsHabits) -> Agreement:
        """Return what was negotiated for a SOP class on this association."""
        return cls(
            habits.relational(peer.agreed(model, RELATIONAL)),
            peer.agreed(model, COMBINED),
            habits.fuzzy(peer.agreed(model, FUZZY)),
        )

    def literal(self, identifier: dict[str, Any]) -> dict[str, Any]:
        """Return the keys that are matched by letter, which an index can follow."""
        return {key: value for key, value in identifier.items() if not (self.fuzzy and vr_of(key) == "PN")}

    def matches(self, identifier: dict[str, Any], row: dict[str, Any]) -> bool:
        """Tell whether a row answers the keys (PS3.4 C.2.2.2)."""
        rest = identifier
        if self.combined:
            for date, time in MOMENTS:
                if rest.get(date) and rest.get(time):
                    if not moments(
                        str(rest[date]), str(rest[time]), str(row.get(date, "")), str(row.get(time, ""))
                    ):
                        return False
                    rest = {key: value for key, value in rest.items() if key not in {date, time}}
        if self.fuzzy:
            names = {key: value for key, value in rest.items() if vr_of(key) == "PN" and value}
            if not all(similar(str(value), str(row.get(key, ""))) for key, value in names.items()):
                return False
            rest = {key: value for key, value in rest.items() if key not in names}
        return match(rest, row)


BASELINE: Final = Agreement()
