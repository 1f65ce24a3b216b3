"""What an archive is asked to keep, and what its sender knows of it: written down before the first byte leaves."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from stepwedge.clock import SystemClock
from stepwedge.load.ledger import Ledger, State
from stepwedge.model.identifiers import Mint, digits
from stepwedge.sim import phantoms
from stepwedge.wire.elements import EXPLICIT_LE, encode
from stepwedge.wire.results import Instance

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from stepwedge.wire.elements import Elements

NAME: Final = "intents"
PATIENT: Final = "SYNTHETIC^ENDURANCE"


@dataclass
class Image:
    """One image that is to be kept, and what its sender knows of it.

    Attributes:
        state: empty as long as nothing of it was sent.
        status: what the archive said last, a DIMSE status or an HTTP code and reason.
    """

    instance: Instance
    elements: Elements
    state: State | Literal[""] = ""
    status: str = ""

    @property
    def sop(self) -> str:
        """Its SOP Instance UID."""
        return self.instance.sop_instance

    @property
    def pixels(self) -> str:
        """The SHA-256 of its pixels."""
        return hashlib.sha256(self.elements["PixelData"]).hexdigest()

    @property
    def unknown(self) -> bool:
        """Whether nobody can say what became of it."""
        return self.state == "attempted"


@dataclass
class Study:
    """The images of one round, all of one series."""

    uid: str
    series: str
    patient: str
    images: list[Image] = field(default_factory=list)

    def having(self, state: str) -> list[Image]:
        """Return the images of which this is known."""
        return [one for one in self.images if one.state == state]


def study(seed: int, number: int, count: int) -> Study:
    """Make the images of round ``number``: synthetic, and the same for the same seed."""
    mint = Mint(seed, f"endure-{number}")
    said = Study(mint.uid("study"), mint.uid("series"), mint.patient_id())
    shape, at = phantoms.recipe("ct-chest"), SystemClock().now()
    common = {
        "SpecificCharacterSet": "ISO_IR 100",
        "PatientName": PATIENT,
        "PatientID": said.patient,
        "IssuerOfPatientID": "STEPWEDGE",
        "PatientBirthDate": "19700101",
        "PatientSex": "O",
        "StudyInstanceUID": said.uid,
        "SeriesInstanceUID": said.series,
        "FrameOfReferenceUID": mint.uid("frame"),
        "PositionReferenceIndicator": "",
        "StudyDate": f"{at:%Y%m%d}",
        "StudyTime": f"{at:%H%M%S}",
        "AccessionNumber": "SW" + digits(10, seed, "endure", number),
        "StudyID": "1",
        "ReferringPhysicianName": "",
        "SeriesNumber": "1",
        "Manufacturer": "Stepwedge",
    }
    for each in range(1, count + 1):
        elements = phantoms.image(shape, each, at, seed, number) | common
        elements["SOPInstanceUID"] = mint.uid("instance")
        data = encode(elements, explicit=True)
        instance = Instance(elements["SOPClassUID"], elements["SOPInstanceUID"], EXPLICIT_LE, data)
        said.images.append(Image(instance, elements))
    return said


class Intents:
    """The ledger of the images of a run (RELIABILITY invariants I1 to I6)."""

    def __init__(self, folder: Path) -> None:
        self._ledger = Ledger(folder, NAME)

    def note(self, images: Iterable[Image], state: State, number: int, door: str, status: str = "") -> None:
        """Note what is now true of images; what was acknowledged once stays so, whatever becomes of a repetition."""
        for one in images:
            if state != "attempted" or not one.state:
                one.state = "acknowledged" if one.state == "acknowledged" else state
            one.status = status or one.status
            self._ledger.write("instance", one.sop, state, round=number, door=door, status=status)

    def close(self) -> None:
        """Close the file."""
        self._ledger.close()
