"""The scanners of a load: worklist, performed steps, images, commitment (RAD-5, RAD-6, RAD-7, RAD-8, RAD-10).

A scanner that gets no answer, or whose association is rejected for now, tries again after a pause: the same SOP instances, under the
same UIDs, until the run is over.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import Failed, LinkLost, NoAnswer, Refused, StepwedgeError, WireError
from stepwedge.load.pictures import STEP, Shelf
from stepwedge.model.identifiers import uid, uids
from stepwedge.sim import performing
from stepwedge.wire.compiled import CompiledQuery
from stepwedge.wire.dicomweb import DicomWeb
from stepwedge.wire.elements import EXPLICIT_LE
from stepwedge.wire.http_blocking import HttpRefused
from stepwedge.wire.lane import Lane
from stepwedge.wire.services import COMMITMENT, COMMITMENT_INSTANCE, MPPS, WORKLIST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stepwedge.load.pictures import Pictures
    from stepwedge.load.site import Site
    from stepwedge.model.order import Order

_KEYS: Final = (
    *("AccessionNumber", "ReferringPhysicianName", "PatientName", "PatientID", "IssuerOfPatientID"),
    *("PatientBirthDate", "PatientSex", "StudyInstanceUID", "RequestedProcedureDescription"),
    *("RequestedProcedureID", "RequestedProcedurePriority", "PlacerOrderNumberImagingServiceRequest"),
    "FillerOrderNumberImagingServiceRequest",
)
_STEP_KEYS: Final = (
    *("Modality", "ScheduledStationAETitle", "ScheduledProcedureStepStartDate"),
    *("ScheduledProcedureStepStartTime", "ScheduledProcedureStepDescription", "ScheduledProcedureStepID"),
)
_SEQUENCES: Final = ("ReferencedStudySequence", "RequestedProcedureCodeSequence")
_IDENTIFIER: Final[dict[str, Any]] = {
    **dict.fromkeys(_KEYS, ""),
    **{key: [] for key in _SEQUENCES},
    STEP: [{**dict.fromkeys(_STEP_KEYS, ""), "ScheduledProtocolCodeSequence": []}],
}
BY_ACCESSION: Final = CompiledQuery(WORKLIST, _IDENTIFIER, ("AccessionNumber",))
BY_PATIENT: Final = CompiledQuery(WORKLIST, _IDENTIFIER, ("PatientID",))
BY_STATION: Final = CompiledQuery(
    WORKLIST, _IDENTIFIER, (f"{STEP}.Modality", f"{STEP}.ScheduledProcedureStepStartDate")
)
_SOON, _LATER, _SEEN = 0.05, 1.0, 60.0
"""Seconds between two looks, at first and at most; seconds after which a worklist entry is given up."""
_AGAIN, _LONGEST = 0.25, 5.0
"""Seconds before a sender tries again, at first and at most."""
_EVENT: Final = 10.0
"""Seconds to wait for the result of storage commitment."""
_IN_A_REQUEST, _BYTES = 8, 16_000_000
"""Images, and their bytes, of one STOW-RS request."""


@dataclass
class Scan:
    """One exam on a scanner.

    Attributes:
        mpps: SOP Instance UID of the performed step; empty when there was none.
        sops: SOP Instance UIDs of its images, in order.
        stored: how many the archive has acknowledged.
    """

    site: Site
    shelf: Shelf
    exam: int
    modality: str
    procedure: str
    group: str = ""
    entry: dict[str, Any] = field(default_factory=dict)
    pictures: Pictures | None = None
    mpps: str = ""
    series: str = ""
    begun: datetime = field(default_factory=lambda: datetime.now().astimezone())
    sops: list[str] = field(default_factory=list)
    stored: int = 0

    @property
    def study(self) -> str:
        """Its Study Instance UID."""
        return str(self.entry["StudyInstanceUID"])

    @property
    def accession(self) -> str:
        """Its accession number."""
        return str(self.entry.get("AccessionNumber", ""))

    def find(self, order: Order, since: float) -> bool:
        """Poll the worklist until the order is there (RAD-5), by accession number or patient; False when it never came."""
        site, pause = self.site, _SOON
        name = "STAT order to worklist" if self.group == "STAT" else "order to worklist"
        while True:
            if (entry := self._look(order)) is not None:
                self.entry = entry
                site.span(name, since)
                return True
            if site.now() - since > _SEEN or not site.wait(pause):
                site.span(name, since, seen=False)
                return False
            pause = min(_LATER, pause * 1.5)

    def _look(self, order: Order) -> dict[str, Any] | None:
        site = self.site
        query = BY_ACCESSION if order.accession else BY_PATIENT
        keys = {"AccessionNumber": order.accession, "PatientID": order.patient}
        with (
            site.request("C-FIND worklist", group=self.modality) as asked,
            site.associate(self._worklist(), [WORKLIST], site.modality(self.modality)) as association,
        ):
            found = Lane(association).find(query, keys)
            if found.category != "success":
                asked.outcome = "refused"
            elif len(found) > 1:
                asked.outcome = "failed"
                raise Failed(f"{len(found)} worklist entries for order {order.placer}")
            return found[0] if len(found) == 1 else None

    def _worklist(self) -> Any:
        entity = self.site.door("ris", "worklist") or self.site.door("ris", "dicom")
        if entity is None:
            raise Refused("the RIS has no worklist")
        return entity

    # --- the performed step --------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Say that the exam begins (RAD-6)."""
        site = self.site
        self.begun = datetime.now().astimezone()
        self.series = uid(site.plan.seed, "load", self.exam, "series")
        if not site.can("mpps", "performed steps"):
            return
        self.mpps = uid(site.plan.seed, "load", self.exam, "mpps")
        self._perform("N-CREATE MPPS", self._created(), create=True)

    def complete(self) -> None:
        """Say that it is done, and of which images it consists (RAD-7)."""
        if not self.mpps:
            return
        now = datetime.now().astimezone()
        assert self.pictures is not None  # noqa: S101 - it was scanned
        images = [
            {"ReferencedSOPClassUID": self.pictures.sop_class, "ReferencedSOPInstanceUID": sop}
            for sop in self.sops
        ]
        series = {
            "PerformingPhysicianName": "",
            "ProtocolName": self.procedure,
            "OperatorsName": "",
            "SeriesInstanceUID": self.series,
            "SeriesDescription": self.procedure,
            "RetrieveAETitle": "",
            "ReferencedImageSequence": images,
            "ReferencedNonImageCompositeSOPInstanceSequence": [],
        }
        ended = {
            "PerformedProcedureStepStatus": "COMPLETED",
            "PerformedProcedureStepEndDate": f"{now:%Y%m%d}",
            "PerformedProcedureStepEndTime": f"{now:%H%M%S}",
            "PerformedSeriesSequence": [series],
        }
        self._perform("N-SET MPPS", ended, create=False)

    def _perform(self, name: str, attributes: dict[str, Any], *, create: bool) -> None:
        site = self.site
        keys = {"study": self.study, "accession": self.accession, "exam": self.exam, "step": name[:5]}
        identity = f"{self.mpps}" if create else f"{self.mpps}#end"
        site.ledger.write("mpps", identity, "attempted", mpps=self.mpps, **keys)
        with (
            site.request(name, group=self.modality) as asked,
            site.associate(self._worklist(), [MPPS], site.modality(self.modality)) as association,
        ):
            result = (association.create if create else association.set)(MPPS, self.mpps, attributes)
            if result.category not in {"success", "warning"}:
                asked.outcome = "refused"
        if asked.outcome == "refused":
            site.ledger.write("mpps", identity, "refused", why=f"{result.status:04X} {result.comment}")
            raise Failed(f"{name} was answered {result.status:04X} {result.comment}")
        site.ledger.write("mpps", identity, "acknowledged")

    def _created(self) -> dict[str, Any]:
        entry, scheduled, now = self.entry, self.entry[STEP][0], self.begun
        told = {key: entry.get(key, "") for key in _REPEATED}
        told |= {
            "StudyInstanceUID": self.study,
            "ReferencedStudySequence": entry.get("ReferencedStudySequence", []),
        }
        told |= {key: scheduled.get(key, "") for key in _STEP_REPEATED}
        told["ScheduledProtocolCodeSequence"] = scheduled.get("ScheduledProtocolCodeSequence", [])
        return {
            "ScheduledStepAttributesSequence": [told],
            **{key: entry.get(key, "") for key in _PATIENT},
            **performing.begun(
                entry,
                scheduled,
                now,
                step=self._step_id,
                ae_title=self.site.modality(self.modality),
                station=f"LOAD{self.modality}",
                modality=self.modality,
            ),
        }

    @property
    def _step_id(self) -> str:
        return f"P{(self.mpps or self.series)[-8:]}"

    # --- images --------------------------------------------------------------------------------------------------

    def acquire(self, images: int, megabytes: float) -> None:
        """Make the images, and write down what is going to be sent before anything of it is."""
        self.pictures = self.shelf.of(self.procedure, self.modality, megabytes, self.entry)
        seed, hashes = self.site.plan.seed, self.pictures.pixels
        self.sops = list(itertools.islice(uids(seed, "load", self.exam, "instance"), images))
        keys = {"study": self.study, "exam": self.exam, "accession": self.accession}
        self.site.ledger.write(
            "study", self.study, "attempted", planned=images, patient=self.entry["PatientID"], **keys
        )
        self._hashes = {sop: hashes[number % len(hashes)] for number, sop in enumerate(self.sops)}

    def send(self, within: float, door: str = "C-STORE") -> None:
        """Send all images in about ``within`` seconds, and those that got no answer again, until the run is over."""
        began, count = self.site.now(), len(self.sops)
        lanes = min(self.site.plan.associations, count) if door == "C-STORE" else 1
        shares = [list(range(lane, count, lanes)) for lane in range(lanes)]
        sends = [partial(self._sent, share, began, within / max(1, count), door) for share in shares]
        if lanes == 1:
            sends[0]()
        else:
            self.site.beside(sends)
        if self._refused:
            raise Failed(f"{len(self._refused)} images of study {self.study} were refused")
        self.site.ledger.write("study", self.study, "acknowledged", sent=self.stored)

    def _sent(self, left: list[int], began: float, step: float, door: str) -> None:
        """Send some of the images on one association after the other."""
        pause = _AGAIN
        while left:
            try:
                left = self._stored(left, began, step) if door == "C-STORE" else self._stowed(left)
            except (LinkLost, NoAnswer, Refused) as trouble:
                left = [number for number in left if number not in self._done]
                if isinstance(trouble, Refused) and not _for_now(trouble):
                    raise
                if not self.site.wait(pause):
                    raise
                pause, step = min(_LONGEST, pause * 2), 0.0

    _done: set[int] = field(default_factory=set, init=False)
    _refused: set[int] = field(default_factory=set, init=False)
    _hashes: dict[str, str] = field(default_factory=dict, init=False)

    def _stored(self, numbers: Sequence[int], began: float, step: float) -> list[int]:
        site, pictures = self.site, self.pictures
        entity = site.door("pacs", "dicom")
        assert pictures is not None  # noqa: S101 - acquired before
        if entity is None:
            raise StepwedgeError("the archive has no DICOM door")
        exam, left = pictures.study.of(self._values()), list(numbers)
        contexts = [(pictures.sop_class, (EXPLICIT_LE,))]
        try:
            association = site.associate(entity, contexts, site.modality(self.modality))
        except WireError as trouble:
            if isinstance(trouble, Refused) and _for_now(trouble):
                raise  # no image was refused: there was no place to the end, which stands under A-ASSOCIATE
            with site.request("C-STORE", group=self.modality):
                raise
        with association:
            lane = Lane(association)
            for number in numbers:
                due = began + number * step
                if (early := due - site.now()) > 0 and not site.wait(early):
                    raise NoAnswer("the run was over before all images were sent")
                sop = self.sops[number]
                self._intend(sop, "C-STORE")
                # an image waits for the answer to the one before, as on a scanner: only the first one's wait is its own
                first = due if step and number == numbers[0] else None
                with site.request("C-STORE", due=first, group=self.modality) as asked:
                    asked.bytes = pictures.size
                    mine = {"SOPInstanceUID": sop, "InstanceNumber": str(number + 1)}
                    result = lane.store(exam, mine, number)
                    if result.category not in {"success", "warning"}:
                        asked.outcome = "refused"
                self._decided(number, asked.outcome == "ok", f"{result.status:04X} {result.comment}".strip())
                left.remove(number)
        return left

    def pixels_of(self, sop: str) -> str:
        """Return the SHA-256 of the pixels of one of its images."""
        return self._hashes[sop]

    def _intend(self, sop: str, door: str) -> None:
        keys = {"study": self.study, "exam": self.exam, "sha256": self._hashes[sop], "door": door}
        self.site.ledger.write("instance", sop, "attempted", **keys)

    def _decided(self, number: int, taken: bool, status: str) -> None:
        self._done.add(number)
        self.stored += taken
        if not taken:
            self._refused.add(number)
        self.site.ledger.write(
            "instance", self.sops[number], "acknowledged" if taken else "refused", status=status
        )

    def _stowed(self, numbers: Sequence[int]) -> list[int]:
        """Send images over the web, several in a request (RAD-108)."""
        site, root = self.site, self.site.door("pacs", "web")
        assert self.pictures is not None  # noqa: S101 - acquired before
        if root is None:
            raise StepwedgeError("the archive has no DICOMweb door")
        with DicomWeb(root, context=site.trusted) as web:
            several = max(1, min(_IN_A_REQUEST, _BYTES // self.pictures.size))
            for at in range(0, len(numbers), several):
                some = numbers[at : at + several]
                for number in some:
                    self._intend(self.sops[number], "STOW-RS")
                files = [self._file(number) for number in some]
                with site.request("STOW-RS", group=self.modality) as asked:
                    asked.bytes = sum(map(len, files))
                    result = web.stow(files)
                    stored = {one.sop_instance for one in result.stored}
                    if len(stored) < len(some):
                        asked.outcome = "refused"
                for number in some:
                    self._decided(number, self.sops[number] in stored, f"HTTP {result.status}")
        return []

    def _file(self, number: int) -> bytes:
        """Return one image as a DICOM file."""
        assert self.pictures is not None  # noqa: S101 - acquired before
        mine = {"SOPInstanceUID": self.sops[number], "InstanceNumber": str(number + 1)}
        return self.pictures.study.file(self._values() | mine, number)

    def _values(self) -> dict[str, str]:
        entry, scheduled, now = self.entry, self.entry[STEP][0], self.begun
        day, time = f"{now:%Y%m%d}", f"{now:%H%M%S}"
        return {
            **{key: str(entry.get(key, "")) for key in _PATIENT},
            "StudyInstanceUID": self.study,
            "SeriesInstanceUID": self.series,
            "FrameOfReferenceUID": uid(self.site.plan.seed, "load", self.exam, "frame"),
            "AccessionNumber": self.accession,
            "StudyID": str(entry.get("RequestedProcedureID", "")),
            **dict.fromkeys(("StudyDate", "SeriesDate", "PerformedProcedureStepStartDate"), day),
            **dict.fromkeys(("StudyTime", "SeriesTime", "PerformedProcedureStepStartTime"), time),
            "PerformedProcedureStepID": self._step_id,
            "RequestAttributesSequence.RequestedProcedureID": str(entry.get("RequestedProcedureID", "")),
            "RequestAttributesSequence.ScheduledProcedureStepID": str(
                scheduled.get("ScheduledProcedureStepID", "")
            ),
            "ReferencedPerformedProcedureStepSequence.ReferencedSOPInstanceUID": self.mpps or self.series,
        }

    def commit(self) -> bool:
        """Ask the archive to take responsibility (RAD-10); False when nobody said that it did."""
        site, pictures = self.site, self.pictures
        assert pictures is not None  # noqa: S101 - acquired before
        if not site.can("storage-commitment", "storage commitment"):
            return False
        if not site.can("commitment-same-association", "storage commitment"):
            return False  # it would be reported to the scanner's own door, which this load does not keep
        pause, before = _AGAIN, ""
        for attempt in itertools.count():
            # one that was not answered may have arrived: asked again, it has a UID of its own (PS3.4 J.3.2.1.1)
            more = (attempt,) if before else ()
            transaction = uid(site.plan.seed, "load", self.exam, "transaction", *more)
            try:
                return self._committed(transaction, before, pictures.sop_class)
            except (LinkLost, NoAnswer):
                before = transaction if self._asked else before
                if not site.wait(pause):
                    raise
                pause = min(_LONGEST, pause * 2)
        raise AssertionError  # it ends by an answer or with the run

    _asked: bool = field(default=False, init=False)

    def _committed(self, transaction: str, before: str, sop_class: str) -> bool:
        """Ask once; ``before`` is the transaction whose answer was lost."""
        site, calling, self._asked = self.site, self.site.modality(self.modality), False
        references = [
            {"ReferencedSOPClassUID": sop_class, "ReferencedSOPInstanceUID": sop} for sop in self.sops
        ]
        asking = {"TransactionUID": transaction, "ReferencedSOPSequence": references}
        with site.request("N-ACTION commitment", group=self.modality) as asked:
            association = site.associate(site.door("pacs", "dicom"), [COMMITMENT], calling)
            self._asked = True
            site.ledger.write("commitment", transaction, "attempted", study=self.study, exam=self.exam)
            if before:
                site.ledger.write("commitment", before, "attempted", again=transaction)
            result = association.action(COMMITMENT, COMMITMENT_INSTANCE, 1, asking)
            if result.category not in {"success", "warning"}:
                asked.outcome = "refused"
        try:
            event = association.next_event(_EVENT) if asked.outcome == "ok" else None
            association.release()
        except WireError:
            association.abort()
            event = None
        if asked.outcome == "refused":
            why = f"{result.status:04X} {result.comment}".strip()
            site.ledger.write("commitment", transaction, "refused", why=why)
        if event is None:
            return False
        failed = event.attributes.get("FailedSOPSequence") or []
        site.ledger.write(
            "commitment", transaction, "refused" if failed else "acknowledged", failed=len(failed)
        )
        return not failed


def _for_now(refused: Refused) -> bool:
    """Tell whether the archive may take it later: a transient rejection, an abort, a server that is busy."""
    if isinstance(refused, HttpRefused):
        return refused.status in {429, 503}
    return "transient" in str(refused) or "abort" in str(refused).lower()


_PATIENT: Final = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex")
_REPEATED: Final = (
    *("AccessionNumber", "PlacerOrderNumberImagingServiceRequest", "FillerOrderNumberImagingServiceRequest"),
    *("RequestedProcedureID", "RequestedProcedureDescription"),
)
_STEP_REPEATED: Final = ("ScheduledProcedureStepID", "ScheduledProcedureStepDescription")
