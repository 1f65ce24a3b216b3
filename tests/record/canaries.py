"""A day full of canaries: values that stand for somebody real, and a search that finds each wherever it could hide."""

from __future__ import annotations

import base64
import contextlib
import itertools
import re
import time

from stepwedge.evidence.exchange import Exchange, Payload
from stepwedge.sim import keys
from stepwedge.sim.tap.tap import Edge

ROLES = {"ehr": "ehr", "ris": "ris", "pacs": "pacs", "ct": "modality", "reader": "reader"}
SEGMENTS = [
    "EVN",
    "PID",
    "PD1",
    "NK1",
    "PV1",
    "PV2",
    "MRG",
    "GT1",
    "IN1",
    "IN2",
    "AL1",
    "DG1",
    "ORC",
    "OBR",
    "OBX",
    "NTE",
    "TQ1",
    "IPC",
    "ZDS",
    "ZPI",
    "SCH",
    "AIL",
    "ROL",
    "ACC",
]
CHARSETS = {
    "": "CANARY",
    "8859/1": "KÄNÁRIEN",
    "UNICODE UTF-8": "КАНАРЕЙКА",
    "ISO IR87": "金糸雀",
    "GB 18030-2000": "金丝雀",
    "?": "KÄNÁRIEN",
}
"""MSH-18 and letters that it can write; under ``?`` they are sent as ISO 8859-1 and nobody says so, as many systems do."""


_TEXT = re.compile(r"(\d{5})zq")
_DIGITS = re.compile(r"(?=(771300\d{6}))")
_DATE = re.compile(r"(?<!\d)(19[01]\d{5})(?!\d)")
_CODED = re.compile(rb"[A-Za-z0-9+/]{12,}")


class Aviary:
    """Makes canaries, each like no other, and finds them in any guise."""

    def __init__(self):
        self._count = itertools.count(10000)
        self.numbers, self.dates = set(), set()

    def text(self, letters="CANARY"):
        """A value with letters of a character set in it."""
        return f"{letters}{next(self._count):05}ZQ"

    def digits(self):
        """A number of twelve digits, as patients and orders have."""
        found = f"771300{next(self._count):06}"
        self.numbers.add(found)
        return found

    def date(self):
        """A date of birth of somebody so old that no invention can be born then."""
        number = next(self._count)
        found = f"19{number % 20:02}{1 + number % 9:02}{10 + number % 18}"
        self.dates.add(found)
        return found

    def found_in(self, content):
        """Return what of any canary a file holds: as text, in UTF-16, without separators, in base64 or hexadecimal."""
        plain = content.replace(b"\0", b"")
        coded = b" ".join(_decoded(run) for run in _CODED.findall(plain))
        found = []
        for raw in (plain, coded):
            text = raw.decode("latin-1").casefold()
            bare = re.sub(r"[\W_]", "", text)
            found += [one for each in (text, bare) for one in _TEXT.findall(each) if one.isdigit()]
            found += [one for each in (text, bare) for one in _DIGITS.findall(each) if one in self.numbers]
            found += [one for one in _DATE.findall(text) if one in self.dates]
        for codec in ("utf-8", "latin-1", "utf-16-le", "utf-16-be", "iso2022_jp", "gb18030"):
            text = content.decode(codec, "ignore").casefold()
            found += [letters for letters in set(CHARSETS.values()) if letters.casefold() in text]
        return found


def _decoded(run):
    """Return what a run of letters says in base64, wherever it begins, and in hexadecimal."""
    found = []
    for shift in range(4):
        part = run[shift:]
        with contextlib.suppress(ValueError):
            found.append(base64.b64decode(part[: len(part) // 4 * 4]))
    with contextlib.suppress(ValueError):
        found.append(bytes.fromhex(run[: len(run) // 2 * 2].decode()))
    return b" ".join(found)


def message(aviary, kind, charset="", *, control="", patient="", **given):
    """An HL7 message with a canary in every field of every segment; returns its bytes."""
    letters = CHARSETS[charset]
    codec = {
        "": "ascii",
        "8859/1": "latin-1",
        "?": "latin-1",
        "UNICODE UTF-8": "utf-8",
        "ISO IR87": "iso2022_jp",
        "GB 18030-2000": "gb18030",
    }[charset]
    head = [
        "MSH",
        "^~\\&",
        *(aviary.text() for _ in range(4)),
        "20260101",
        aviary.text(),
        kind,
        control or aviary.text()[:20],
        "P",
        "2.5.1",
    ]
    head += ["", "", "", "", "", "" if charset == "?" else charset]
    lines = ["|".join(head)]
    for segment in SEGMENTS:
        fields = [segment]
        for number in range(1, 56):
            parts = [aviary.text(letters) for _ in range(3)]
            written = {
                0: "^".join(parts),
                1: "~".join(parts),
                2: "&".join(parts),
                3: f"{parts[0]}^^^{parts[1]}&{parts[2]}",
            }[number % 4]
            fields.append(written)
        for number, value in given.get(segment, {}).items():
            fields[number] = value
        if segment == "PID":
            fields[3] = f"{patient or aviary.digits()}^^^{aviary.text()}"
            fields[5] = f"{aviary.text(letters)}^{aviary.text(letters)}"
            fields[7] = aviary.date()
        lines.append("|".join(fields))
    return "\r".join((*lines, "")).encode(codec)


def heard(recording, raw, *, on=("ehr", "ris"), outcome="AA", reply=b""):
    """Let a recording hear a message as a tap would."""
    from stepwedge.wire import hl7

    try:
        parsed = hl7.parse(raw)
        kind, found = parsed.type, keys.of_message(parsed)
    except hl7.HL7Error:
        kind, found = "unreadable", {}
    exchange = Exchange(
        0,
        time.time(),
        0.1,
        on[1],
        "in",
        "hl7",
        kind,
        on[0],
        outcome,
        found,
        {},
        Payload.of(raw),
        Payload.of(reply),
    )
    recording.hear(exchange, Edge(*on, "hl7"))
