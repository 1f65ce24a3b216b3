"""What the reading workstation knows: the studies it opened and the reports that were signed at it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from stepwedge.errors import BadInput
from stepwedge.model.patient import Patient, PersonName
from stepwedge.sim.messages import ReportEvent
from stepwedge.sim.tables import State

from .watching import News

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

AUTHOR = "READER^Rita"
"""The radiologist who signs, DICOM PN."""


@dataclass(frozen=True, slots=True)
class Signed:
    """One report as it was last sent.

    Attributes:
        event: what the ORU^R01 said; an addendum is kept in it.
        version: HL7 version of the order it answers.
        series: Series Instance UID of its structured reports; ``documents`` their SOP Instance UIDs, newest last.
        called: who was told of a critical result by telephone, and when.
    """

    number: str
    event: ReportEvent
    patient: Patient
    version: str
    series: str = ""
    documents: tuple[str, ...] = ()
    called: str = ""


class Desk(State):
    """The tables of the reading workstation."""

    def __init__(self, seed: int, name: str) -> None:
        super().__init__(seed, name)
        self.reports = self.table("reports", Signed)
        self.news = self.table("news", News)

    def sign(
        self, study: Mapping[str, Any], order: Mapping[str, Any], text: str, letter: str, now: datetime
    ) -> Signed:
        """Make the report of a study that was found in the archive.

        Patient and accession number are taken from the archive's answer, never from memory; ``order`` (may be empty)
        gives the numbers that an archive does not have.
        """
        signed = Signed(
            number=f"SWR{self.next('report'):06}",
            event=ReportEvent(
                letter=letter,
                accession=str(study.get("AccessionNumber", "")),
                text=text,
                placer=str(order.get("placer", "")),
                filler=str(order.get("filler", "")),
                study=str(study.get("StudyInstanceUID", "")),
                procedure=str(order.get("procedure", "")),
                procedure_text=str(study.get("StudyDescription", "")),
                author=AUTHOR,
                at=f"{now:%Y%m%d%H%M%S}",
            ),
            patient=patient_of(study),
            version=str(order.get("version") or "2.5.1"),
        )
        self.reports[signed.number] = signed
        return signed

    def addendum(
        self, number: str, text: str, letter: str, study: Mapping[str, Any], now: datetime
    ) -> Signed:
        """Add to a signed report: ``A`` appends and leaves the result final, ``C`` corrects the whole text."""
        if (old := self.reports.get(number)) is None:
            raise BadInput(f"{self.name}: report", "a report signed at this workstation", repr(number))
        at = f"{now:%Y%m%d%H%M%S}"
        event = old.event
        if letter == "A":
            added = f"{event.addendum}\n{text}" if event.addendum else text
            event = replace(event, letter="A", addendum=added, at=at)
        else:
            event = replace(event, letter="C", text=f"{full_text(event)}\n{text}", addendum="", at=at)
        signed = replace(old, event=event, patient=patient_of(study))
        self.reports[number] = signed
        return signed


def full_text(event: ReportEvent) -> str:
    """Return the whole text a reader of the report sees."""
    return f"{event.text}\n{event.addendum}" if event.addendum else event.text


def patient_of(study: Mapping[str, Any]) -> Patient:
    """Return the patient of an archive's answer."""
    return Patient(
        str(study.get("PatientID", "")),
        PersonName.from_dicom(str(study.get("PatientName", ""))),
        str(study.get("PatientBirthDate", "")),
        str(study.get("PatientSex", "")),
    )
