"""The small archive with an audit trail of its own, written by hand: honest by default, or lying in one way.

``honest`` tells each store by itself and ``summarises`` the stores of a study together, as PS3.15 A.5.3.7 lets it: both must
pass. The XML and the syslog framing share no line with the product's own.
"""

from __future__ import annotations

import base64
import socket
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import quoteattr

from tiny_pacs import TinyPacs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydicom.dataset import Dataset

LIES = (
    "honest",
    "summarises",
    "tells-nothing",
    "tells-queries-alone",
    "tells-of-another-patient",
    "tells-failures",
)
_NAMES = {
    "110102": "Begin Transferring DICOM Instances",
    "110104": "DICOM Instances Transferred",
    "110112": "Query",
}


def _code(tag: str, value: str, system: str, text: str) -> str:
    return f'<{tag} csd-code="{value}" codeSystemName="{system}" originalText="{text}"/>'


class AuditedPacs(TinyPacs):
    """Tells an audit record repository at a port what it did, or something else."""

    def __init__(self, trail: str, repository: int, destinations: dict[str, tuple[str, int]]) -> None:
        assert trail in LIES, trail
        super().__init__("honest", destinations)
        self.trail = trail
        self.gathered: list[Dataset] = []
        self.repository = ("127.0.0.1", repository)
        self.turn = threading.Lock()
        self.link: socket.socket | None = None

    def stop(self) -> None:
        super().stop()
        if self.link:
            self.link.close()

    def on_store(self, event: Any) -> int:
        known = event.dataset.SOPInstanceUID in self.kept
        status = super().on_store(event)
        stored = event.dataset
        caller = event.assoc.requestor.ae_title
        self.gathered.append(stored)
        if self.trail == "summarises" and not known:
            if len(self.gathered) % 3:  # every scenario here sends three
                return status
            self.tell("110104", "C", status, caller, self.about(self.gathered[-3:]))
            return status
        self.tell("110104", "C", status, caller, self.about([stored]))
        return status

    def on_find(self, event: Any) -> Iterator[Any]:
        query = base64.b64encode(event.request.Identifier.getvalue()).decode()
        event.request.Identifier.seek(0)
        syntax = base64.b64encode(event.context.transfer_syntax.encode()).decode()
        about = (
            f'<ParticipantObjectIdentification ParticipantObjectID="{event.request.AffectedSOPClassUID}"'
            ' ParticipantObjectTypeCode="2" ParticipantObjectTypeCodeRole="3">'
            + _code("ParticipantObjectIDTypeCode", "110181", "DCM", "SOP Class UID")
            + f"<ParticipantObjectQuery>{query}</ParticipantObjectQuery>"
            f'<ParticipantObjectDetail type="TransferSyntax" value="{syntax}"/></ParticipantObjectIdentification>'
        )
        self.tell("110112", "E", 0, event.assoc.requestor.ae_title, about)
        yield from super().on_find(event)

    def on_move(self, event: Any) -> Iterator[Any]:
        chosen = self.select(event.identifier)
        if chosen:
            self.tell("110102", "E", 0, event.assoc.requestor.ae_title, self.about(chosen))
        sent: list[Any] = []
        for answer in super().on_move(event):
            yield answer
            if isinstance(answer, tuple) and answer[0] == 0xFF00:
                sent.append(answer[1])
        for some in [sent] if self.trail == "summarises" else [[one] for one in sent]:
            self.tell("110104", "R", 0, str(event.move_destination), self.about(some))

    def about(self, datasets: list[Any]) -> str:
        """Return the study with its instances, and the patient."""
        first = datasets[0]
        patient = str(first.PatientID)
        if self.trail == "tells-of-another-patient":
            patient = patient[:-1] + ("0" if patient[-1] != "0" else "1")
        held = "".join(f'<Instance UID="{one.SOPInstanceUID}"/>' for one in datasets)
        return (
            f'<ParticipantObjectIdentification ParticipantObjectID="{first.StudyInstanceUID}"'
            ' ParticipantObjectTypeCode="2" ParticipantObjectTypeCodeRole="3">'
            + _code("ParticipantObjectIDTypeCode", "110180", "DCM", "Study Instance UID")
            + "<ParticipantObjectName/><ParticipantObjectDescription>"
            f'<SOPClass UID="{first.SOPClassUID}" NumberOfInstances="{len(datasets)}">{held}</SOPClass>'
            "</ParticipantObjectDescription></ParticipantObjectIdentification>"
            f"<ParticipantObjectIdentification ParticipantObjectID={quoteattr(patient)}"
            ' ParticipantObjectTypeCode="1" ParticipantObjectTypeCodeRole="1">'
            + _code("ParticipantObjectIDTypeCode", "2", "RFC-3881", "Patient Number")
            + "<ParticipantObjectName/></ParticipantObjectIdentification>"
        )

    def tell(self, event: str, action: str, status: int, caller: str, about: str) -> None:
        if self.trail == "tells-nothing" or (self.trail == "tells-queries-alone" and event != "110112"):
            return
        outcome = "4" if status or self.trail == "tells-failures" else "0"
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        people = "".join(
            f'<ActiveParticipant UserID="{user}" UserIsRequestor="{asks}">'
            + _code("RoleIDCode", role, "DCM", "Role")
            + "</ActiveParticipant>"
            for user, asks, role in ((caller, "true", "110153"), ("TINYPACS", "false", "110152"))
        )
        document = (
            f'<AuditMessage><EventIdentification EventActionCode="{action}" EventDateTime="{now}"'
            f' EventOutcomeIndicator="{outcome}">{_code("EventID", event, "DCM", _NAMES[event])}</EventIdentification>'
            f'{people}<AuditSourceIdentification AuditSourceID="TINY"/>{about}</AuditMessage>'
        )
        message = f"<85>1 {now} here TINY 1 IHE+RFC-3881 - {document}".encode()
        with self.turn:
            self.link = self.link or socket.create_connection(self.repository, 10)
            self.link.sendall(b"%d %b" % (len(message), message))
