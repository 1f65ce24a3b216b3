"""Command sets: pynetdicom as oracle."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwedge.errors import LocalProtocolError, RemoteProtocolError
from stepwedge.wire import command as commands
from stepwedge.wire import status
from stepwedge.wire.command import Field

COMMANDS = {
    "C-ECHO-RQ": {"AffectedSOPClassUID": "1.2.840.10008.1.1", "CommandField": 0x30, "MessageID": 7,
                  "CommandDataSetType": 0x0101},
    "C-STORE-RQ": {"AffectedSOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "CommandField": 1, "MessageID": 65535,
                   "Priority": 0, "CommandDataSetType": 1, "AffectedSOPInstanceUID": "2.25.11",
                   "MoveOriginatorApplicationEntityTitle": "SW_READER", "MoveOriginatorMessageID": 3},
    "C-MOVE-RSP": {"AffectedSOPClassUID": "1.2.840.10008.5.1.4.1.2.2.2", "CommandField": 0x8021,
                   "MessageIDBeingRespondedTo": 3, "CommandDataSetType": 1, "Status": 0xB000,
                   "ErrorComment": "two of three", "NumberOfCompletedSuboperations": 2,
                   "NumberOfFailedSuboperations": 1, "NumberOfWarningSuboperations": 0},
    "N-CREATE-RQ": {"AffectedSOPClassUID": "1.2.840.10008.3.1.2.3.3", "CommandField": 0x140, "MessageID": 1,
                    "CommandDataSetType": 1, "AffectedSOPInstanceUID": "2.25.12"},
    "N-ACTION-RQ": {"RequestedSOPClassUID": "1.2.840.10008.1.20.1", "CommandField": 0x130, "MessageID": 1,
                    "CommandDataSetType": 1, "RequestedSOPInstanceUID": "1.2.840.10008.1.20.1.1", "ActionTypeID": 1},
    "N-GET-RQ": {"RequestedSOPClassUID": "1.2.840.10008.3.1.2.3.3", "CommandField": 0x110, "MessageID": 1,
                 "CommandDataSetType": 0x0101, "RequestedSOPInstanceUID": "2.25.12",
                 "AttributeIdentifierList": ["00400252", "00100010"]},
    "C-FIND-RSP": {"AffectedSOPClassUID": "1.2.840.10008.5.1.4.31", "CommandField": 0x8020,
                   "MessageIDBeingRespondedTo": 2, "CommandDataSetType": 0x0101, "Status": 0xA900,
                   "OffendingElement": ["00080052"], "ErrorComment": "no such level"},
}  # fmt: skip


def pynetdicom_bytes(command):
    from pydicom import Dataset
    from pynetdicom.dsutils import encode

    data_set = Dataset()
    for keyword, value in command.items():
        tags = keyword in {"OffendingElement", "AttributeIdentifierList"}
        setattr(data_set, keyword, [int(tag, 16) for tag in value] if tags else value)
    body = encode(data_set, is_implicit_vr=True, is_little_endian=True)
    return b"\0\0\0\0\4\0\0\0" + len(body).to_bytes(4, "little") + body


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())
def test_writes_and_reads_what_pynetdicom_writes(command):
    raw = commands.encode(command)
    assert raw == pynetdicom_bytes(command)
    assert commands.decode(raw) == command


@pytest.mark.parametrize(("name", "command"), COMMANDS.items())
def test_pynetdicom_reads_what_we_write(name, command):
    from io import BytesIO

    from pynetdicom.dsutils import decode

    found = decode(BytesIO(commands.encode(command)), is_implicit_vr=True, is_little_endian=True)
    assert found.CommandField == command["CommandField"]
    assert len(found) == len(command) + 1
    assert commands.name(command) == name


@pytest.mark.parametrize(
    ("command", "hint"),
    [
        ({"MessageId": 1, "CommandField": 1}, "MessageId"),
        ({"CommandField": 1, "MessageID": 70000}, "format"),
        ({"CommandField": 1, "AffectedSOPInstanceUID": "2.25.é"}, "ascii"),
    ],
)
def test_what_cannot_be_written_is_our_fault(command, hint):
    with pytest.raises(LocalProtocolError, match=hint):
        commands.encode(command)


GOOD = commands.encode(COMMANDS["C-ECHO-RQ"])
BROKEN = {
    "empty": b"",
    "cut": GOOD[:-1],
    "cut in a header": GOOD[:-6],
    "another group": GOOD + b"\x08\x00\x10\x00\x02\x00\x00\x00AB",
    "length beyond": GOOD[:-6] + b"\xff\xff\xff\xff" + GOOD[-2:],
    "twice": GOOD + GOOD[-10:],
    "a number of four bytes": commands.encode({"CommandField": 1})[:-6] + b"\x04\0\0\0\1\0\0\0",
    "no command field": b"\0\0\x10\x01\x02\0\0\0\1\0",
}


@pytest.mark.parametrize("raw", BROKEN.values(), ids=BROKEN.keys())
def test_broken_command_sets_are_the_peers_fault(raw):
    with pytest.raises(RemoteProtocolError):
        commands.decode(raw)


@given(st.binary(max_size=120))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_read_or_refused(raw):
    with contextlib.suppress(RemoteProtocolError):
        commands.decode(raw)


def test_retired_elements_are_kept_as_hexadecimal():
    raw = GOOD + b"\0\0\x00\x04\x02\0\0\0AB"
    assert commands.decode(raw)["00000400"] == "4142"


def test_data_set_type_is_needed():
    with pytest.raises(RemoteProtocolError, match="0000,0800"):
        commands.has_data_set({"CommandField": 1})


@pytest.mark.parametrize("field", Field)
def test_fields_agree_with_pynetdicom(field):
    from pynetdicom.dimse_messages import _MESSAGE_TYPES

    code = int(field) if field is not Field.C_CANCEL else 0x0FFF
    assert _MESSAGE_TYPES[code][0] == f"{field.service}-RQ"


def test_status_categories_agree_with_pynetdicom():
    from pynetdicom import status as tables

    services = {
        "C-ECHO": tables.VERIFICATION_SERVICE_CLASS_STATUS,
        "C-STORE": tables.STORAGE_SERVICE_CLASS_STATUS,
        "C-FIND": tables.QR_FIND_SERVICE_CLASS_STATUS,
        "C-MOVE": tables.QR_MOVE_SERVICE_CLASS_STATUS,
        "C-GET": tables.QR_GET_SERVICE_CLASS_STATUS,
        "N-CREATE": tables.PROCEDURE_STEP_STATUS,
    }
    for service, table in services.items():
        for code, (category, _) in table.items():
            assert status.category(service, code) == category.lower(), (service, hex(code))


@pytest.mark.parametrize(
    ("service", "code", "category"),
    [
        ("C-STORE", 0xFF00, "unknown"),
        ("N-SET", 0xFF00, "unknown"),
        ("C-FIND", 0xFF01, "pending"),
        ("C-STORE", 0x1234, "unknown"),
        ("C-STORE", 0xA7FF, "failure"),
        ("N-CREATE", 0x0111, "failure"),
    ],
)
def test_status_categories(service, code, category):
    assert status.category(service, code) == category


def test_status_words():
    assert status.describe(0x0110) == "0110 Processing Failure"
    assert "Move" in status.describe(0xA801, "C-MOVE")
    assert status.describe(0x0110, "MPPS").startswith("0110")
    assert status.describe(0x4321) == "4321 unknown"
