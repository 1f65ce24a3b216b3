"""The readers of a load: they wait for a study, open it with its priors, report it, and see that the ward has the report.

Both times that matter are found by asking, as a person would: from the end of the scan until all images can be read, and from the
signature until the EHR shows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import Failed, LinkLost, NoAnswer, StepwedgeError
from stepwedge.model.patient import PersonName
from stepwedge.sim.messages import Envelope, ReportEvent, report_message
from stepwedge.wire.compiled import CompiledQuery
from stepwedge.wire.dicomweb import DicomWeb
from stepwedge.wire.fhir_client import Fhir
from stepwedge.wire.lane import Lane
from stepwedge.wire.services import STUDY_FIND

if TYPE_CHECKING:
    from stepwedge.load.ehr import Ward
    from stepwedge.load.scanner import Scan
    from stepwedge.load.site import Site
    from stepwedge.model.order import Order

_STUDY: Final = CompiledQuery(
    STUDY_FIND,
    {
        "QueryRetrieveLevel": "STUDY",
        "StudyInstanceUID": "",
        "PatientName": "",
        "PatientID": "",
        "PatientBirthDate": "",
        "PatientSex": "",
        "AccessionNumber": "",
        "StudyDate": "",
        "ModalitiesInStudy": "",
        "NumberOfStudyRelatedInstances": "",
    },
    ("StudyInstanceUID",),
)
_COUNT: Final = "NumberOfStudyRelatedInstances"
_SOON, _LATER, _SEEN = 0.05, 1.0, 60.0
"""Seconds between two looks, at first and at most; seconds after which it is given up."""
_SCROLLED: Final = 3
"""Images that are opened of a study: its first, its middle, its last."""
AUTHOR: Final = "Load^Reader^^Dr"


@dataclass
class Reading:
    """One study on a reading workstation."""

    site: Site
    scan: Scan
    ward: Ward
    order: Order
    group: str = ""
    text: str = ""

    def wait_until_readable(self, since: float) -> bool:
        """Ask until every image that was acknowledged is there; False when they never all came."""
        site, pause = self.site, _SOON
        while True:
            if self._shown() >= self.scan.stored:
                site.span("scan end to readable", since, group=self.group)
                return True
            if site.now() - since > _SEEN or not site.wait(pause):
                site.span("scan end to readable", since, group=self.group, seen=False)
                return False
            pause = min(_LATER, pause * 1.5)

    def _shown(self) -> int:
        """Return how many images the archive shows; none while it does not answer."""
        try:
            return self._count()
        except (LinkLost, NoAnswer):
            return -1

    def _count(self) -> int:
        site = self.site
        with (
            site.request("C-FIND study") as asked,
            site.associate(site.door("pacs", "dicom"), [STUDY_FIND]) as association,
        ):
            found = Lane(association).find(_STUDY, {"StudyInstanceUID": self.scan.study})
            if found.category != "success":
                asked.outcome = "refused"
            elif len(found) > 1:
                asked.outcome = "failed"
                raise Failed(f"{len(found)} studies with the UID {self.scan.study}")
            told = found.text(0, _COUNT) if len(found) else "0"
        if told is None or not told.strip().isdigit():  # a key that an archive need not support (PS3.4 C.3.4)
            site.leave_out("counting images", f"the archive does not tell {_COUNT}")
            return self.scan.stored
        return int(told)

    def open(self, priors: int, clinicians: int) -> None:
        """Open the study with its priors, and scroll; whoever treats the patient looks at it too (RAD-129)."""
        site = self.site
        root = site.door("pacs", "web")
        if root is None:
            site.leave_out("reading over DICOMweb", "the archive has no DICOMweb door")
            return
        if not (
            site.can("qido-rs", "reading over DICOMweb") and site.can("wado-rs", "reading over DICOMweb")
        ):
            return
        with DicomWeb(root, context=site.trusted) as web:
            with site.request("QIDO-RS"):
                studies = web.qido("studies", {"PatientID": self.order.patient}, limit=1 + priors)
                if self.scan.stored and self.scan.study not in {
                    one.get("StudyInstanceUID") for one in studies
                }:
                    raise Failed(f"study {self.scan.study} is not among those of its patient")
            sops = self.scan.sops
            chosen = dict.fromkeys(sops[at] for at in (0, len(sops) // 2, len(sops) - 1)) if sops else {}
            for sop in list(chosen)[: _SCROLLED if clinicians or priors else 1]:
                with site.request("WADO-RS") as asked:
                    files = web.wado(self.scan.study, self.scan.series, sop)
                    asked.bytes = sum(map(len, files))
                    if len(files) != 1:
                        raise Failed(f"{len(files)} objects for one SOP Instance UID")
            for _ in range(clinicians):
                with site.request("QIDO-RS"):
                    web.qido("series", {}, study=self.scan.study)

    # --- reports -------------------------------------------------------------------------------------------------

    def report(self, letter: str, text: str, addendum: str = "") -> None:
        """Send a report to the report manager (ORU^R01): P, F, C, or A for an addendum."""
        site, numbers = self.site, self.ward.numbers
        ris = site.role("ris")
        now = datetime.now().astimezone()
        envelope = Envelope(
            "SW_READER",
            site.directory[ris].application or "SW_RIS",
            numbers.control(),
            now,
            self.ward.version,
        )
        event = ReportEvent(
            letter,
            self.scan.accession,
            text,
            addendum=addendum,
            placer=self.order.placer,
            filler=self.order.filler,
            study=self.scan.study,
            procedure=self.order.procedure,
            procedure_text=self.order.text,
            author=PersonName.from_dicom(AUTHOR).dicom(),
            at=f"{now:%Y%m%d%H%M%S}",
        )
        identity = f"{self.scan.accession}#{letter}"
        keys = {"accession": self.scan.accession, "patient": self.order.patient, "exam": numbers.number}
        site.ledger.write("report", identity, "attempted", status=letter, text=addendum or text, **keys)
        try:
            self.ward.ask("ORU^R01", ris, report_message(event, self.ward.patient, envelope))
        except Failed as trouble:
            site.ledger.write("report", identity, "refused", why=str(trouble))
            raise
        site.ledger.write("report", identity, "acknowledged")
        self.text = text

    def wait_until_at_the_ward(self, since: float) -> bool:
        """Ask the EHR until it shows the final report; False when it never did, or cannot be asked."""
        site, pause = self.site, _SOON
        admin = site.admin("ehr")
        if admin is None:
            site.leave_out("sign to EHR", "the EHR is a real one that cannot be asked")
            return False
        try:
            while True:
                told: dict[str, Any] = admin.ask("report", {"placer": self.order.placer})
                if told.get("status") in {"final", "corrected"} and told.get("text") == self.text:
                    site.span("sign to EHR", since, group=self.group)
                    return True
                if site.now() - since > _SEEN or not site.wait(pause):
                    site.span("sign to EHR", since, group=self.group, seen=False)
                    return False
                pause = min(_LATER, pause * 1.5)
        except StepwedgeError:
            site.span("sign to EHR", since, group=self.group, seen=False)
            raise
        finally:
            admin.close()

    def chart(self) -> None:
        """Open the patient's chart over FHIR, as a clinical app does."""
        site = self.site
        base = site.door("ehr", "fhir")
        if base is None:
            site.leave_out("FHIR", "the EHR has no FHIR server")
            return
        if not site.can("fhir", "FHIR"):
            return
        with Fhir(base, context=site.trusted) as client, site.request("FHIR search") as asked:
            found = client.search("Patient", {"identifier": self.order.patient})
            asked.bytes = len(str(found))
            if not found:
                raise Failed(f"the EHR's FHIR server does not know patient {self.order.patient}")
