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
)
from stepwedge.wire.hl7 import HL7Error

from .identity import hear_notice

if TYPE_CHECKING:
    from datetime import datetime

    from stepwedge.wire.hl7 import Message

    from .state import Ehr

STATUS: Final = frozenset({"SC", "OC", "OK", "SN"})
"""Order control codes by which a filler speaks of an order's state (HL7 table 0119)."""


def hear_status(ehr: Ehr, message: Message, now: datetime) -> Reply:
    """Take an order's status (RAD-3)."""
    del now
    items = read_items(message)
    if not items:
        raise HL7Error(100, "ORC", "a status message without ORC")
    for item in items:
        if item.control not in STATUS:
            raise HL7Error(
                103, "ORC-1", f"order control {item.control!r} is none of {', '.join(sorted(STATUS))}"
            )
        ehr.hear(item)
    return Reply(type=REPLY_KIND[message.type], segments=confirmation_segments(message))


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
