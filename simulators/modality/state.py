"""What the scanner knows: its console's worklist, its exams, the images on its disk, its commitments. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stepwedge.errors import BadInput
from stepwedge.model.lifecycles import MPPS, follow
from stepwedge.sim import performing
from stepwedge.sim.tables import State

from . import dose

if TYPE_CHECKING:
    from datetime import datetime

    from .habits import ModalityHabits

Elements = dict[str, Any]
MPPS_CLASS = "1.2.840.10008.3.1.2.3.3"
STEP = "ScheduledProcedureStepSequence"
Chosen = tuple[Elements, int]
"""A worklist entry, and which of its scheduled steps."""


@dataclass(frozen=True, slots=True)
class Exam:
    """One performed procedure step as the scanner does it.

    Attributes:
        study: the study the images go into.
        requests: the items of the images' Request Attributes Sequence.
        sent: the N-CREATE attributes, from which N-SET and the images repeat.
        status: a state of ``lifecycles.MPPS``.
    """

    uid: str
    study: str
    accession: str
    patient: str
    status: str
    requests: tuple[Elements, ...]
    entry: Elements
    sent: Elements
    step: int = 0


@dataclass(frozen=True, slots=True)
class Picture:
    """One image on the scanner's disk; it stays there until the archive has committed itself to it.

    Attributes:
        pixels: SHA-256 of the pixel data, "" for an object that has none; ``file`` is the name of the data set, explicit little endian.
        status: ``acquired``, ``stored``, ``refused``, ``committed`` or ``deleted``.
    """

    sop: str
    sop_class: str
    series: str
    study: str
    exam: str
    number: int
    pixels: str
    file: str
    status: str = "acquired"
    frames: int = 1


@dataclass(frozen=True, slots=True)
class Transaction:
    """One request for storage commitment and what came of it; ``arrived`` is empty, ``same``, ``new`` or ``next``."""

    uid: str
    sops: tuple[str, ...]
    committed: tuple[str, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()
    arrived: str = ""


@dataclass(frozen=True, slots=True)
class Shelf:
    """The worklist as the console fetched it for one query, and when, ``YYYYMMDDHHMMSS``."""

    entries: tuple[Elements, ...]
    fetched: str = ""


@dataclass(frozen=True, slots=True)
class Plug:
    """The network cable; ``apart`` is what keeps only the RIS out of reach."""

    out: bool
    apart: bool = False


@dataclass(frozen=True, slots=True)
class Waiting:
    """An N-CREATE or N-SET that waits for the network; ``verb`` is ``create`` or ``set``."""

    verb: str
    uid: str
    attributes: Elements


class Scanner(State):
    """The tables of the scanner, and what changes them."""

    def __init__(
        self, seed: int, name: str, ae_title: str, habits: ModalityHabits, modality: str = "CT"
    ) -> None:
        super().__init__(seed, name)
        self.ae_title = ae_title
        self.modality = modality
        self.habits = habits
        self.shelves = self.table("shelves", Shelf)
        self.exams = self.table("exams", Exam)
        self.exams.index("study", lambda exam: [exam.study])
        self.pictures = self.table("pictures", Picture)
        self.pictures.index("exam", lambda picture: [picture.exam])
        self.exposures = self.table("exposures", dose.Exposure)
        self.exposures.index("exam", lambda exposure: [exposure.exam])
        self.transactions = self.table("transactions", Transaction)
        self.plugs = self.table("plugs", Plug)
        self.waiting = self.table("waiting", Waiting)

    @property
    def unplugged(self) -> bool:
        """Whether the cable is out."""
        plug = self.plugs.get("network")
        return plug is not None and plug.out and not plug.apart

    @property
    def apart(self) -> bool:
        """Whether the RIS cannot be reached, with the cable out or without."""
        plug = self.plugs.get("network")
        return plug is not None and plug.out

    def wait(self, verb: str, uid: str, attributes: Elements) -> None:
        """Note what must be told when the network is back, in order."""
        self.waiting[f"{self.next('waiting'):09d}"] = Waiting(verb, uid, attributes)

    def start(self, chosen: list[Chosen], uid: str, own_study: str, now: datetime) -> Exam:
        """Begin the exam of one or several worklist entries (RAD-6); nothing is kept until the MPPS manager has taken it.

        The first entry says who the patient is and which study the images go into.
        """
        entry, step = chosen[0]
        study = self.habits.study(str(entry.get("StudyInstanceUID", "")), own_study)
        earlier = [item for exam in self.exams.by("study", study) for item in exam.requests]
        picked = [(each, each[STEP][place]) for each, place in chosen]
        asked = [item for each, scheduled in picked if (item := _request(each, scheduled))]
        return Exam(
            uid,
            study,
            str(entry.get("AccessionNumber", "")),
            str(entry.get("PatientID", "")),
            "IN PROGRESS",
            tuple(self.habits.request_attributes(asked, earlier)),
            entry,
            self._created(picked, study, uid, now),
            step,
        )

    def _created(
        self, picked: list[tuple[Elements, Elements]], study: str, uid: str, now: datetime
    ) -> Elements:
        """Return the attributes of N-CREATE (PS3.4 table F.7.2-1, types 1 and 2 complete)."""
        entry, scheduled = picked[0]
        return {
            "ScheduledStepAttributesSequence": [_scheduled(each, one, study) for each, one in picked],
            **patient_module(entry),
            **performing.begun(
                entry,
                scheduled,
                now,
                step=f"P{uid[-8:]}",
                ae_title=self.ae_title,
                station=self.name.upper(),
                modality=self.modality,
            ),
        }

    def finished(
        self, exam: Exam, event: str, now: datetime, spare: str, reason: str = ""
    ) -> tuple[str, Elements]:
        """Return the new status and the attributes of the final N-SET (RAD-7): every series with every image.

        A step without any image still lists one series, ``spare`` (PS3.4 table F.7.2-1, final state).
        """
        status = follow(MPPS, exam.status, event)
        attributes: Elements = {
            "PerformedProcedureStepStatus": status,
            "PerformedProcedureStepEndDate": f"{now:%Y%m%d}",
            "PerformedProcedureStepEndTime": f"{now:%H%M%S}",
            "PerformedSeriesSequence": self._series(exam, spare),
        }
        attributes |= self.habits.performed_dose(dose.performed(self.exposures.by("exam", exam.uid)))
        if reason := self.habits.reason(reason):
            attributes["PerformedProcedureStepDiscontinuationReasonCodeSequence"] = [code_item(reason)]
        return status, attributes

    def series_number(self, exam: Exam) -> int:
        """Return the Series Number of the next series of an exam's study."""
        return len({one.series for one in self.pictures.values() if one.study == exam.study}) + 1

    def _series(self, exam: Exam, spare: str) -> list[Elements]:
        """Return the Performed Series Sequence (PS3.3 C.4.15)."""
        pictures = self.pictures.by("exam", exam.uid)
        protocol = str(exam.sent["PerformedProcedureStepDescription"]) or self.modality
        return [
            {
                "PerformingPhysicianName": "",
                "ProtocolName": protocol,
                "OperatorsName": "",
                "SeriesInstanceUID": series,
                "SeriesDescription": protocol,
                "RetrieveAETitle": "",
                "ReferencedImageSequence": self.habits.performed(
                    [
                        {"ReferencedSOPClassUID": one.sop_class, "ReferencedSOPInstanceUID": one.sop}
                        for one in pictures
                        if one.series == series and one.pixels
                    ]
                ),
                "ReferencedNonImageCompositeSOPInstanceSequence": [
                    {"ReferencedSOPClassUID": one.sop_class, "ReferencedSOPInstanceUID": one.sop}
                    for one in pictures
                    if one.series == series and not one.pixels
                ],
            }
            for series in (dict.fromkeys(one.series for one in pictures) or [spare])
        ]

    def exam(self, mpps: Any) -> Exam:
        """Return the exam that a word's argument names: the result of start_exam, or its UID."""
        uid = mpps.get("uid", "") if isinstance(mpps, dict) else str(mpps)
        if (exam := self.exams.get(str(uid))) is None:
            raise BadInput(f"{self.name}: mpps", "an exam this scanner has started", repr(uid))
        return exam

    def chosen(self, images: Any) -> list[Picture]:
        """Return the pictures that a word's argument names: what acquire gave, or a list of such."""
        several = images if isinstance(images, list) else [images]
        sops = [one["sop"] for each in several for one in each.get("instances", ())]
        if missing := [sop for sop in sops if sop not in self.pictures]:
            raise BadInput(f"{self.name}: images", "images on this scanner's disk", missing[0])
        return [self.pictures[sop] for sop in sops]


def image_header(exam: Exam, scanner: str, series: str, series_number: int, frame: str) -> Elements:
    """Return what every image of a series repeats: patient, study, series, equipment; ``frame`` if they have one.

    PS3.3 table A.3-1; what must come from the worklist and from the performed step, RAD TF-2 appendix A.
    """
    sent = exam.sent
    date, time = sent["PerformedProcedureStepStartDate"], sent["PerformedProcedureStepStartTime"]
    return {
        **({"SpecificCharacterSet": sent["SpecificCharacterSet"]} if "SpecificCharacterSet" in sent else {}),
        **patient_module(exam.entry),
        **_visit(exam.entry),
        "StudyInstanceUID": exam.study,
        "StudyDate": date,
        "StudyTime": time,
        "StudyID": sent["StudyID"],
        "AccessionNumber": exam.accession,
        "ReferringPhysicianName": exam.entry.get("ReferringPhysicianName", ""),
        "StudyDescription": exam.entry.get("RequestedProcedureDescription", ""),
        "SeriesInstanceUID": series,
        "SeriesNumber": str(series_number),
        "SeriesDate": date,
        "SeriesTime": time,
        **({"FrameOfReferenceUID": frame, "PositionReferenceIndicator": ""} if frame else {}),
        **({"RequestAttributesSequence": list(exam.requests)} if exam.requests else {}),
        "ReferencedPerformedProcedureStepSequence": [
            {"ReferencedSOPClassUID": MPPS_CLASS, "ReferencedSOPInstanceUID": exam.uid}
        ],
        "PerformedProcedureStepID": sent["PerformedProcedureStepID"],
        "PerformedProcedureStepStartDate": date,
        "PerformedProcedureStepStartTime": time,
        "PerformedProcedureStepDescription": sent["PerformedProcedureStepDescription"],
        "Manufacturer": "Stepwedge",
        "ManufacturerModelName": f"Simulated {sent['Modality']}",
        "DeviceSerialNumber": "SW-0001",
        "SoftwareVersions": "0.1.0",
        "StationName": scanner.upper()[:16],
    }


def patient_module(entry: Elements) -> Elements:
    """Return the patient of a worklist entry."""
    known = {
        key: entry.get(key, "") for key in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex")
    }
    return known | (
        {"IssuerOfPatientID": entry["IssuerOfPatientID"]} if entry.get("IssuerOfPatientID") else {}
    )


def _visit(entry: Elements) -> Elements:
    """Return visit and size of the patient as a worklist entry, or the console, has them (PS3.3 C.7.2.2, Patient Study Module)."""
    keys = ("AdmissionID", "IssuerOfAdmissionIDSequence") if entry.get("AdmissionID") else ()
    return {key: entry[key] for key in (*keys, "PatientWeight", "PatientSize") if entry.get(key)}


def _scheduled(entry: Elements, scheduled: Elements, study: str) -> Elements:
    """Return one item of the Scheduled Step Attributes Sequence (PS3.4 table F.7.2-1)."""
    return {
        "StudyInstanceUID": study,
        "ReferencedStudySequence": entry.get("ReferencedStudySequence", []),
        "AccessionNumber": entry.get("AccessionNumber", ""),
        "PlacerOrderNumberImagingServiceRequest": entry.get("PlacerOrderNumberImagingServiceRequest", ""),
        "FillerOrderNumberImagingServiceRequest": entry.get("FillerOrderNumberImagingServiceRequest", ""),
        "RequestedProcedureID": entry.get("RequestedProcedureID", ""),
        "RequestedProcedureDescription": entry.get("RequestedProcedureDescription", ""),
        "ScheduledProcedureStepID": scheduled.get("ScheduledProcedureStepID", ""),
        "ScheduledProcedureStepDescription": scheduled.get("ScheduledProcedureStepDescription", ""),
        "ScheduledProtocolCodeSequence": scheduled.get("ScheduledProtocolCodeSequence", []),
    }


def _request(entry: Elements, scheduled: Elements) -> Elements:
    """Return one item of the Request Attributes Sequence (PS3.3 C.7.3.1 and table 10-9); empty values are left out."""
    item = {
        "AccessionNumber": entry.get("AccessionNumber"),
        "StudyInstanceUID": entry.get("StudyInstanceUID"),
        "RequestedProcedureID": entry.get("RequestedProcedureID"),
        "RequestedProcedureDescription": entry.get("RequestedProcedureDescription"),
        "ScheduledProcedureStepID": scheduled.get("ScheduledProcedureStepID"),
        "ScheduledProcedureStepDescription": scheduled.get("ScheduledProcedureStepDescription"),
        "ScheduledProtocolCodeSequence": scheduled.get("ScheduledProtocolCodeSequence"),
    }
    return {key: value for key, value in item.items() if value}


def code_item(text: str) -> Elements:
    """Return a code sequence item for ``code^meaning^scheme``."""
    code, meaning, scheme = [*text.split("^"), "", ""][:3]
    return {"CodeValue": code, "CodingSchemeDesignator": scheme or "DCM", "CodeMeaning": meaning or code}
