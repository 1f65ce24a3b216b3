"""DICOM audit messages (PS3.15 A.5): who did what to whose data, when, and with which outcome."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from stepwedge.wire import audit_schema
from stepwedge.wire.audit_schema import EVENTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

SUCCESS, MINOR, SERIOUS, MAJOR = 0, 4, 8, 12
"""EventOutcomeIndicator."""


@dataclass(frozen=True, slots=True)
class Code:
    """A coded value: csd-code, codeSystemName, originalText."""

    value: str
    system: str = "DCM"
    text: str = ""


APPLICATION_ROLE: Final = Code(audit_schema.APPLICATION, text="Application")
SOURCE_ROLE: Final = Code(audit_schema.SOURCE, text="Source Role ID")
DESTINATION_ROLE: Final = Code(audit_schema.DESTINATION, text="Destination Role ID")
SOURCE_MEDIA: Final = Code("110155", text="Source Media")
DESTINATION_MEDIA: Final = Code("110154", text="Destination Media")
MEDIA_URI: Final = Code("110037", text="URI")
"""CID 402 and 405."""
PATIENT_NUMBER: Final = Code("2", "RFC-3881", "Patient Number")
STUDY_UID: Final = Code("110180", text="Study Instance UID")
PIX_QUERY: Final = Code("ITI-9", "IHE Transactions", "PIX Query")
DEMOGRAPHICS_QUERY: Final = Code("ITI-21", "IHE Transactions", "Patient Demographics Query")
SOP_CLASS_UID: Final = Code("110181", text="SOP Class UID")
URI: Final = Code("12", "RFC-3881", "URI")


@dataclass(frozen=True, slots=True)
class Participant:
    """One person or process that took part (ActiveParticipant).

    Attributes:
        user: UserID: an AE title, ``facility|application`` of an HL7 sender, the name a person signs in with.
        alternative: AlternativeUserID: a process ID, further AE titles.
        address: NetworkAccessPointID, a machine name (type 1), IP address (2) or URI (5) by ``address_kind``.
    """

    user: str
    requestor: bool = False
    roles: tuple[Code, ...] = ()
    alternative: str = ""
    name: str = ""
    address: str = ""
    address_kind: str = "2"
    media: Code | None = None


@dataclass(frozen=True, slots=True)
class Contents:
    """What an object holds (ParticipantObjectDescription).

    Attributes:
        classes: SOP Class UID, number of instances, and their SOP Instance UIDs when they are told.
    """

    mpps: tuple[str, ...] = ()
    accessions: tuple[str, ...] = ()
    classes: tuple[tuple[str, int, tuple[str, ...]], ...] = ()
    studies: tuple[str, ...] = ()
    encrypted: bool | None = None
    anonymized: bool | None = None


@dataclass(frozen=True, slots=True)
class Object:
    """What the event was about (ParticipantObjectIdentification).

    Attributes:
        kind: ParticipantObjectTypeCode: person 1, system object 2, organization 3, other 4.
        role: ParticipantObjectTypeCodeRole: patient 1, report 3, security resource 13, ...
        name: its name; the schema asks for the element, not for its content, so a patient's can stay untold.
        query: instead of a name: the query that was made, raw.
        details: type and value, such as the transfer syntax of the query.
    """

    id: str
    id_kind: Code
    kind: str = "2"
    role: str = ""
    life_cycle: str = ""
    sensitivity: str = ""
    name: str = ""
    query: bytes | None = None
    details: tuple[tuple[str, bytes], ...] = ()
    contents: tuple[Contents, ...] = ()

    @property
    def stands_for(self) -> str:
        """``patient``, ``study``, ``query``, ``log``, or nothing of these."""
        if (self.kind, self.role) == ("1", "1"):
            return "patient"
        if self.query is not None and self.id_kind in {SOP_CLASS_UID, PIX_QUERY, DEMOGRAPHICS_QUERY}:
            return "query"
        if self.id_kind.value == STUDY_UID.value:
            return "study"
        return "log" if (self.kind, self.role) == ("2", "13") else ""


@dataclass(frozen=True, slots=True)
class AuditMessage:
    """One audit message.

    Attributes:
        event: EventID, one of ``audit_schema.EVENTS``.
        action: EventActionCode: create C, read R, update U, delete D, execute E; empty when it is not told.
        at: EventDateTime.
        outcome: EventOutcomeIndicator: success 0, minor 4, serious 8, major failure 12.
        types: EventTypeCodes; IHE puts the transaction here.
        source, site, source_kinds: AuditSourceID, AuditEnterpriseSiteID, AuditSourceTypeCodes.
    """

    event: Code
    action: str
    at: datetime
    outcome: int = SUCCESS
    participants: tuple[Participant, ...] = ()
    source: str = ""
    objects: tuple[Object, ...] = ()
    types: tuple[Code, ...] = ()
    description: str = ""
    site: str = ""
    source_kinds: tuple[Code, ...] = ()

    def ids(self, kind: str) -> list[str]:
        """Return the IDs of the objects that stand for a ``patient`` or a ``study``, each once."""
        return list(dict.fromkeys(one.id for one in self.objects if one.stands_for == kind and one.id))

    def accessions(self) -> list[str]:
        """Return the accession numbers of all objects, each once."""
        return list(
            dict.fromkeys(a for one in self.objects for held in one.contents for a in held.accessions)
        )


def event(code: str) -> Code:
    """Return the EventID of a kind of event, ``110104``."""
    return Code(code, "DCM", EVENTS[code].name)


def complaints(message: AuditMessage) -> list[str]:
    """Say what A.5.3 asks of a message of its kind and is not there; an event of another vocabulary is not judged."""
    known = EVENTS.get(message.event.value) if message.event.system == "DCM" else None
    return [] if known is None else list(_unlike(message, known))


def _unlike(message: AuditMessage, known: audit_schema.Event) -> Iterator[str]:
    where = f"PS3.15 {known.section} {known.name}"
    if message.action not in tuple(known.actions):
        yield f"{where}: EventActionCode must be {' or '.join(known.actions)}, not {message.action or 'absent'}"
    if known.types and not {kind.value for kind in message.types} & set(known.types):
        yield f"{where}: an EventTypeCode out of {', '.join(known.types)} must be there"
    roles = {role.value for participant in message.participants for role in participant.roles}
    for role in known.roles:
        if role not in roles:
            yield f"{where}: a participant with the RoleIDCode {role} must be there"
    if message.outcome != SUCCESS:
        return  # what was refused unread has no study or patient that could be told
    there = {one.stands_for for one in message.objects}
    for kind in known.objects:
        if kind not in there:
            yield f"{where}: an object that is the {kind} must be there"
