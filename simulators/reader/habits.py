"""The reading workstation's decisions, each a pure function, so that a quirk can replace exactly one of them."""

from __future__ import annotations


class ReaderHabits:
    """What a conforming reading workstation does."""

    def accession(self, study: str, previous: str) -> str:
        """Return the accession number a report is signed under: that of the study that was read, not the ``previous``."""
        return study
