"""HL7 v2 (ER7) through a lens: nothing is split before it is asked for.

    >>> message = parse(raw)                                               # doctest: +SKIP
    >>> message["PID-3.1"], message.get("ORC-3"), message.all("OBX-5")     # doctest: +SKIP

Accepted although the standard says otherwise, because real senders do it: LF or CRLF for CR, no CR at the end, empty
segments between two CRs, and encoding characters that leave out what the message does not use (``MSH|^~|``).
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from stepwedge.wire.hl7_build import (
    PROCESSING,
    VERSIONS,
    Rep,
    acknowledgement,
    compose,
    header,
    null,
    timestamp,
)
from stepwedge.wire.hl7_charset import codec
from stepwedge.wire.hl7_errors import CONDITIONS, HL7Error
from stepwedge.wire.hl7_escape import STANDARD, Er7, Separators, standard, unescape
from stepwedge.wire.hl7_path import path

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = [
    "CONDITIONS",
    "VERSIONS",
    "Er7",
    "Group",
    "HL7Error",
    "Message",
    "Rep",
    "Segment",
    "Separators",
    "acknowledgement",
    "compose",
    "control_of",
    "header",
    "null",
    "parse",
    "timestamp",
]

_HEADERS: Final = frozenset({"MSH", "BHS", "FHS"})
_FORBIDDEN: Final = bytes(set(range(0x20)) - set(b"\t\n\r\x1b")) + b"\x7f"
_BOM: Final = b"\xef\xbb\xbf"
_CONTROL_ID_LIMIT: Final = {"2.7": 199, "2.8": 199, "2.9": 199}
_CONTROL_ID_LIMIT_BEFORE_2_7: Final = 20


class Segment:
    """One segment; ``segment["3.1"]`` reads inside it."""

    __slots__ = ("_fields", "_separators", "line", "name", "number")

    def __init__(self, line: str, number: int, separators: Separators) -> None:
        """Keep the line as written, its segment ID and its position in the message, from 1."""
        self.line, self.name, self.number, self._separators = line, line[:3], number, separators
        self._fields: list[str] | None = None

    def __repr__(self) -> str:
        return f"Segment({self.line[:60]!r})"

    def __getitem__(self, place: str) -> str:
        """Return the text at ``place``, "" when it is not valued."""
        return self.get(place) or ""

    def get(self, place: str) -> str | None:
        """Return the text at ``place``, ``None`` when it is not valued, ``'""'`` for HL7's null."""
        _, _, number, repetition, component, subcomponent = path(place)
        return self.read(number, repetition, component, subcomponent)

    def all(self, place: str) -> list[str]:
        """Return every valued repetition at ``place``."""
        _, _, number, repetition, component, subcomponent = path(place)
        separator = "" if self._separates(number) else self._separators.repetition
        count = self.written(number).count(separator) + 1 if separator else 1
        wanted = [repetition] if repetition else range(1, count + 1)
        found = [self.read(number, each, component, subcomponent) for each in wanted]
        return [text for text in found if text is not None]

    def lines(self, place: str) -> list[str]:
        """Return every repetition at ``place``, "" where one is not valued: the lines of a text, empty ones too."""
        number = path(place)[2]
        separator = self._separators.repetition
        count = self.written(number).count(separator) + 1 if separator else 1
        return [self.read(number, nth, 0, 0) or "" for nth in range(1, count + 1)]

    def _separates(self, number: int) -> bool:
        """Tell whether the field is MSH-1 or MSH-2, the separators themselves."""
        return number <= 2 and self.name in _HEADERS  # noqa: PLR2004 - they are two

    @property
    def fields(self) -> list[str]:
        """All fields as they stand in the message, with separators and escapes; the segment's name is number 0."""
        fields = self._fields
        if fields is None:
            fields = self._fields = self.line.split(self._separators.field)
            if fields[0] in _HEADERS:  # the field separator itself is field 1
                fields.insert(1, self._separators.field)
        return fields

    def written(self, number: int) -> str:
        """Return field ``number`` exactly as it stands in the message, with separators and escapes."""
        fields = self._fields or self.fields
        return fields[number] if 0 < number < len(fields) else ""

    def heads(self, number: int) -> list[str]:
        """Return the first component of every repetition of a field, "" where it is not valued."""
        text = self.written(number)
        _, component, repetition, escape, _, _ = self._separators
        escaped = escape and escape in text
        if not escaped and (not repetition or repetition not in text):
            return [text.partition(component)[0]]
        found = [one.partition(component)[0] for one in (text.split(repetition) if repetition else [text])]
        return [unescape(one, self._separators) for one in found] if escaped else found

    def copy(self, number: int) -> Er7:
        """Return field ``number`` ready to be composed into another message, whatever separators this one has."""
        return standard(self.written(number), self._separators)

    def copies(self, numbers: Sequence[int]) -> list[str]:
        """Return several fields as :meth:`copy` does."""
        fields, separators = self.fields, self._separators
        count = len(fields)
        texts = [fields[number] if number < count else "" for number in numbers]
        if separators[:5] == STANDARD[:5]:
            return texts
        return [standard(text, separators) for text in texts]

    def read(self, number: int, repetition: int = 1, component: int = 0, subcomponent: int = 0) -> str | None:
        """Return one value by its numbers; a place above the leaf keeps its separators."""
        text = self.written(number)
        if not text or (number <= 2 and self._separates(number)):  # noqa: PLR2004 - MSH-1 and MSH-2
            return text or None
        _, between, repeated, escape, below, _ = self._separators
        if repetition > 1 or repeated in text:
            text = _part(text, repeated, repetition or 1)
        if component > 1 or (component and between in text):
            text = _part(text, between, component)
        if subcomponent > 1 or (subcomponent and below in text):
            text = _part(text, below, subcomponent)
        if escape and escape in text:
            text = unescape(text, self._separators)
        return text or None


def _part(text: str, separator: str, number: int) -> str:
    """Return one of the parts, counted from 1; what is not separated is its own first part."""
    if not separator or separator not in text:
        return text if number == 1 else ""
    if number == 1:
        return text.partition(separator)[0]
    parts = text.split(separator, number)
    return parts[number - 1] if number <= len(parts) else ""


class Group:
    """Some segments of a message, read by the same paths; occurrences count within the group."""

    __slots__ = ("_by_name", "segments", "separators")

    def __init__(self, segments: Sequence[Segment], separators: Separators) -> None:
        """Hold the segments in their order."""
        self.segments, self.separators = segments, separators
        self._by_name: dict[str, list[Segment]] | None = None

    def _index(self) -> dict[str, list[Segment]]:
        index = self._by_name
        if index is None:
            index = self._by_name = {}
            for segment in self.segments:
                if (same := index.get(segment.name)) is None:
                    index[segment.name] = [segment]
                else:
                    same.append(segment)
        return index

    def __contains__(self, name: str) -> bool:
        """Tell whether a segment of that name is there."""
        return name in self._index()

    def __getitem__(self, place: str) -> str:
        """Return the text at ``place``, "" when it is not valued."""
        return self.get(place) or ""

    def get(self, place: str) -> str | None:
        """Return the text at ``place``, ``None`` when it is not valued, ``'""'`` for HL7's null."""
        name, occurrence, number, repetition, component, subcomponent = path(place)
        found = (self._by_name or self._index()).get(name)
        if found is None or occurrence > len(found):
            return None
        return found[(occurrence or 1) - 1].read(number, repetition, component, subcomponent)

    def all(self, place: str) -> list[str]:
        """Return every valued repetition at ``place`` in every segment of that name."""
        name, occurrence, *_ = path(place)
        inside = place.partition("-")[2]
        found = self.each(name)[occurrence - 1 : occurrence] if occurrence else self.each(name)
        return [text for segment in found for text in segment.all(inside)]

    def copy(self, place: str) -> Er7:
        """Return a whole field (``PID-3``) ready to be composed into another message."""
        name, occurrence, number, *_ = path(place)
        found = self._index().get(name, ())
        nth = occurrence or 1
        return found[nth - 1].copy(number) if nth <= len(found) else Er7()

    def each(self, name: str) -> list[Segment]:
        """Return the segments of one name, in order."""
        return self._index().get(name, [])

    def groups(self, start: str) -> list[Group]:
        """Cut before every ``start`` segment; what stands before the first belongs to no group."""
        cuts = [index for index, segment in enumerate(self.segments) if segment.line.startswith(start)]
        return [Group(self.segments[a:b], self.separators) for a, b in pairwise([*cuts, len(self.segments)])]

    def __iter__(self) -> Iterator[Segment]:
        return iter(self.segments)


class Message(Group):
    """One HL7 message: its bytes, and what is asked of them.

    Attributes:
        raw: the bytes as they came, without MLLP framing.
        type: message code and trigger event, ``ORM^O01``; ``ACK`` alone when no event is given.
        control: MSH-10.
        version: MSH-12.1.
        charset: MSH-18 as written.
    """

    __slots__ = ("charset", "control", "raw", "type", "version")

    def __init__(self, raw: bytes, text: str, separators: Separators) -> None:
        """Read MSH only."""
        lines = text.split("\r") if "\r" in text else text.split("\n")
        if "\r\n" in text:
            lines = [line.removeprefix("\n") for line in lines]
        super().__init__(
            [Segment(line, number, separators) for number, line in enumerate(lines, 1) if line], separators
        )
        self.raw = raw
        msh = self.segments[0]
        self.type = _type(msh.written(9), separators.component)
        self.control = msh.read(10) or ""
        self.version = msh.read(12, 1, 1) or ""
        self.charset = msh.written(18)

    @property
    def header(self) -> Segment:
        """MSH."""
        return self.segments[0]

    def __repr__(self) -> str:
        return f"<HL7 {self.version} {self.type} {self.control}>"


@lru_cache(maxsize=256)
def _type(written: str, component: str) -> str:
    """Return message code and trigger event of MSH-9."""
    return "^".join(written.split(component, 2)[:2]).rstrip("^")


def parse(raw: bytes) -> Message:
    """Open a message; refuse what has no readable MSH, contradicts its own charset, or holds what is no segment."""
    separators = _separators(raw)
    try:
        message = Message(raw, *_decoded(raw, separators))
        _check_header(message)
        _check_segments(message)
    except HL7Error as error:
        head = _header_line(raw).translate(None, _FORBIDDEN)  # so that it can be echoed
        error.about = Message(raw, head.decode("latin-1"), separators)
        raise
    return message


def _separators(raw: bytes) -> Separators:
    if raw.startswith(b"MSH|^~\\&|"):
        return STANDARD
    if raw.startswith(_BOM):
        raise HL7Error(100, "MSH", "a byte order mark stands before MSH")
    if raw.startswith((b"FHS", b"BHS")):
        raise HL7Error(100, "", "a batch; send its messages one by one")
    if not raw.startswith(b"MSH"):
        where = "MSH is not the first segment" if b"MSH" in raw else "no MSH segment"
        raise HL7Error(100, "MSH", f"{where}; the message starts {raw[:12]!r}")
    field = chr(raw[3]) if len(raw) > 3 else ""  # noqa: PLR2004 - MSH-1 is the fourth character
    if not _may_separate(field):
        raise HL7Error(102, "MSH-1", f"{field!r} cannot be a field separator")
    written = raw[4:12].decode("latin-1").partition(field)[0].partition("\r")[0]
    if not written:
        raise HL7Error(101, "MSH-2", "no encoding characters")
    if len(written) > 5:  # noqa: PLR2004 - 2.7 added a fifth, the truncation character
        raise HL7Error(102, "MSH-2", f"more than five encoding characters: {written!r}")
    if len(set(field + written)) <= len(written) or not all(map(_may_separate, written)):
        raise HL7Error(
            102, "MSH-2", f"encoding characters must be five different signs, not {field + written!r}"
        )
    return Separators(field, *written[:4])


def _may_separate(sign: str) -> bool:
    return "!" <= sign <= "~" and not sign.isalnum() and sign != '"'


def _header_line(raw: bytes) -> bytes:
    """Return the first line, which copies no more of the message than that."""
    end = raw.find(b"\r")
    line = raw if end < 0 else raw[:end]
    return line if b"\n" not in line else line.partition(b"\n")[0]


def control_of(raw: bytes) -> str:
    """Return MSH-10 without opening the message, "" when there is none."""
    head = _header_line(raw).split(raw[3:4] or b"|", 10)
    return head[9].decode("latin-1") if len(head) > 9 else ""  # noqa: PLR2004 - MSH-10, counted with the segment's name


def _decoded(raw: bytes, separators: Separators) -> tuple[str, Separators]:
    """Return the text, and the separators with the codec that MSH-18 names."""
    head = _header_line(raw).split(separators.field.encode(), 18)
    charset = head[17].decode("latin-1") if len(head) > 17 else ""  # noqa: PLR2004 - MSH-18 is the eighteenth, counted with its name
    encoding = codec(charset.replace(separators.repetition or "~", "~") if charset else "")
    if encoding is None:
        raise HL7Error(103, "MSH-18", f"character set {charset!r} is not in HL7 table 0211 or not supported")
    if len(raw.translate(None, _FORBIDDEN)) != len(raw):
        at = next(index for index, byte in enumerate(raw) if byte in _FORBIDDEN)
        raise HL7Error(102, _place(raw, at, separators), f"control character 0x{raw[at]:02X} in the message")
    try:
        return raw.decode(encoding), _read_in(*separators[:5], encoding)
    except UnicodeDecodeError as error:
        said = charset or "nothing, which means ASCII"
        raise HL7Error(
            102,
            _place(raw, error.start, separators),
            f"byte 0x{raw[error.start]:02X} contradicts the character set; MSH-18 says {said}",
        ) from None


_read_in = lru_cache(maxsize=64)(Separators)
"""Separators with the codec that MSH-18 names, each made once."""


def _check_segments(message: Message) -> None:
    field, headers = message.separators.field, 0
    for segment in message.segments:
        if not _starts_segment(segment.line[:4], field):
            raise HL7Error(100, "", f"line {segment.number} is no segment: {segment.line[:20]!r}")
        headers += segment.name == "MSH"
    if headers > 1:
        number = message.each("MSH")[1].number
        raise HL7Error(100, "MSH[2]", f"a second MSH at line {number}: two messages in one frame")


def _check_header(message: Message) -> None:
    required = ((9, message.type), (10, message.control), (12, message.version))
    for number, value in required:
        if not value:
            raise HL7Error(101, f"MSH-{number}", "required, and empty")
    if message.version not in VERSIONS:
        raise HL7Error(203, "MSH-12", f"version {message.version!r} is not an HL7 v2 version")
    processing = message.header.read(11, 1, 1)
    if not processing:
        raise HL7Error(101, "MSH-11", "required, and empty")
    if processing not in PROCESSING:
        raise HL7Error(202, "MSH-11", f"processing id {processing!r} is not in HL7 table 0103")
    limit = _CONTROL_ID_LIMIT.get(message.version[:3], _CONTROL_ID_LIMIT_BEFORE_2_7)
    if len(message.control) > limit:
        raise HL7Error(
            102,
            "MSH-10",
            f"control id of {len(message.control)} characters; {message.version} allows {limit}",
        )


def _place(raw: bytes, offset: int, separators: Separators) -> str:
    """Return segment and field that hold the byte at ``offset``, "" when it is in no segment."""
    lines = raw[:offset].decode("latin-1").replace("\n", "\r").split("\r")
    name = lines[-1][:3]
    fields = lines[-1].count(separators.field) + (name in _HEADERS)
    if not (_is_name(name) and fields):
        return ""
    return f"{name}[{sum(line.startswith(name) for line in lines)}]-{fields}"


@lru_cache(maxsize=1024)
def _starts_segment(start: str, field: str) -> bool:
    """Tell whether a line that starts with these four characters is a segment."""
    return _is_name(start[:3]) and start[3:] in {field, ""}


@lru_cache(maxsize=1024)
def _is_name(text: str) -> bool:
    return len(text) == 3 and text.isascii() and text.isupper() and text.isalnum() and not text[0].isdigit()  # noqa: PLR2004 - segment IDs have three
