"""The scanner's decisions, each a pure function, so that a quirk can replace exactly one of them."""

from __future__ import annotations

from typing import Any

Elements = dict[str, Any]


class ModalityHabits:
    """What a conforming scanner does."""

    def worklist(self, answers: list[Elements], _before: list[Elements]) -> list[Elements]:
        """Return what the console shows: the answers of now, not those it had ``before`` (RAD-5)."""
        return answers

    def study(self, scheduled: str, _own: str) -> str:
        """Return the Study Instance UID of the exam: that of the worklist (RAD TF-2 appendix A)."""
        return scheduled

    def request_attributes(self, items: list[Elements], _earlier: list[Elements]) -> list[Elements]:
        """Return the Request Attributes Sequence: one item per step performed, whatever ``earlier`` exams had."""
        return items

    def performed(self, references: list[Elements]) -> list[Elements]:
        """Return the images that the completed step lists: all that were acquired."""
        return references

    def image(self, elements: Elements) -> Elements:
        """Return the image that is kept and sent: as it was acquired, every frame and colour of it."""
        return elements

    def may_delete(self, status: str) -> bool:
        """Free the disk only of what the archive has committed itself to (PS3.4 annex J)."""
        return status == "committed"
