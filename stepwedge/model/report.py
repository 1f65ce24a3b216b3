"""Diagnostic reports with all their versions: nothing that was once signed disappears."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from stepwedge.model.lifecycles import REPORT, IllegalTransition, follow

WORD: Final = {"P": "preliminary", "F": "final", "C": "corrected", "A": "addendum", "X": "cancelled"}
"""HL7 table 0123 (OBR-25) in words; ``A`` is ours, for a final result with an addendum."""


@dataclass(frozen=True, slots=True)
class ReportVersion:
    """One version as it arrived.

    Attributes:
        kind: ``preliminary``, ``final``, ``corrected``, ``addendum`` or ``cancelled``.
        text: what this version adds or says, lines joined by a newline.
        at: when it was received or signed, ``YYYYMMDDHHMMSS``.
        late: it came after a version that supersedes it, so it never became current.
    """

    number: int
    kind: str
    text: str
    author: str = ""
    at: str = ""
    late: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """The report of one requested procedure.

    Attributes:
        filler: filler order number (OBR-3), the key that stays the same over all versions.
        status: a state of ``lifecycles.REPORT``; empty before the first version.
    """

    filler: str
    accession: str
    patient: str
    study: str = ""
    status: str = ""
    versions: tuple[ReportVersion, ...] = ()

    @property
    def text(self) -> str:
        """Return what a physician reads now: the current version with the addenda that followed it."""
        told: list[str] = []
        for version in self.versions:
            if version.late:
                continue
            if version.kind == "addendum":
                told.append(f"ADDENDUM: {version.text}")
            else:
                told = [version.text]
        return "" if self.status == "cancelled" else "\n".join(told)

    def with_version(self, letter: str, text: str, *, author: str = "", at: str = "") -> Report:
        """Return the report with one more version; a preliminary that comes late is kept, but never current.

        Raises:
            IllegalTransition: the version contradicts the life cycle, such as a correction before any result.
        """
        try:
            status, late = follow(REPORT, self.status, letter), False
        except IllegalTransition:
            if letter != "P" or not self.status:
                raise
            status, late = self.status, True
        version = ReportVersion(len(self.versions) + 1, WORD[letter], text, author, at, late)
        return replace(self, status=status, versions=(*self.versions, version))
