"""Image object change management (IHE IOCM, RAD-66): rejection notes, what they hide and what they delete. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .state import Archive, Instance

Elements = dict[str, Any]

KEY_OBJECT_SELECTION: Final = "1.2.840.10008.5.1.4.1.1.88.59"
QUALITY, SAFETY, WRONG_ENTRY, EXPIRED = "113001", "113037", "113038", "113039"
REASONS: Final = {
    # CID 7011, the four titles of RAD-66 4.66.4.1.3; coding scheme DCM
    QUALITY: "Rejected for Quality Reasons",
    SAFETY: "Rejected for Patient Safety Reasons",
    WRONG_ENTRY: "Incorrect Modality Worklist Entry",
    EXPIRED: "Data Retention Policy Expired",
}
REFERENCES_AT_MOST: Final = 100_000


@dataclass(frozen=True, slots=True)
class Rejection:
    """What a rejection note did to one instance, here already or still to come.

    Attributes:
        code: a key of ``REASONS``.
        note: SOP Instance UID of the note; that of the instance itself for the note.
        hidden: neither shown nor handed out.
        seen: the instance was here when it was rejected, so that it comes again when it comes.
    """

    sop: str
    code: str
    note: str
    study: str
    hidden: bool = True
    seen: bool = False
    at: str = ""


@dataclass(frozen=True, slots=True)
class RejectionNote:
    """A received note: its reason, and (study, series, SOP Instance UID) of what it rejects."""

    code: str
    references: tuple[tuple[str, str, str], ...]


def read(elements: Mapping[str, Any]) -> RejectionNote | None:
    """Return the rejection note that a data set is; None for any other object, a key image too."""
    if elements.get("SOPClassUID") != KEY_OBJECT_SELECTION:
        return None
    title: Elements = next(iter(elements.get("ConceptNameCodeSequence") or []), {})
    code = str(title.get("CodeValue", ""))
    if title.get("CodingSchemeDesignator") != "DCM" or code not in REASONS:
        return None
    references: list[tuple[str, str, str]] = []
    for reference in _references(elements):
        if len(references) >= REFERENCES_AT_MOST:
            return None
        references.append(reference)
    return RejectionNote(code, tuple(references))


def _references(elements: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield what Current Requested Procedure Evidence Sequence names (PS3.3 C.17.6.2): the whole selection."""
    for study in elements.get("CurrentRequestedProcedureEvidenceSequence") or []:
        for series in study.get("ReferencedSeriesSequence") or []:
            for item in series.get("ReferencedSOPSequence") or []:
                yield (
                    str(study.get("StudyInstanceUID", "")),
                    str(series.get("SeriesInstanceUID", "")),
                    str(item.get("ReferencedSOPInstanceUID", "")),
                )


def reject(archive: Archive, note: Instance, content: RejectionNote, at: str, *, quality: str) -> list[str]:
    """Carry a note out and return the studies it touches.

    Instances not here yet are rejected too: they are hidden when they come. ``quality`` is ``hide`` or ``show``, what
    becomes of images of poor quality (RAD-66 leaves it to the site); all others, and their notes, are always hidden.
    """
    named = [sop for _, _, sop in content.references]
    studies = {sop: study for study, _, sop in content.references}
    here = [
        one.sop for study in dict.fromkeys(studies.values()) for one in archive.instances.by("study", study)
    ]
    hidden = content.code != QUALITY or quality == "hide"
    for sop in archive.habits.rejects(named, [sop for sop in here if sop != note.sop]):
        study, seen = studies.get(sop, note.study), sop in archive.instances
        archive.rejections[sop] = Rejection(sop, content.code, note.sop, study, hidden, seen, at)
    archive.rejections[note.sop] = Rejection(
        note.sop, content.code, note.sop, note.study, content.code != QUALITY, seen=True, at=at
    )
    return list(dict.fromkeys(studies.values()))


def readmitted(archive: Archive, sop: str) -> bool:
    """Lift the rejection of an instance that is sent again, if its reason allows that, and tell whether it was lifted."""
    rejection = archive.rejections.get(sop)
    if rejection is None or not rejection.seen or not archive.habits.readmits(rejection.code):
        return False
    del archive.rejections[sop]
    return True


def doomed(archive: Archive, note: str) -> list[Instance]:
    """Return the instances of a note that expired: they, unlike the others, are deleted for good, unless a legal hold keeps them."""
    return [
        archive.instances[one.sop]
        for one in archive.rejections.values()
        if one.note == note != one.sop
        and one.code == EXPIRED
        and one.sop in archive.instances
        and not archive.habits.held(archive.held(archive.instances[one.sop].study))
    ]
