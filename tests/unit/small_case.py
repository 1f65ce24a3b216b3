"""One CT exam as its exchanges and what the systems show afterwards: small enough to bend one thing at a time."""

from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import datetime

from stepwedge.actors.asking import Retrieved
from stepwedge.actors.cast import Cast, Player
from stepwedge.checks.rules import CaseFacts
from stepwedge.evidence.exchange import NOTHING, Exchange, Payload
from stepwedge.model.appointment import Appointment
from stepwedge.model.encounter import Encounter
from stepwedge.model.order import Order
from stepwedge.model.patient import Patient, PersonName
from stepwedge.model.procedure import RequestedProcedure, ScheduledStep
from stepwedge.sim import keys
from stepwedge.sim.address import Address
from stepwedge.sim.messages import (
    REPLY_KIND,
    Envelope,
    ReportEvent,
    appointment_message,
    order_message,
    patient_message,
    procedure_message,
    reply_segments,
    report_message,
)
from stepwedge.wire.hl7 import acknowledgement, parse

NOW = datetime(2026, 11, 24, 9, 30).astimezone()
STUDY, MPPS, SERIES = "2.25.1.1", "2.25.1.2", "2.25.1.3"
SOPS = ["2.25.1.4.1", "2.25.1.4.2"]
WORKLIST_FIND = "1.2.840.10008.5.1.4.31"
ROLES = {"ehr": "ehr", "ris": "ris", "pacs": "pacs", "ct": "modality", "reader": "reader"}


def cast(**changes):
    address = Address.parse(
        {"hl7": "mllp://127.0.0.1:1", "dicom": "dicom://X@127.0.0.1:1", "web": "http://127.0.0.1:1"}
    )
    return Cast(
        {name: Player(name, role, simulated=True, address=address) for name, role in ROLES.items()}, **changes
    )


@dataclass
class Shown:
    """What the systems show, in the place of :class:`stepwedge.checks.readback.Readback`."""

    cast: Cast
    entries: list = field(default_factory=list)
    studies_: list = field(default_factory=list)
    images: list = field(default_factory=list)
    order_: dict = field(default_factory=lambda: {"status": "completed"})
    appointment_: dict = field(
        default_factory=lambda: {"status": "booked", "start": "20261124100000", "count": 1}
    )
    report_: dict = field(default_factory=lambda: {"status": "final", "text": "No nodule."})

    def player(self, role):
        return next((one for one in self.cast if one.role == role), None)

    def worklist(self, accession):
        return [one for one in self.entries if one["AccessionNumber"] == accession]

    def doors(self):
        return ["c-find", "qido-rs"]

    def studies(self, door, key, value):
        return [one for one in self.studies_ if one.get(key) == value]

    def instances(self, door, study):
        return [{"SOPInstanceUID": one.sop} for one in self.images]

    def retrieved(self, study):
        return self.images

    def order(self, placer):
        return self.order_

    def appointment(self, placer):
        return self.appointment_

    def report(self, accession):
        return self.report_


@dataclass
class SmallCase:
    """The exam; ``bend`` what you like, then ask for ``facts``."""

    version: str = "2.5.1"
    exchanges: list = field(default_factory=list)
    cast: Cast = field(default_factory=cast)
    controls: int = 0

    def __post_init__(self):
        self.patient = Patient("SW00000001", PersonName("MÜLLER", "ZOË"), "19800101", "F")
        self.order = Order(
            "P1", "SW00000001", "CTCHEST", "CT chest", priority="stat", version=self.version, alerts="LATEX"
        )
        self.stay = Encounter("V1", "SW00000001", "I", "WARD^1^A", status="active")
        self.step = ScheduledStep(
            "STEP1", "RP1", "SW1234", "CTCHEST1", "helical", "CT", "SW_CT1", "20261124100000"
        )
        self.shown = Shown(self.cast)
        self.play()

    def play(self):
        for to in ("ris", "pacs"):
            self.hl7("ehr", to, patient_message("A04", self.patient, self.envelope("ehr", to)))
        known = replace(self.order, filler="F1", accession="SW1234", study=STUDY)
        self.hl7(
            "ehr",
            "ris",
            order_message("NW", self.order, self.patient, self.envelope("ehr", "ris"), encounter=self.stay),
            known,
        )
        requested = RequestedProcedure("RP1", "P1", STUDY, "CTCHEST", "CT chest")
        schedule = procedure_message(
            "NW", "SC", known, requested, [self.step], self.patient, self.envelope("ris", "pacs")
        )
        self.hl7("ris", "pacs", schedule)
        self.status(known, "SC")
        booked = Appointment("AP1", "P1", "F1", "SW00000001", "20261124100000", 20, "SW_CT1", "CTCHEST")
        self.hl7(
            "ris",
            "ehr",
            appointment_message("S12", booked, self.patient, self.envelope("ris", "ehr"), self.stay),
        )
        self.dimse("ct", "ris", "C-FIND", model=WORKLIST_FIND, identifier={}, answers=[self.entry()])
        self.dimse("ct", "ris", "N-CREATE", sop=MPPS, identifier=self.performed())
        self.status(known, "IP")
        made = [{"sop": sop, "sop_class": "1.2", "pixels": f"hash{sop[-1]}", "number": 1} for sop in SOPS]
        self.act(
            "ct", "acquire", {"study": STUDY, "series": SERIES, "mpps": MPPS, "instances": made, "count": 2}
        )
        for sop in SOPS:
            self.dimse(
                "ct",
                "pacs",
                "C-STORE",
                sop=sop,
                dataset={"header": self.header(sop), "pixels": f"hash{sop[-1]}"},
            )
        sent = [{"sop": sop, "status": "0000", "comment": ""} for sop in SOPS]
        self.act("ct", "store_images", {"sent": sent, "stored": 2, "refused": 0})
        self.act(
            "ct",
            "commit",
            {"transaction": "2.25.1.9", "committed": list(SOPS), "failed": [], "arrived": "new"},
        )
        listed = [
            {
                "SeriesInstanceUID": SERIES,
                "ReferencedImageSequence": [{"ReferencedSOPInstanceUID": s} for s in SOPS],
            }
        ]
        done = {"PerformedProcedureStepStatus": "COMPLETED", "PerformedSeriesSequence": listed}
        self.dimse("ct", "ris", "N-SET", sop=MPPS, identifier=done)
        self.status(known, "CM")
        self.known = known
        self.report("reader", "ris", "F")
        self.report("ris", "ehr", "F")
        self.shown.studies_ = [
            {
                **self.person(),
                "AccessionNumber": "SW1234",
                "StudyInstanceUID": STUDY,
                "NumberOfStudyRelatedInstances": 2,
            }
        ]
        self.shown.images = [Retrieved(sop, self.header(sop), f"hash{sop[-1]}") for sop in SOPS]

    def envelope(self, sender, receiver):
        self.controls += 1
        return Envelope(
            f"SW_{sender.upper()}", f"SW_{receiver.upper()}", f"C{self.controls}", NOW, self.version
        )

    def person(self):
        return {
            "SpecificCharacterSet": "ISO_IR 100",
            "PatientID": "SW00000001",
            "IssuerOfPatientID": "STEPWEDGE",
            "PatientName": "MÜLLER^ZOË",
            "PatientBirthDate": "19800101",
            "PatientSex": "F",
        }

    def entry(self):
        step = {
            "ScheduledStationAETitle": "SW_CT1",
            "ScheduledProcedureStepStartDate": "20261124",
            "ScheduledProcedureStepStartTime": "100000",
            "Modality": "CT",
            "ScheduledProcedureStepID": "STEP1",
            "ScheduledProtocolCodeSequence": [{"CodeValue": "CTCHEST1"}],
        }
        return {
            **self.person(),
            "AccessionNumber": "SW1234",
            "AdmissionID": "V1",
            "StudyInstanceUID": STUDY,
            "RequestedProcedureID": "RP1",
            "RequestedProcedurePriority": "STAT",
            "MedicalAlerts": "LATEX",
            "RequestedProcedureCodeSequence": [{"CodeValue": "CTCHEST"}],
            "ScheduledProcedureStepSequence": [step],
        }

    def performed(self):
        item = {
            "StudyInstanceUID": STUDY,
            "AccessionNumber": "SW1234",
            "RequestedProcedureID": "RP1",
            "ScheduledProcedureStepID": "STEP1",
        }
        return {
            **self.person(),
            "PerformedProcedureStepStatus": "IN PROGRESS",
            "ScheduledStepAttributesSequence": [item],
        }

    def header(self, sop):
        request = {"RequestedProcedureID": "RP1", "ScheduledProcedureStepID": "STEP1"}
        return {
            **self.person(),
            "AccessionNumber": "SW1234",
            "AdmissionID": "V1",
            "StudyInstanceUID": STUDY,
            "SOPInstanceUID": sop,
            "SliceThickness": "1.50",
            "RequestAttributesSequence": [request],
            "ReferencedPerformedProcedureStepSequence": [{"ReferencedSOPInstanceUID": MPPS}],
        }

    def status(self, order, letter):
        self.hl7(
            "ris", "ehr", order_message("SC", order, self.patient, self.envelope("ris", "ehr"), status=letter)
        )

    def report(self, sender, receiver, letter, text="No nodule."):
        event = ReportEvent(
            letter,
            "SW1234",
            text,
            placer="P1",
            filler="F1",
            study=STUDY,
            procedure="CTCHEST",
            at="20261124110000",
        )
        raw = report_message(event, self.patient, self.envelope(sender, receiver), self.stay)
        self.hl7(sender, receiver, raw)

    def hl7(self, sender, receiver, raw, answered=None, code="AA", **more):
        message = parse(raw)
        segments = reply_segments("OK", answered) if answered else ()
        kind = REPLY_KIND[message.type] if answered else "ACK"
        reply = acknowledgement(
            message, code, control=f"A{message.control}", now=NOW, segments=segments, kind=kind
        )
        self.add(
            sender,
            "hl7",
            message.type,
            receiver,
            code,
            keys.of_message(message),
            {},
            Payload.of(raw),
            Payload.of(reply),
            **more,
        )

    def dimse(self, sender, receiver, kind, *, outcome="0000", **facts):
        self.add(sender, "dimse", kind, receiver, outcome, keys.of_values(facts), deepcopy(facts))

    def act(self, actor, word, result):
        self.add(actor, "act", word, "", "passed", {}, {"args": {}, "result": result})

    def add(
        self,
        actor,
        protocol,
        kind,
        peer,
        outcome,
        found,
        facts,
        request=NOTHING,
        response=NOTHING,
        direction="out",
    ):
        number = len(self.exchanges) + 1
        self.exchanges.append(
            Exchange(
                number,
                number,
                0.5,
                actor,
                direction,
                protocol,
                kind,
                peer,
                outcome,
                found,
                facts,
                request,
                response,
            )
        )

    def find(self, kind, nth=0):
        return [one for one in self.exchanges if one.kind == kind][nth]

    def rewrite(self, exchange, old, new):
        """Replace text in the request of an HL7 exchange."""
        assert old.encode("latin-1") in exchange.request.data, (old, exchange.request.data)
        raw = exchange.request.data.replace(old.encode("latin-1"), new.encode("latin-1"))
        self.exchanges[self.exchanges.index(exchange)] = replace(
            exchange, request=Payload.of(raw), keys=keys.of_message(parse(raw))
        )

    def facts(self):
        acts = [one for one in self.exchanges if one.protocol == "act"]
        return CaseFacts(self.exchanges, acts, self.cast, self.shown)
