"""The one place that knows how clinical facts are written in HL7 2.3.1 and 2.5.1, and how they are read back.

Writers take plain model objects and an :class:`Envelope` and return the bytes of a message. Readers take an opened message of
either version and return the same plain objects, so that no simulated system ever asks for the version.

| fact | 2.3.1 | 2.5.1 | transaction |
| --- | --- | --- | --- |
| patient registered, corrected, merged | ADT^A04, A08, A40 | the same | RAD-1, RAD-12, ITI-30 |
| person added, corrected, identifier changed | ADT^A28, A31, A47 | the same | ITI-30 |
| encounter begun, moved, ended, taken back | ADT^A01 to A07, A11 to A13, A23 | the same | ITI-31 |
| appointment booked, moved, cancelled, missed | SIU^S12 to S15, S26 | the same | RAD-48 |
| order placed, changed, held, cancelled, its status | ORM^O01, answered ORR^O02 | OMG^O19 or OMI^O23, answered ORG^O20 or ORI^O24 | RAD-2, RAD-3 |
| procedure scheduled, changed, cancelled | ORM^O01 with ZDS | OMI^O23 with IPC, answered ORI^O24 | RAD-4, RAD-13 |
| report | ORU^R01 | ORU^R01 | RAD-28, RAD-128 |
| critical result acknowledged | ORU^R01 | ORU^R01 | agreed among these systems |
| report as a document | – | MDM^T02, T04, T06, T10 | HL7 chapter 9 |
| identifiers of one person, demographics | | QBP^Q23, Q22, answered RSP^K23, K22 | ITI-9, ITI-21 |
| linked, unlinked, who is whose now | | ADT^A24, A37, A31 | ITI-30, ITI-10 |
"""

from stepwedge.sim.messages.appointments import APPOINTMENT_EVENTS, appointment_message, read_appointment
from stepwedge.sim.messages.context import read_context
from stepwedge.sim.messages.documents import DOCUMENT_EVENTS, Document, document_message, read_document
from stepwedge.sim.messages.envelope import Envelope, day_and_time, said
from stepwedge.sim.messages.orders import (
    REPLY_KIND,
    Answer,
    Item,
    confirmation_segments,
    order_message,
    procedure_message,
    read_answer,
    read_items,
    reply_segments,
)
from stepwedge.sim.messages.patients import (
    PATIENT_EVENTS,
    own,
    patient_message,
    read_encounter,
    read_merge,
    read_patient,
)
from stepwedge.sim.messages.reports import (
    Acknowledged,
    ReportEvent,
    acknowledged_message,
    read_acknowledged,
    read_report,
    report_message,
)

__all__ = [
    "APPOINTMENT_EVENTS",
    "DOCUMENT_EVENTS",
    "PATIENT_EVENTS",
    "REPLY_KIND",
    "Acknowledged",
    "Answer",
    "Document",
    "Envelope",
    "Item",
    "ReportEvent",
    "acknowledged_message",
    "appointment_message",
    "confirmation_segments",
    "day_and_time",
    "document_message",
    "order_message",
    "own",
    "patient_message",
    "procedure_message",
    "read_acknowledged",
    "read_answer",
    "read_appointment",
    "read_context",
    "read_document",
    "read_encounter",
    "read_items",
    "read_merge",
    "read_patient",
    "read_report",
    "reply_segments",
    "report_message",
    "said",
]
