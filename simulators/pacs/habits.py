"""The archive's decisions, each a pure function, so that a quirk can replace exactly one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .state import Failure, Instance, Person


class PacsHabits:
    """What a conforming archive does."""

    def keeps(self, _instance: Instance) -> bool:
        """Tell whether an accepted instance is really kept."""
        return True

    def duplicate(self, same_content: bool) -> str:
        """Say what happens to a SOP Instance UID that is here already: ``same``, ``refuse``, ``replace`` or ``delete``."""
        return "same" if same_content else "refuse"

    def failures(self, failed: tuple[Failure, ...]) -> tuple[Failure, ...]:
        """Return the failures that are reported."""
        return failed

    def calls_back(self) -> bool:
        """Tell whether a result that finds its association gone is brought on a new one (PS3.4 J.3.3)."""
        return True

    def merges(self) -> bool:
        """Tell whether an acknowledged A40 is carried out."""
        return True

    def changes_identifiers(self, prior: str) -> bool:
        """Tell whether a change of identifier (A47) is carried out."""
        return bool(prior)

    def admits_failure(self, problem: str) -> bool:
        """Tell whether a message that could not be carried out is answered AE."""
        return bool(problem)

    def lists(self, person: Person) -> bool:
        """Tell whether a patient is offered to queries: not when merged away."""
        return not person.merged_into

    def names(self, name: str) -> str:
        """Return the DICOM PN filed for a name that came in a PID-5."""
        return name

    def study_count(self, own: int, brought: int) -> int:
        """Return Number of Patient Related Studies: ``own`` under this ID and ``brought`` here by merges."""
        return own + brought

    def rewrites(self, changes: dict[str, Any]) -> dict[str, Any]:
        """Return the patient attributes that are put into an object on its way out, so that it agrees with the index."""
        return changes

    def modalities(self, found: Sequence[str]) -> list[str]:
        """Return Modalities in Study from the Modality of each series."""
        return sorted(set(found))

    def delivers(self, instances: list[Instance]) -> list[Instance]:
        """Return what is delivered of the instances that were asked for."""
        return instances

    def pixels(self, value: bytes) -> bytes:
        """Return the pixels that are delivered for those that were stored."""
        return value

    def completed(self, done: int) -> int:
        """Return Number of Completed Sub-operations."""
        return done

    def published(self, instances: list[Instance]) -> list[Instance]:
        """Return the instances that ImagingStudy shows of a study: all of them, always."""
        return instances

    def published_accession(self, accession: str) -> str:
        """Return the accession number that ImagingStudy shows."""
        return accession
