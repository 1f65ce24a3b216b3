"""Values inside HL7 messages that can be wrong by themselves, whatever the receiver knows: dates, observations, identifiers."""

from __future__ import annotations

import binascii
import re
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Final

from stepwedge.wire.hl7_build import null
from stepwedge.wire.hl7_errors import HL7Error

if TYPE_CHECKING:
    from collections.abc import Callable

    from stepwedge.wire.hl7 import Message, Segment

_TIMESTAMP: Final = re.compile(
    r"(\d{4})(?:(\d{2})(?:(\d{2})(?:(\d{2})(?:(\d{2})(?:(\d{2})(?:\.(\d{1,4}))?)?)?)?)?)?(?:([+-])(\d{2})(\d{2}))?",
    re.ASCII,
)
_LONGEST_TIMESTAMP: Final = len("YYYYMMDDHHMMSS.SSSS+ZZZZ")
_MOST_KNOWN: Final = 4096
_KNOWN: Final[set[str]] = set()
"""Texts that are a time and nothing else; messages of one day repeat theirs."""
_TIME: Final = re.compile(r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,4})?)?)?([+-]\d{4})?", re.ASCII)
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)", re.ASCII)

_TIMESTAMPS: Final = {
    "MSH": (7,),
    "EVN": (2,),
    "PID": (7, 29),
    "PV1": (44, 45),
    "ORC": (9, 15),
    "OBR": (6, 7, 8, 14, 22, 36),
    "OBX": (14, 19),
    "TQ1": (7, 8),
}
"""Fields of type TS and DT that the messages of Stepwedge carry."""

_VALUE_TYPES: Final = frozenset(
    # HL7 v2.5.1 table 0125, and HD, which IHE RAD-28 uses for UIDs (RAD TF-2 4.28)
    "AD CE CF CK CN CP CWE CX DR DT DTM ED FT HD ID IS MO NM PN RP SN ST TM TN TS TX XAD XCN XON XPN XTN".split()  # noqa: SIM905 - a table reads best as a line
)
_ONE_PATIENT: Final = ("ADT", "ORM", "OMG", "OMI", "ORR", "ORG", "ORI")
_MERGES: Final = frozenset({"ADT^A39", "ADT^A40", "ADT^A41", "ADT^A42"})
_PAIRS: Final = frozenset({"ADT^A24", "ADT^A37"})
"""Events that link two patients, or take them apart."""


def moment(text: str, place: str = "") -> datetime:
    """Read a TS, DTM or DT (2.5.1 section 2.A.77) of any precision; what it leaves out is the first of its kind."""
    found = _TIMESTAMP.fullmatch(text)
    if found is None:
        raise HL7Error(
            102, place, f"{text!r} is no time; HL7 writes YYYY[MM[DD[HH[MM[SS[.SSSS]]]]]][+/-ZZZZ]"
        )
    year, month, day, hour, minute, second, fraction, sign, hours, minutes = found.groups()
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    try:
        return datetime(
            int(year),
            int(month or 1),
            int(day or 1),
            int(hour or 0),
            int(minute or 0),
            int(second or 0),
            int((fraction or "").ljust(6, "0")),
            tzinfo=timezone(-offset if sign == "-" else offset) if sign else None,
        )
    except ValueError as error:
        raise HL7Error(102, place, f"{text!r} is no time: {error}") from None


def check(message: Message) -> None:
    """Refuse a message whose own values cannot be right; the error names table 0357 code and place."""
    for segment in message.segments:
        if numbers := _TIMESTAMPS.get(segment.name):
            fields = segment.fields
            count = len(fields)
            for number in numbers:
                # most fields hold nothing but the time, and most times of a message were in it, or in another, before
                if number < count and (written := fields[number]) and written not in _KNOWN:
                    _check_moment(message, segment, number)
    for occurrence, segment in enumerate(message.each("OBX"), 1):
        _check_observation(segment, f"OBX[{occurrence}]")
    _check_identity(message)


def _check_moment(message: Message, segment: Segment, number: int) -> None:
    text = segment.read(number, 1, 1)
    if not text or text == null:
        return
    occurrence = message.each(segment.name).index(segment) + 1
    moment(text, f"{segment.name}[{occurrence}]-{number}")
    if text == segment.written(number) and len(text) <= _LONGEST_TIMESTAMP:
        if len(_KNOWN) >= _MOST_KNOWN:
            _KNOWN.clear()
        _KNOWN.add(text)


def _check_identity(message: Message) -> None:
    patients = message.each("PID")
    for occurrence, segment in enumerate(patients, 1):
        if not segment.read(3, 1, 1):
            raise HL7Error(101, f"PID[{occurrence}]-3", "no patient identifier")
    if len(patients) > 1 and message.type.startswith(_ONE_PATIENT) and message.type not in _MERGES | _PAIRS:
        raise HL7Error(100, "PID[2]", f"a second PID; {message.type} is about one patient")
    for number, group in enumerate(message.groups("PID") if "MRG" in message else (), 1):
        survivor, prior = group["PID-3.1"], group["MRG-1.1"]
        if prior and prior == survivor and group["MRG-1.4"] == group["PID-3.4"]:
            raise HL7Error(205, f"MRG[{number}]-1", f"patient {prior} is merged into itself")


def _check_observation(segment: Segment, place: str) -> None:
    kind = segment.read(2) or ""
    if not segment.written(5):
        return
    if not kind:
        raise HL7Error(101, f"{place}-2", "an observation has a value and no value type")
    if kind not in _VALUE_TYPES:
        raise HL7Error(103, f"{place}-2", f"value type {kind!r} is not in HL7 table 0125")
    if kind == "ED" and segment.read(5, 1, 4) == "Base64":  # 2.5.1 section 2.A.24, table 0299
        try:
            binascii.a2b_base64((segment.read(5, 1, 5) or "").encode(), strict_mode=True)
        except (binascii.Error, UnicodeEncodeError) as error:
            raise HL7Error(102, f"{place}-5", f"the data are no base64: {error}") from None
    fits = _FITS.get(kind)
    for number, text in enumerate(segment.all("5"), 1):
        if fits is not None and text != null and not fits(text):
            raise HL7Error(102, f"{place}-5[{number}]", f"{text[:40]!r} is no {kind}, which OBX-2 says it is")


def _is_moment(text: str) -> bool:
    try:
        moment(text)
    except HL7Error:
        return False
    return True


_FITS: Final[dict[str, Callable[[str], bool]]] = {
    "NM": lambda text: _NUMBER.fullmatch(text.strip()) is not None,
    "DT": lambda text: len(text) <= 8 and _is_moment(text),  # noqa: PLR2004 - YYYYMMDD
    "TM": lambda text: _TIME.fullmatch(text) is not None,
    "TS": lambda text: _is_moment(text.partition("^")[0]),
    "DTM": _is_moment,
    "ED": lambda text: text.count("^") == 4,  # noqa: PLR2004 - source, type, subtype, encoding, data
}
