"""Compose HL7 v2 messages: clinical values in, escaped ER7 bytes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from stepwedge.errors import LocalProtocolError
from stepwedge.wire.hl7_charset import codec
from stepwedge.wire.hl7_errors import CONDITIONS
from stepwedge.wire.hl7_escape import STANDARD, Er7, encode, escape
from stepwedge.wire.hl7_path import path

if TYPE_CHECKING:
    from datetime import datetime

    from stepwedge.wire.hl7 import Message
    from stepwedge.wire.hl7_errors import HL7Error

null: Final = '""'
"""HL7's *delete this value* (2.5.1 section 2.5.3), not the same as leaving a field empty."""


class Rep(list["str | Sequence[str | Sequence[str]]"]):
    """Repetitions of one field; each is a text or a list of components."""


Component = str | Sequence[str]
Value = str | int | None | Sequence[Component] | Rep
Fields = Mapping[int, Value]
Written = tuple[str, Fields]
"""One segment to write: its ID and its fields by number."""

VERSIONS: Final = frozenset(
    {
        "2.1",
        "2.2",
        "2.3",
        "2.3.1",
        "2.4",
        "2.5",
        "2.5.1",
        "2.6",
        "2.7",
        "2.7.1",
        "2.8",
        "2.8.1",
        "2.8.2",
        "2.9",
    }
)
"""HL7 table 0104."""
PROCESSING: Final = frozenset("DPT")
"""HL7 table 0103. ``P`` is taken in a test too: what makes a message synthetic is its identifiers."""

_ENCODING: Final = STANDARD.written()

_STRUCTURES: Final[dict[str, str]] = {
    # HL7 v2.5.1 table 0354: events that share a structure; all others are named after themselves.
    "ADT^A04": "ADT_A01",
    "ADT^A07": "ADT_A06",
    "ADT^A08": "ADT_A01",
    "ADT^A11": "ADT_A09",
    "ADT^A13": "ADT_A01",
    "ADT^A23": "ADT_A21",
    "ADT^A28": "ADT_A05",
    "ADT^A31": "ADT_A05",
    "ADT^A40": "ADT_A39",
    "ADT^A47": "ADT_A30",
    "MDM^T04": "MDM_T02",
    "MDM^T06": "MDM_T02",
    "MDM^T10": "MDM_T02",
    "QBP^Q22": "QBP_Q21",
    "QBP^Q23": "QBP_Q21",
    "RSP^K22": "RSP_K21",
    "SIU^S13": "SIU_S12",
    "SIU^S14": "SIU_S12",
    "SIU^S15": "SIU_S12",
    "SIU^S26": "SIU_S12",
}
_STRUCTURES_BEFORE: Final[dict[str, str]] = {
    # HL7 v2.3.1 table 0354, where it differs.
    "ADT^A05": "ADT_A01",
    "ADT^A23": "ADT_A02",
    "ADT^A28": "ADT_A01",
    "ADT^A31": "ADT_A01",
}


def timestamp(at: datetime) -> str:
    """Return a TS to the second, with its offset when the time has one."""
    text = at.isoformat(timespec="seconds")
    return text[:19].replace("-", "").replace(":", "").replace("T", "") + text[19:].replace(":", "")


def header(
    kind: str,
    *,
    control: str,
    now: datetime,
    version: str = "2.5.1",
    sender: tuple[Value, Value] = ("", ""),
    receiver: tuple[Value, Value] = ("", ""),
    processing: str = "P",
    more: Fields | None = None,
) -> Written:
    """Return MSH for a message of ``kind`` (``ADT^A04``); sender and receiver are application and facility.

    MSH-18 is written by :func:`compose`, which knows the character set.
    """
    return (
        "MSH",
        {
            3: sender[0],
            4: sender[1],
            5: receiver[0],
            6: receiver[1],
            7: timestamp(now),
            9: _type(kind, version),
            10: control,
            11: processing,
            12: version,
            **(more or {}),
        },
    )


def _type(kind: str, version: str) -> list[str]:
    """Return the components of MSH-9; the structure is required from 2.5 on and unknown before 2.3.1."""
    parts = kind.split("^")[:2]
    if version < "2.5" or len(parts) == 1:
        return parts
    return [*parts, structure_of(kind, version)]


@lru_cache(maxsize=256)
def _er7_type(kind: str, version: str) -> str:
    return _field(_type(kind, version))


def structure_of(kind: str, version: str = "2.5.1") -> str:
    """Return the message structure (MSH-9.3) of a type such as ``ADT^A04``."""
    if kind.startswith("ACK"):
        return "ACK"
    if version < "2.4" and kind in _STRUCTURES_BEFORE:
        return _STRUCTURES_BEFORE[kind]
    return _STRUCTURES.get(kind, kind.replace("^", "_"))


def compose(segments: Sequence[Written], *, charset: str = "", errors: str = "strict") -> bytes:
    """Write a message in the recommended separators; ``charset`` is MSH-18 (table 0211), "" for plain ASCII.

    ``errors="replace"`` writes ``?`` for what the character set lacks, instead of refusing.
    """
    if not segments or segments[0][0] != "MSH":
        raise LocalProtocolError("a message starts with MSH; build it with header()")
    msh = {**segments[0][1], 18: Er7(charset)}
    lines = [_line("MSH", msh), *(_line(name, fields) for name, fields in segments[1:])]
    return encode("\r".join(lines) + "\r", charset, errors)


def _line(name: str, fields: Fields) -> str:
    # MSH-1 is the separator itself, and MSH-2 stands already
    texts, first = (["MSH", _ENCODING], 3) if name == "MSH" else ([name], 1)
    numbers = range(first, max(fields, default=0) + 1)
    texts += [_field(fields[number]) if number in fields else "" for number in numbers]
    return "|".join(texts).rstrip("|")


def _field(value: Value) -> str:
    if isinstance(value, str):
        return escape(value) if value and not isinstance(value, Er7) else value
    if value is None:
        return ""
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Rep):
        return "~".join(_field(each) for each in value)
    return "^".join(_component(each) for each in value).rstrip("^")


def _component(value: Component) -> str:
    if isinstance(value, str):
        return value if isinstance(value, Er7) else escape(value)
    return "&".join(escape(each) for each in value).rstrip("&")


def acknowledgement(
    message: Message | None,
    code: str,
    *,
    control: str,
    now: datetime,
    text: str = "",
    error: HL7Error | None = None,
    segments: Sequence[Written] = (),
    kind: str = "ACK",
) -> bytes:
    """Answer a message: MSH turned round, MSA, ERR in the form of its version, then ``segments``.

    Args:
        message: what is answered, or ``error.about``; ``None`` when it had no readable MSH.
        code: MSA-1, table 0008.
        control: MSH-10 of the answer itself.
        now: MSH-7 of the answer.
        text: MSA-3; the error's text when left out.
        error: what ERR says.
        segments: what an application reply adds.
        kind: ``ACK``, or an application reply such as ``ORR^O02``.
    """
    if message is None:
        version, charset, asked = "2.5.1", "", [""] * 6
    else:
        version = message.version if message.version in VERSIONS else "2.5.1"
        charset = message.charset if codec(message.charset) else ""
        asked = message.header.copies((3, 4, 5, 6, 10, 11))
        if kind == "ACK" and "^" in message.type:
            kind = f"ACK^{message.type.partition('^')[2]}"
    application, facility, us, here, answered, processing = asked
    if processing.partition("^")[0] not in PROCESSING:
        processing = "P"
    said = escape(text or error.text) if error else escape(text)
    lines = [
        f"MSH|{_ENCODING}|{us}|{here}|{application}|{facility}|{timestamp(now)}||{_er7_type(kind, version)}"
        f"|{escape(control)}|{processing}|{version}" + (f"||||||{charset}" if charset else ""),
        f"MSA|{code}|{answered}" + (f"|{said}" if said else ""),
        *(_line(*segment) for segment in ((_err(error, version), *segments) if error else segments)),
    ]
    return encode("\r".join(lines) + "\r", charset, "replace" if error else "strict")


def _err(error: HL7Error, version: str) -> Written:
    place = path(error.location) if error.location else None
    numbers = [str(number) if number else "" for number in place[1:]] if place else []
    where = [place.segment, *numbers] if place else []
    condition = [str(error.code), CONDITIONS[error.code], "HL70357"]
    if (
        version < "2.5"
    ):  # 2.3.1 section 2.24.6: segment ID, sequence, field position, code identifying the error
        return "ERR", {1: [*(where[:3] + [""] * 3)[:3], condition]}
    return "ERR", {2: where, 3: condition, 4: "E", 8: error.text}  # 2.5.1 section 2.15.5
