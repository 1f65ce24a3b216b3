"""Diagnostic reports with all their versions: nothing that was once signed disappears."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

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
        critical: somebody must be told at once; ``sr``: SOP Instance UID of the structured report that says the same.
        pdf: the report as a page, base64; ``link``: where its images are shown.
        late: it came after a version that supersedes it, so it never became current.
    """

    number: int
    kind: str
    text: str
    author: str = ""
    at: str = ""
    late: bool = False
    critical: bool = False
    sr: str = ""
    pdf: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """The report of one requested procedure.

    Attributes:
        filler: filler order number (OBR-3), the key that stays the same over all versions.
        status: a state of ``lifecycles.REPORT``; empty before the first version.
        acknowledged_by: who took note of a critical result; ``read_back`` whether they repeated it.
    """

    filler: str
    accession: str
    patient: str
    study: str = ""
    status: str = ""
    versions: tuple[ReportVersion, ...] = ()
    acknowledged_by: str = ""
    acknowledged_at: str = ""
    read_back: bool = False

    @property
    def current(self) -> ReportVersion | None:
        """Return the newest version that counts."""
        return next((version for version in reversed(self.versions) if not version.late), None)

    @property
    def waits(self) -> bool:
        """Tell whether a critical result of this report was not acknowledged yet."""
        return any(version.critical for version in self.versions) and not self.acknowledged_by

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

    def with_version(self, letter: str, text: str, *, author: str = "", at: str = "", **also: Any) -> Report:
        """Return the report with one more version; a preliminary that comes late is kept, but never current.

        ``also`` are further fields of the version, such as ``critical``.

        Raises:
            IllegalTransition: the version contradicts the life cycle, such as a correction before any result.
        """
        try:
            status, late = follow(REPORT, self.status, letter), False
        except IllegalTransition:
            if letter != "P" or not self.status:
                raise
            status, late = self.status, True
        version = ReportVersion(len(self.versions) + 1, WORD[letter], text, author, at, late, **also)
        return replace(self, status=status, versions=(*self.versions, version))
