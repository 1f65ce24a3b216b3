"""The EHR at its HL7 door: order status (RAD-3), appointments (RAD-48) and reports (ORU^R01) come in; every other message is a word of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stepwedge.sim.hl7 import Handler, Reply
from stepwedge.sim.messages import (
    APPOINTMENT_EVENTS,
    REPLY_KIND,
    confirmation_segments,
    read_appointment,
    read_items,
    read_patient,
    read_report,
    reply_segments,
)
from stepwedge.wire.hl7 import HL7Error

from .identity import hear_notice

if TYPE_CHECKING:
    from datetime import datetime

    from stepwedge.wire.hl7 import Message

    from .state import Ehr

STATUS: Final = frozenset({"SC", "OC", "OK"})
"""Order control codes by which a filler speaks of an order's state (HL7 table 0119)."""


def hear_status(ehr: Ehr, message: Message, now: datetime) -> Reply:
    """Take an order's status, or an order that the department made (RAD-3)."""
    items = read_items(message)
    if not items:
        raise HL7Error(100, "ORC", "a status message without ORC")
    if all(item.control == "SN" for item in items):
        return number_order(ehr, message, now)
    for item in items:
        if item.control not in STATUS:
            raise HL7Error(
                103, "ORC-1", f"order control {item.control!r} is none of {', '.join(sorted(STATUS))}"
            )
        ehr.hear(item)
    return Reply(type=REPLY_KIND[message.type], segments=confirmation_segments(message))


def number_order(ehr: Ehr, message: Message, now: datetime) -> Reply:
    """Give an order that the department made a placer number (RAD-3: SN, answered NA)."""
    patient = read_patient(message)
    segments = []
    for item in read_items(message):
        order = ehr.number(item, patient, "2.3.1" if message.version < "2.4" else "2.5.1", now)
        segments += reply_segments("NA", order)
    return Reply(type=REPLY_KIND[message.type], segments=segments)


def receive_report(ehr: Ehr, message: Message, now: datetime) -> Reply:
    """Take a report (RAD-28, RAD-128)."""
    ehr.receive(read_report(message), read_patient(message), now)
    return Reply()


def note_appointment(ehr: Ehr, message: Message, now: datetime) -> Reply:
    """Take what the scheduler says of an appointment (RAD-48)."""
    del now
    told = read_appointment(message, read_patient(message).id)
    ehr.note(told, APPOINTMENT_EVENTS[message.type.partition("^")[2]])
    return Reply()


HANDLERS: Final[dict[str, Handler]] = {
    "ORM^O01": hear_status,
    "OMG^O19": hear_status,
    "ORU^R01": receive_report,
    "ADT^A31": hear_notice,
    **{f"SIU^{trigger}": note_appointment for trigger in APPOINTMENT_EVENTS},
}
