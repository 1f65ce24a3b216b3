"""The scanner's decisions, each a pure function, so that a quirk can replace exactly one of them."""

from __future__ import annotations

from typing import Any

Elements = dict[str, Any]


class ModalityHabits:
    """What a conforming scanner does."""

    def worklist(self, answers: list[Elements], _before: list[Elements]) -> list[Elements]:
        """Return what the console shows: the answers of now, not those it had ``before`` (RAD-5)."""
        return answers

    def whole(self, category: str) -> bool:
        """Take a list for the worklist only when its last response says that it is whole (PS3.4 table C.4-1)."""
        return category == "success"

    def taken(self, category: str) -> bool:
        """Count an object as stored when the archive took it, with a warning or without (PS3.4 table B.2-1)."""
        return category in {"success", "warning"}

    def goes_on(self, category: str) -> bool:
        """Go on with an exam only when its performed step was accepted (RAD-6, RAD-7)."""
        return category in {"success", "warning"}

    def acceptance(self, set_to: str) -> str:
        """Treat a faulty worklist entry as the console is set to: ``strict`` refuses it, ``lenient`` mends it."""
        return set_to

    def noted(self, keys: list[str]) -> list[str]:
        """Say what of a worklist entry had to be mended."""
        return keys

    def shown_as_old(self) -> bool:
        """Mark a worklist that could not be fetched anew as what it is: old."""
        return True

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

    def frame(self, shared: str, own: str) -> str:
        """Return the Frame of Reference UID of a series: that of the series it is ``shared`` with (PS3.3 C.7.4.1)."""
        return shared or own

    def reports_dose(self) -> bool:
        """Write a dose report of what was irradiated (IHE RAD REM)."""
        return True

    def summed(self, exposures: list[Any]) -> list[Any]:
        """Return the irradiation events that the dose report tells and adds up: all of them."""
        return exposures

    def dose_unit(self, unit: str) -> str:
        """Return how a unit of dose is written: in UCUM, as the template asks for it (PS3.16 TID 10002, 10012)."""
        return unit

    def dose_report(self, report: Elements, _before: Elements) -> Elements:
        """Return the dose report that is kept: of this exam, not of the patient ``before``."""
        return report

    def performed_dose(self, told: Elements) -> Elements:
        """Return the radiation dose that the performed step tells: all of it (PS3.3 C.4.16)."""
        return told

    def reason(self, reason: str) -> str:
        """Return the reason that goes with a discontinued step: the one given (CID 9300)."""
        return reason

    def may_delete(self, status: str) -> bool:
        """Free the disk only of what the archive has committed itself to (PS3.4 annex J)."""
        return status == "committed"
