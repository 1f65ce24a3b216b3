"""DIMSE command sets (PS3.7 section 9.3 and annex E) as plain dictionaries.

A command set maps the keyword to ``str`` (UI, AE, LO), ``int`` (US, UL) or ``list[str]`` of eight hexadecimal digits
(AT). It is always implicit VR little endian. CommandGroupLength is computed, never kept.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Any, Final

from stepwedge.errors import LocalProtocolError, RemoteProtocolError

Command = dict[str, Any]


class Field(IntEnum):
    """Command Field (0000,0100), PS3.7 table E.1-1; a response is its request with the highest bit set."""

    C_STORE = 0x0001
    C_GET = 0x0010
    C_FIND = 0x0020
    C_MOVE = 0x0021
    C_ECHO = 0x0030
    N_EVENT_REPORT = 0x0100
    N_GET = 0x0110
    N_SET = 0x0120
    N_ACTION = 0x0130
    N_CREATE = 0x0140
    N_DELETE = 0x0150
    C_CANCEL = 0x0FFF

    @property
    def service(self) -> str:
        """The standard's spelling, such as ``C-FIND``."""
        return self.name.replace("_", "-")


RESPONSE: Final = 0x8000
NO_DATA_SET: Final = 0x0101
MEDIUM: Final = 0x0000
"""Priority (0000,0700)."""

ELEMENTS: Final = {
    0x0002: ("AffectedSOPClassUID", "UI"),
    0x0003: ("RequestedSOPClassUID", "UI"),
    0x0100: ("CommandField", "US"),
    0x0110: ("MessageID", "US"),
    0x0120: ("MessageIDBeingRespondedTo", "US"),
    0x0600: ("MoveDestination", "AE"),
    0x0700: ("Priority", "US"),
    0x0800: ("CommandDataSetType", "US"),
    0x0900: ("Status", "US"),
    0x0901: ("OffendingElement", "AT"),
    0x0902: ("ErrorComment", "LO"),
    0x0903: ("ErrorID", "US"),
    0x1000: ("AffectedSOPInstanceUID", "UI"),
    0x1001: ("RequestedSOPInstanceUID", "UI"),
    0x1002: ("EventTypeID", "US"),
    0x1005: ("AttributeIdentifierList", "AT"),
    0x1008: ("ActionTypeID", "US"),
    0x1020: ("NumberOfRemainingSuboperations", "US"),
    0x1021: ("NumberOfCompletedSuboperations", "US"),
    0x1022: ("NumberOfFailedSuboperations", "US"),
    0x1023: ("NumberOfWarningSuboperations", "US"),
    0x1030: ("MoveOriginatorApplicationEntityTitle", "AE"),
    0x1031: ("MoveOriginatorMessageID", "US"),
}
"""Element number in group 0000 -> (keyword, VR); the retired ones of PS3.7 table E.2-1 are read as raw hexadecimal."""

_BY_KEYWORD: Final = {keyword: (element, vr) for element, (keyword, vr) in ELEMENTS.items()}
_HEADER: Final = struct.Struct("<HHI")
_US: Final = struct.Struct("<HHIH")
_GROUP_LENGTH: Final = struct.Struct("<HHII")


def encode(command: Command) -> bytes:
    """Write a command set, elements in order, with its group length in front."""
    parts: list[bytes] = []
    try:
        for element, vr, value in sorted(
            (*_BY_KEYWORD[keyword], value) for keyword, value in command.items()
        ):
            if vr == "US":
                parts.append(_US.pack(0, element, 2, value))
                continue
            raw = _raw(vr, value)
            parts += (_HEADER.pack(0, element, len(raw)), raw)
    except (KeyError, struct.error, UnicodeEncodeError) as error:
        raise LocalProtocolError(f"not a command set of PS3.7 annex E: {error}") from error
    body = b"".join(parts)
    return _GROUP_LENGTH.pack(0, 0, 4, len(body)) + body


def _raw(vr: str, value: Any) -> bytes:
    if vr == "AT":
        tags = value if isinstance(value, list) else [value]
        return b"".join(struct.pack("<HH", int(tag[:4], 16), int(tag[4:], 16)) for tag in tags)
    raw: bytes = value.encode("latin-1" if vr == "LO" else "ascii")
    if len(raw) % 2:
        raw += b"\0" if vr == "UI" else b" "
    return raw


def decode(data: bytes) -> Command:
    """Read a command set; anything that PS3.7 does not allow raises RemoteProtocolError."""
    command: Command = {}
    at, end = 0, len(data)
    while at < end:
        if end - at < 8:  # noqa: PLR2004  tag and length
            raise RemoteProtocolError("the command set ends inside an element (PS3.7 section 6.3)")
        group, element, length = _HEADER.unpack_from(data, at)
        at += 8
        if group != 0:
            raise RemoteProtocolError(
                f"the command set holds ({group:04X},{element:04X}) (PS3.7 section 6.3.1)"
            )
        if length > end - at:
            raise RemoteProtocolError(
                f"(0000,{element:04X}) announces {length} bytes where {end - at} are left"
            )
        raw = data[at : at + length]
        at += length
        if element == 0:
            continue
        keyword, vr = ELEMENTS.get(element) or (f"0000{element:04X}", "")
        if keyword in command:
            raise RemoteProtocolError(f"{keyword} stands twice in one command set")
        command[keyword] = _value(keyword, vr, raw)
    if "CommandField" not in command:
        raise RemoteProtocolError("a command set without Command Field (0000,0100)")
    return command


def _value(keyword: str, vr: str, raw: bytes) -> Any:
    if vr == "US":
        if len(raw) != 2:  # noqa: PLR2004  one unsigned short
            raise RemoteProtocolError(f"{keyword} must have 2 bytes, not {len(raw)}")
        return raw[0] | raw[1] << 8
    if vr == "UI":
        return raw.rstrip(b"\0 ").decode("ascii", "replace")
    if vr == "AT":
        if len(raw) % 4:
            raise RemoteProtocolError(f"{keyword} holds {len(raw)} bytes, which are no tags")
        return [f"{group:04X}{number:04X}" for group, number in struct.iter_unpack("<HH", raw)]
    if vr:
        return raw.decode("latin-1").strip(" \0")
    return raw.hex()


def has_data_set(command: Command) -> bool:
    """Tell whether a data set follows (Command Data Set Type, PS3.7 annex E)."""
    kind = command.get("CommandDataSetType")
    if kind is None:
        raise RemoteProtocolError("a command set without Command Data Set Type (0000,0800)")
    return bool(kind != NO_DATA_SET)


def name(command: Command) -> str:
    """Return the message's name as PS3.7 spells it, such as ``C-FIND-RSP``."""
    code = command["CommandField"]
    try:
        service = Field(code & ~RESPONSE).service
    except ValueError:
        return f"0x{code:04X}"
    return f"{service}-RSP" if code & RESPONSE else f"{service}-RQ"
