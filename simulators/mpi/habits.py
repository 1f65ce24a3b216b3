"""Every decision of the patient index that could also be taken wrongly, as a pure function."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .state import Record


class MpiHabits:
    """What a careful patient index does."""

    def fingerprint(self, family: str, given: str, birth_date: str, sex: str) -> str:
        """Return what two records of one person have in common; empty when too little is known to say.

        All four must be there and agree: twins share all but the given name.
        """
        parts = (family.casefold().strip(), given.casefold().strip(), birth_date, sex)
        return "|".join(parts) if all(parts) and len(birth_date) == len("YYYYMMDD") else ""

    def obeys(self, barred: bool) -> bool:
        """Tell whether two records stay apart that somebody has taken apart."""
        return barred

    def merges(self) -> bool:
        """Tell whether an A40 is followed."""
        return True

    def offers(self, record: Record) -> bool:
        """Tell whether a record is shown: not when it was merged away."""
        return not record.merged_into

    def notifies(self) -> bool:
        """Tell whether consumers hear of changed cross references."""
        return True

    def admits_unknown(self) -> bool:
        """Tell whether an identifier that nobody has is an error (ITI TF-2 3.9.4.2.2.8, case 3)."""
        return True

    def says_more(self) -> bool:
        """Tell whether an answer that is cut says how to go on (DSC)."""
        return True
