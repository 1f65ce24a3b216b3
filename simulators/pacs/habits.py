"""The archive's decisions, each a pure function, so that a quirk can replace exactly one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .habits_life import LifeHabits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stepwedge.model.patient import Patient

    from .rendering import Window
    from .state import Failure, Instance, Person


class PacsHabits(LifeHabits):
    """What a conforming archive does."""

    def keeps(self, _instance: Instance) -> bool:
        """Tell whether an accepted instance is really kept."""
        return True

    def keys(self, identifier: dict[str, Any]) -> dict[str, Any]:
        """Take every key of a query as it was sent (PS3.4 C.2.2.2)."""
        return identifier

    def answers(self, identifier: dict[str, Any], row: dict[str, Any]) -> bool:
        """Answer with every row that matches, whatever it leaves unsaid (PS3.4 C.2.2.2.3)."""
        return bool(row) and identifier is not None

    def ended(self, status: int) -> int:
        """End a retrieval with what became of it: all, some, none, or called off (PS3.4 table C.4-2)."""
        return status

    def reroutes(self, calling: str) -> str:
        """Send nothing when nobody knows where the destination is, to whoever is ``calling`` either (A801)."""
        return calling[:0]

    def marks(self, transfer_syntax: str) -> str:
        """Write into a file the transfer syntax in which it is ((0002,0010), PS3.10 section 7.1)."""
        return transfer_syntax

    def described(self, elements: dict[str, Any]) -> dict[str, Any]:
        """Describe an image with everything that its file says (PS3.18 section 10.4.1.1.2)."""
        return elements

    def unnumbered(self, study: str) -> str:
        """Keep patients without a number apart, each by the study in which they came; the name alone is nobody's."""
        return study

    def notices(self, damaged: bool) -> bool:
        """Notice that an image is not on the disk as it came, by the digest that was made then."""
        return damaged

    def refuses_short(self, missing: int) -> bool:
        """Refuse an image whose pixels are not all there (PS3.4 B.2.3: C000, cannot understand)."""
        return missing > 0

    def refuses_when_full(self, status: int) -> int:
        """Return what an instance is answered for which there is no room on the disk (A700)."""
        return status

    def duplicate(self, same_content: bool) -> str:
        """Say what happens to a SOP Instance UID that is here already: ``same``, ``refuse``, ``replace`` or ``delete``."""
        return "same" if same_content else "refuse"

    def failures(self, failed: tuple[Failure, ...]) -> tuple[Failure, ...]:
        """Return the failures that are reported."""
        return failed

    def remembers(self, owed: bool) -> bool:
        """Tell whether a result is brought on the next association of its requester: when it is owed."""
        return owed

    def calls_back(self) -> bool:
        """Tell whether a result that finds its association gone is brought on a new one (PS3.4 J.3.3)."""
        return True

    def adopts(self, accession: str) -> bool:
        """Put a study that nobody had ordered under the order that was made for it afterwards (IHE PIR)."""
        return bool(accession)

    def merges(self) -> bool:
        """Tell whether an acknowledged A40 is carried out."""
        return True

    def changes_identifiers(self, prior: str) -> bool:
        """Tell whether a change of identifier (A47) is carried out."""
        return bool(prior)

    def admits_failure(self, problem: str) -> bool:
        """Tell whether a message that could not be carried out is answered AE."""
        return bool(problem)

    def merges_into_unknown(self, known: bool) -> bool:
        """Take a merge into a number nobody has for a change of identifier (ITI-30 3.30.6.4.4)."""
        del known
        return True

    def stays(self, patient: Patient) -> Patient:
        """Let a merge leave the record that the message names, and make no third one."""
        return patient

    def refuses_circle(self, circle: bool) -> bool:
        """Refuse a merge of a record into itself, directly or by way of others."""
        return circle

    def refuses_charset(self, term: str) -> bool:
        """Take objects in every character set that can be read, whatever the patient's record is written in."""
        del term
        return False

    def lists(self, person: Person) -> bool:
        """Tell whether a patient is offered to queries: not when merged away."""
        return not person.merged_into

    def names(self, name: str) -> str:
        """Return the DICOM PN filed for a name that came in a PID-5."""
        return name

    def issuer(self, issuer: str) -> str:
        """Keep who assigned a patient ID: the same number of two houses is two people (PS3.3 C.7.1.1, (0010,0021))."""
        return issuer

    def refuses_study(self, owner: str) -> bool:
        """Refuse an exam that is announced under the study of another patient, ``owner`` (PS3.5 section 9.1)."""
        return bool(owner)

    def hides_mistaken(self, reason: str) -> bool:
        """Hide the images of an exam begun from the wrong worklist entry: 110514 DCM (IHE RAD TF-2 RAD-7)."""
        return reason.startswith("110514^")

    def outdated(self, told: str, known: str) -> bool:
        """Leave out what is older than what is known of a patient (EVN-2)."""
        return told < known

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

    def transcoded(self, value: bytes) -> bytes:
        """Return the decoded pixels that are put into another transfer syntax."""
        return value

    def relational(self, agreed: bool) -> bool:
        """Tell whether a query may leave out the keys above its level: when that was negotiated."""
        return agreed

    def fuzzy(self, agreed: bool) -> bool:
        """Tell whether names are matched fuzzily: when that was negotiated."""
        return agreed

    def originals(self, item: dict[str, Any]) -> dict[str, Any]:
        """Return the item of the Original Attributes Sequence that tells what was changed on the way out."""
        return item

    def sends(self, transfer_syntax: str) -> str:
        """Return the transfer syntax of an object that leaves over DICOMweb: the one that was negotiated."""
        return transfer_syntax

    def frame(self, number: int, _count: int) -> int:
        """Return the frame that is given for a frame number, both from 1."""
        return number

    def window(self, wanted: Window | None) -> Window | None:
        """Return the window of a rendered picture: the one that was asked for, or None for the object's own."""
        return wanted

    def completed(self, done: int) -> int:
        """Return Number of Completed Sub-operations."""
        return done

    def published(self, instances: list[Instance]) -> list[Instance]:
        """Return the instances that ImagingStudy shows of a study: all of them, always."""
        return instances

    def published_accession(self, accession: str) -> str:
        """Return the accession number that ImagingStudy shows."""
        return accession
