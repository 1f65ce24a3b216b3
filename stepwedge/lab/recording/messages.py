"""HL7 with every identity replaced: a message made anew from the fields that may stay, and nothing else of the old one.

A segment or field that is not in :data:`FIELDS` is not in the new message. Fields stay when they hold a value out of a closed list; all
others hold an invention. Chapters 2, 3, 4, 6 and 7 of HL7 v2.5.1 say what stands where; fields keep their numbers since 2.1.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Final

from stepwedge.lab.recording import vocabulary as known
from stepwedge.lab.recording.surrogates import TEXT, Surrogates
from stepwedge.wire import hl7
from stepwedge.wire.hl7 import Rep

if TYPE_CHECKING:
    from stepwedge.wire.hl7_build import Value, Written

STUDY: Final = "113014"
"""DCM *DICOM Study*: OBX-5 is then a Study Instance UID (IHE RAD TF-2, 4.28)."""
_NO_TIME: Final = datetime(2000, 1, 1)  # noqa: DTZ001 - stands for no time at all
MOST: Final = 200
"""Segments and repetitions that are read of one message; a draft needs no more."""
Treatment = Callable[[hl7.Segment, int, Surrogates], "Value"]


def _stays(values: frozenset[str], component: int = 1) -> Treatment:
    def treat(segment: hl7.Segment, field: int, to: Surrogates) -> Value:
        del to
        value = segment[f"{field}.{component}"]
        return [""] * (component - 1) + [value] if value in values else ""

    return treat


def _each(segment: hl7.Segment, field: int) -> range:
    return range(1, min(max(1, segment.written(field).count("~") + 1), 20) + 1)


def _number(segment: hl7.Segment, field: int, to: Surrogates) -> Value:
    """Replace EI and CX alike: the first component identifies, the rest says who gave it out."""
    return to.identifier(segment[f"{field}.1.1"])


def _patients(segment: hl7.Segment, field: int, to: Surrogates) -> Value:
    found = [
        [
            to.identifier(segment[f"{field}[{at}].1.1"]),
            "",
            "",
            to.issuer(segment[f"{field}[{at}].4.1"]),
        ]
        for at in _each(segment, field)
    ]
    return Rep([one for one in found if one[0]])


def _name(segment: hl7.Segment, field: int, to: Surrogates) -> Value:
    parts = " ".join(segment[f"{field}.{at}.1"] for at in (1, 2, 3))
    found = to.name(parts)
    return [found.family, found.given] if found else ""


def _clinician(segment: hl7.Segment, field: int, to: Surrogates) -> Value:
    found = to.name(" ".join(segment[f"{field}.{at}.1"] for at in (2, 3)))
    number = to.identifier(segment[f"{field}.1.1"])
    return [number, found.family, found.given] if found else number


def _born(segment: hl7.Segment, field: int, to: Surrogates) -> Value:
    return to.birth_date(segment[f"{field}.1"], segment["3.1.1"])


def _address(segment: hl7.Segment, field: int, to: Surrogates) -> Value:
    written = segment.written(field)
    return [f"{to.identifier(written)} SYNTHETIC STREET", "", "STEPWEDGE"] if written else ""


def _phone(segment: hl7.Segment, field: int, to: Surrogates) -> Value:
    written = segment.written(field)
    return f"555-01{to.identifier(written)[-2:]}" if written else ""  # kept for fiction in the numbering plan


def _text(segment: hl7.Segment, field: int, to: Surrogates) -> Value:
    del to
    return TEXT if segment.written(field) else ""


def _uid(segment: hl7.Segment, field: int, to: Surrogates) -> Value:
    return to.uid(segment[f"{field}.1.1"])


def _procedure(segment: hl7.Segment, field: int, to: Surrogates) -> Value:
    """Keep a code of our own catalogue; any other becomes a number."""
    code = segment[f"{field}.1.1"]
    return code if code in known.procedures() else to.identifier(code)


def _priority(segment: hl7.Segment, field: int, to: Surrogates) -> Value:
    return _stays(known.PRIORITY, 6)(segment, field, to)


def _observed(segment: hl7.Segment, field: int, to: Surrogates) -> Value:
    return _uid(segment, field, to) if segment["3.1.1"] == STUDY else _text(segment, field, to)


FIELDS: Final[dict[str, dict[int, Treatment]]] = {
    "PID": {
        2: _number,
        3: _patients,
        4: _number,
        5: _name,
        6: _name,
        7: _born,
        8: _stays(known.SEX),
        9: _name,
        11: _address,
        13: _phone,
        14: _phone,
        18: _number,
        19: _number,
        20: _number,
        21: _number,
    },
    "MRG": {1: _patients, 3: _number, 4: _number, 5: _number, 7: _name},
    "NK1": {2: _name, 4: _address, 5: _phone, 6: _phone, 30: _name, 33: _number},
    "PV1": {
        2: _stays(known.PATIENT_CLASS),
        3: _text,
        5: _number,
        6: _text,
        7: _clinician,
        8: _clinician,
        9: _clinician,
        17: _clinician,
        19: _number,
        50: _number,
    },
    "GT1": {2: _number, 3: _name, 4: _name, 5: _address, 6: _phone, 7: _phone, 12: _number},
    "IN1": {
        2: _number,
        3: _number,
        4: _text,
        5: _address,
        7: _phone,
        16: _name,
        19: _address,
        36: _number,
        49: _number,
    },
    "IN2": {1: _number, 2: _number, 6: _number, 8: _number},
    "AL1": {3: _text, 5: _text},
    "DG1": {3: _text, 4: _text},
    "ORC": {
        1: _stays(known.CONTROL),
        2: _number,
        3: _number,
        4: _number,
        5: _stays(known.ORDER_STATUS),
        7: _priority,
        10: _clinician,
        11: _clinician,
        12: _clinician,
        16: _text,
        19: _clinician,
        21: _text,
        22: _address,
        23: _phone,
        24: _address,
    },
    "OBR": {
        2: _number,
        3: _number,
        4: _procedure,
        10: _clinician,
        13: _text,
        16: _clinician,
        17: _phone,
        18: _number,
        19: _number,
        20: _number,
        24: _stays(known.MODALITIES),
        25: _stays(known.RESULT_STATUS),
        27: _priority,
        28: _clinician,
        31: _text,
        32: _clinician,
        33: _clinician,
        34: _clinician,
        35: _clinician,
        44: _procedure,
    },
    "TQ1": {9: _stays(known.PRIORITY)},
    "OBX": {
        2: _stays(known.VALUE_TYPE),
        3: _stays(frozenset({STUDY})),
        5: _observed,
        8: _text,
        11: _stays(known.OBSERVATION_STATUS),
        16: _clinician,
    },
    "NTE": {3: _text},
    "ZDS": {1: _uid},
    "IPC": {1: _number, 2: _number, 3: _uid, 4: _number, 5: _stays(known.MODALITIES)},
    "SCH": {
        1: _number,
        2: _number,
        16: _clinician,
        25: _stays(known.FILLER_STATUS),
        26: _number,
        27: _number,
    },
    "MSA": {1: _stays(known.ACKNOWLEDGED), 2: _number, 3: _text},
    "ERR": {3: _stays(known.ERRORS), 4: _stays(known.SEVERITY), 8: _text},
}
"""What stays or becomes what; everything else is gone."""


def replaced(raw: bytes, to: Surrogates, sender: str, receiver: str) -> hl7.Message | None:
    """Return a message in which nobody is who they were; None when the message cannot be read or has no type that is known.

    ``sender`` and ``receiver`` are actors of the lab; their names stand for application and facility.
    """
    message = _read(raw)
    if message is None or not (kind := known.kind("hl7", message.type)):
        return None
    version = message.version if message.version in known.VERSIONS else "2.5.1"
    processing = message.header["11.1"]
    head = hl7.header(
        kind,
        control=to.identifier(message.control)[:20],
        now=_NO_TIME,
        version=version,
        sender=(f"SW_{sender.upper()}", ""),
        receiver=(f"SW_{receiver.upper()}", ""),
        processing=processing if processing in known.PROCESSING else "P",
    )
    body = [_segment(one, to) for one in message.segments[1:MOST] if one.name in FIELDS]
    return hl7.parse(hl7.compose([head, *body], charset="UNICODE UTF-8"))


def _read(raw: bytes) -> hl7.Message | None:
    """Open a message; one whose letters contradict its character set, as many do, is read without those letters."""
    try:
        return hl7.parse(raw)
    except hl7.HL7Error:
        pass
    head, end, rest = raw.partition(b"\r")
    fields = head.split(raw[3:4] or b"|")
    plain = (
        raw[3:4].join(fields[:17]) + end + rest
    )  # MSH-18 is the eighteenth, counted with the segment's name
    try:
        return hl7.parse(bytes(one if one < 0x80 else 0x3F for one in plain))  # noqa: PLR2004 - ASCII
    except hl7.HL7Error:
        return None


def _segment(segment: hl7.Segment, to: Surrogates) -> Written:
    count = len(segment.fields)
    treated = {
        field: treat(segment, field, to) for field, treat in FIELDS[segment.name].items() if field < count
    }
    return segment.name, {field: value for field, value in treated.items() if value}
