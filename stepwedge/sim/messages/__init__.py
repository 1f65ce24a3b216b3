"""The one place that knows how clinical facts are written in HL7 2.3.1 and 2.5.1, and how they are read back.

Writers take plain model objects and an :class:`Envelope` and return the bytes of a message. Readers take an opened message of
either version and return the same plain objects, so that no simulated system ever asks for the version.

| fact | 2.3.1 | 2.5.1 | transaction |
| --- | --- | --- | --- |
| patient registered, corrected, merged | ADT^A04, A08, A40 | the same | RAD-1, RAD-12, ITI-30 |
| person added, corrected, identifier changed | ADT^A28, A31, A47 | the same | ITI-30 |
| encounter begun, moved, ended, taken back | ADT^A01 to A07, A11 to A13, A23 | the same | ITI-31 |
| appointment booked, moved, cancelled, missed | SIU^S12 to S15, S26 | the same | RAD-48 |
| order placed, cancelled, its status | ORM^O01, answered ORR^O02 | OMG^O19, answered ORG^O20 | RAD-2, RAD-3 |
| procedure scheduled, changed, cancelled | ORM^O01 with ZDS | OMI^O23 with IPC, answered ORI^O24 | RAD-4, RAD-13 |
| report | ORU^R01 | ORU^R01 | RAD-28, RAD-128 |
| identifiers of one person, demographics | | QBP^Q23, Q22, answered RSP^K23, K22 | ITI-9, ITI-21 |
| linked, unlinked, who is whose now | | ADT^A24, A37, A31 | ITI-30, ITI-10 |
"""

from stepwedge.sim.messages.appointments import APPOINTMENT_EVENTS, appointment_message, read_appointment
from stepwedge.sim.messages.envelope import Envelope, said, smallest_charset
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
from stepwedge.sim.messages.patients import patient_message, read_encounter, read_merge, read_patient
from stepwedge.sim.messages.reports import ReportEvent, read_report, report_message

__all__ = [
    "APPOINTMENT_EVENTS",
    "REPLY_KIND",
    "Answer",
    "Envelope",
    "Item",
    "ReportEvent",
    "appointment_message",
    "confirmation_segments",
    "order_message",
    "patient_message",
    "procedure_message",
    "read_answer",
    "read_appointment",
    "read_encounter",
    "read_items",
    "read_merge",
    "read_patient",
    "read_report",
    "reply_segments",
    "report_message",
    "said",
    "smallest_charset",
]
