"""Audit messages: what is written is valid and read back; what is wrong is named with its place."""

import random
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from stepwedge.errors import RemoteProtocolError
from stepwedge.wire import audit
from stepwedge.wire.audit import AuditMessage, Code, Contents, Object, Participant
from stepwedge.wire.audit_xml import compose, parse

AT = datetime(2026, 11, 24, 9, 30, 1, 250000, UTC)
PATIENT = Object("SW1^^^STEPWEDGE", audit.PATIENT_NUMBER, "1", "1")
STUDY = Object(
    "1.2.3",
    audit.STUDY_UID,
    "2",
    "3",
    contents=(Contents(("1.9",), ("SW0001",), (("1.2.840.10008.5.1.4.1.1.2", 2, ("1.2.3.1", "1.2.3.2")),)),),
)
STORED = AuditMessage(
    audit.event("110104"),
    "C",
    AT,
    participants=(
        Participant("SW_CT1", requestor=True, roles=(audit.SOURCE_ROLE,), address="127.0.0.1"),
        Participant("SW_PACS", roles=(audit.DESTINATION_ROLE,), alternative="4711"),
    ),
    source="SW_PACS",
    objects=(STUDY, PATIENT),
)
FULL = replace(
    STORED,
    outcome=audit.SERIOUS,
    description='refused: <"Müller" & co>',
    types=(Code("ITI-8", "IHE Transactions", "Patient Identity Feed"),),
    site="North",
    source_kinds=(Code("4", ""), Code("X1", "99SW", "scanner")),
    objects=(
        *STORED.objects,
        Object(
            "1.2.840.10008.5.1.4.31",
            audit.SOP_CLASS_UID,
            "2",
            "3",
            query=b"\x08\x00\x05\x00\x00raw",
            details=(("TransferSyntax", b"1.2.840.10008.1.2.1"),),
            contents=(Contents(studies=("1.2",), encrypted=False, anonymized=True),),
        ),
    ),
)


@pytest.mark.parametrize("message", [STORED, FULL])
def test_what_is_written_is_read_back(message):
    assert parse(compose(message)) == message
    assert audit.complaints(message) == []


def test_what_xml_cannot_carry_does_no_harm():
    message = replace(
        STORED, source="a\x00b\x0b\ud800", participants=(Participant("<&>\"'"), *STORED.participants)
    )
    assert parse(compose(message)).source == "a?b??"
    assert parse(compose(message)).participants[0].user == "<&>\"'"


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        (
            b'EventOutcomeIndicator="0"',
            b'EventOutcomeIndicator="1"',
            "@EventOutcomeIndicator: one of 0, 4, 8, 12",
        ),
        (b'EventActionCode="C"', b'EventActionCode="X"', "@EventActionCode"),
        (b'EventDateTime="2026-11-24T', b'EventDateTime="2026-11-24 ', "@EventDateTime: an xsd:dateTime"),
        (b' UserIsRequestor="true"', b"", "ActiveParticipant[1]/@UserIsRequestor: missing"),
        (b' UserID="SW_CT1"', b' UserId="SW_CT1"', "@UserId: there is no such attribute"),
        (b"csd-code", b"code", "@csd-code: missing"),
        (b"<ParticipantObjectName />", b"", "must hold ParticipantObjectIDTypeCode, (ParticipantObjectName"),
        (b"</AuditMessage>", b"<Extra/></AuditMessage>", "AuditMessage: holds"),
        (b"<AuditSourceIdentification", b"text<AuditSourceIdentification", "text where none may stand"),
        (b'ParticipantObjectTypeCodeRole="1"', b'ParticipantObjectTypeCodeRole="27"', "TypeCodeRole"),
        (b'NumberOfInstances="2"', b'NumberOfInstances="two"', "@NumberOfInstances: a whole number"),
    ],
)
def test_what_the_schema_does_not_allow_is_named_with_its_place(old, new, where):
    raw = compose(STORED)
    assert old in raw
    with pytest.raises(RemoteProtocolError) as refused:
        parse(raw.replace(old, new))
    assert where in str(refused.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"action": "D"}, "EventActionCode must be C or R or U"),
        ({"participants": STORED.participants[:1]}, "RoleIDCode 110152"),
        ({"objects": (PATIENT,)}, "the study must be there"),
        ({"objects": (STUDY,)}, "the patient must be there"),
        ({"event": audit.event("110114")}, "EventTypeCode out of 110122, 110123"),
    ],
)
def test_what_the_event_asks_for_is_missed(change, says):
    assert any(says in one for one in audit.complaints(replace(STORED, **change)))


def test_a_failure_need_not_tell_what_nobody_could_read():
    assert audit.complaints(replace(STORED, outcome=audit.MINOR, objects=())) == []


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"no xml",
        b"<AuditMessage>",
        b"<Other/>",
        b'<!DOCTYPE x [<!ENTITY a "b">]><AuditMessage>&a;</AuditMessage>',
        b'<!DOCTYPE AuditMessage SYSTEM "file:///etc/passwd"><AuditMessage/>',
        b"<a>" * 100_000,
        b"<AuditMessage>" + b"<a/>" * 30_000 + b"</AuditMessage>",
        b" " * ((1 << 20) + 1),
        b'<?xml version="1.0" encoding="x-none"?><AuditMessage/>',
    ],
)
def test_what_is_no_audit_message_is_refused_at_once(raw):
    with pytest.raises(RemoteProtocolError):
        parse(raw)


def test_mutated_messages_are_read_or_refused_and_nothing_else():
    chance, whole = random.Random(7), compose(FULL)  # noqa: S311 - replayable, nothing secret
    read = 0
    for _ in range(2000):
        raw = bytearray(whole)
        for _ in range(chance.randrange(1, 4)):
            at = chance.randrange(len(raw))
            raw[at : at + chance.randrange(3)] = chance.randbytes(chance.randrange(3))
        try:
            parse(bytes(raw))
            read += 1
        except RemoteProtocolError:
            pass
    assert 0 < read < 2000
