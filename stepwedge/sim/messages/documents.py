"""Reports as documents: MDM^T02, T04, T06 and T10 with content (HL7 2.5.1 chapter 9), and what a receiver reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from stepwedge.model.patient import PersonName
from stepwedge.model.procedure import CODING_SCHEME
from stepwedge.sim.messages.patients import pid, visit
from stepwedge.sim.messages.reports import NARRATIVE
from stepwedge.wire.hl7 import HL7Error, Rep, timestamp

if TYPE_CHECKING:
    from stepwedge.model.encounter import Encounter
    from stepwedge.model.order import Order
    from stepwedge.model.patient import Patient
    from stepwedge.sim.messages.envelope import Envelope
    from stepwedge.wire.hl7 import Message
    from stepwedge.wire.hl7_build import Written

DOCUMENT_EVENTS: Final = {
    "T02": "original",
    "T04": "status change",
    "T06": "addendum",
    "T10": "replacement",
}
"""HL7 2.5.1 section 9.5: triggers with content."""
COMPLETION: Final = {"preliminary": "PA", "final": "AU", "corrected": "AU", "cancelled": "AU"}
"""HL7 table 0271, document completion status (TXA-17): PA pre-authenticated, AU authenticated."""
AVAILABLE: Final = "AV"
OBSOLETE: Final = "OB"
DELETED: Final = "CA"
"""HL7 table 0273, document availability status (TXA-19)."""

WITH_ORDERS: Final = "2.5"
"""The version that gave MDM its common order group (HL7 2.5 section 9.5); 2.3.1 has ORC and OBR nowhere in it."""


@dataclass(frozen=True, slots=True)
class Document:
    """One document about one order.

    Attributes:
        number: unique document number (TXA-12); ``parent`` the document that it replaces or adds to (TXA-13).
        completion: TXA-17; ``availability``: TXA-19.
        text: lines joined by a newline.
    """

    number: str
    filler: str
    placer: str = ""
    accession: str = ""
    parent: str = ""
    completion: str = ""
    availability: str = AVAILABLE
    text: str = ""
    at: str = ""
    author: str = ""


def document_message(
    trigger: str,
    document: Document,
    order: Order,
    patient: Patient,
    envelope: Envelope,
    encounter: Encounter | None = None,
) -> bytes:
    """Write MDM of a ``trigger``; it names its order in TXA-14 and TXA-15, and from 2.5 on in ORC and OBR too."""
    author = ["", *PersonName.from_dicom(document.author).hl7()] if document.author else ""
    segments: list[Written] = [
        ("EVN", {1: trigger, 2: timestamp(envelope.now)}),
        pid(patient, envelope.version),
        visit(encounter),
        *([] if envelope.version < WITH_ORDERS else _order(order)),
        (
            "TXA",
            {
                1: "1",
                2: "DI",
                3: "TX",
                4: document.at,
                6: document.at,
                9: author,
                12: [document.number, envelope.sender],
                13: [document.parent, envelope.sender] if document.parent else "",
                14: [order.placer],
                15: [order.filler],
                17: document.completion,
                19: document.availability,
            },
        ),
        ("OBX", {1: "1", 2: "TX", 3: NARRATIVE, 5: Rep(document.text.split("\n")), 11: "F"}),
    ]
    return envelope.seal(f"MDM^{trigger}", segments)


def _order(order: Order) -> list[Written]:
    """Return the common order group, which alone can hold the accession number."""
    code = [order.procedure, order.text, CODING_SCHEME]
    return [
        ("ORC", {1: "RE", 2: order.placer, 3: order.filler}),
        ("OBR", {1: "1", 2: order.placer, 3: order.filler, 4: code, 18: order.accession}),
    ]


def read_document(message: Message) -> Document:
    """Read the one document of an MDM."""
    number = message["TXA-12.1"]
    if not number:
        raise HL7Error(101, "TXA-12", "a document needs a unique document number")
    texts = ["\n".join(each.lines("5")) for each in message.each("OBX") if each["2"] in {"TX", "FT", "ST"}]
    return Document(
        number=number,
        filler=message["TXA-15.1"] or message["ORC-3.1"],
        placer=message["TXA-14.1"] or message["ORC-2.1"],
        accession=message["OBR-18.1"],
        parent=message["TXA-13.1"],
        completion=message["TXA-17"],
        availability=message["TXA-19"] or AVAILABLE,
        text="\n".join(texts),
        at=message["TXA-6.1"],
        author=PersonName.from_hl7([message[f"TXA-9.{number}.1"] for number in range(2, 7)]).dicom(),
    )
