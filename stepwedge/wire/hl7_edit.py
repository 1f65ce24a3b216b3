"""Changing single places of a message, and nothing else of it. Pure.

An edit works on the text of one segment: what it does not name keeps every byte, empty components and repetitions
included. Values are written with the message's own separators and in its own character set.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepwedge.wire.hl7 import HL7Error, Segment, null
from stepwedge.wire.hl7_charset import codec
from stepwedge.wire.hl7_path import path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from stepwedge.wire.hl7 import Message, Separators
    from stepwedge.wire.hl7_path import Path


class Draft:
    """A message being changed, and the record of what was changed why.

    Attributes:
        changed: place (``PID[1]-8``, or ``ZAC[1]`` for a segment left out) to the reason.
    """

    def __init__(self, message: Message) -> None:
        self.message = message
        self.changed: dict[str, str] = {}
        self._lines: list[str | None] = [segment.line for segment in message.segments]

    def body(self, written: Callable[[str, Separators], str] = lambda line, _: line) -> bytes:
        """Return the message; ``written`` has the last word about each segment."""
        lines = [written(line, self.message.separators) for line in self._lines if line is not None]
        encoding = codec(self.message.charset) or "ascii"
        try:
            return ("\r".join(lines) + "\r").encode(encoding)
        except UnicodeEncodeError as error:
            sign = error.object[error.start]
            raise HL7Error(
                102, "MSH-18", f"{sign!r} cannot be written in {self.message.charset or 'ASCII'}"
            ) from None

    def get(self, place: str) -> str | None:
        """Return what stands at a place by now, None when nothing does."""
        where = path(place)
        if (index := self._find(where)) is None:
            return None
        segment = Segment(self._lines[index] or "", 1, self.message.separators)
        return segment.read(*where[2:])

    def each(self, place: str) -> Iterator[str]:
        """Yield a place in every segment of its name, unless it says which."""
        where = path(place)
        if where.occurrence:
            yield place
            return
        count = sum(1 for line in self._lines if line and line[:3] == where.segment)
        inside = place.partition("-")[2]
        yield from (f"{where.segment}[{number}]-{inside}" for number in range(1, count + 1))

    def put(self, place: str, value: str, why: str) -> None:
        """Write a value at a place; a segment that is not there is an error 100."""
        where = path(place)
        index = self._find(where)
        if index is None:
            raise HL7Error(
                100, where.segment, f"{why} needs {where.segment}, which the message does not have"
            )
        self._lines[index] = _written(self._lines[index] or "", where, value, self.message.separators)
        self.changed[f"{where.segment}[{where.occurrence or 1}]-{where.field}"] = why

    def add(self, name: str) -> None:
        """Put an empty segment behind the last, unless there is one of this name."""
        if not any(line and line[:3] == name for line in self._lines):
            self._lines.append(name)

    def drop(self, name: str, why: str) -> None:
        """Leave out every segment of one name."""
        seen = 0
        for index, line in enumerate(self._lines):
            if line is not None and line[:3] == name:
                seen += 1
                self._lines[index] = None
                self.changed[f"{name}[{seen}]"] = why

    def _find(self, where: Path) -> int | None:
        found = [index for index, line in enumerate(self._lines) if line and line[:3] == where.segment]
        nth = where.occurrence or 1
        return found[nth - 1] if nth <= len(found) else None


def _written(line: str, where: Path, value: str, separators: Separators) -> str:
    fields = line.split(separators.field)
    number = where.field - (where.segment == "MSH")  # MSH-1 is the separator itself
    fields += [""] * (number + 1 - len(fields))
    levels = (
        (separators.repetition, where.repetition or (1 if where.component else 0)),
        (separators.component, where.component),
        (separators.subcomponent, where.subcomponent),
    )
    fields[number] = _inside(fields[number], levels, _escaped(value, separators))
    return separators.field.join(fields)


def _inside(text: str, levels: Sequence[tuple[str, int]], value: str) -> str:
    """Replace one part of a field; each level is its separator and the number of the part, 0 for all there is."""
    if not levels or not levels[0][1]:
        return value
    (separator, number), *deeper = levels
    if not separator and number > 1:
        raise HL7Error(102, "MSH-2", "the message has no separator for that place")
    parts = text.split(separator) if separator else [text]
    parts += [""] * (number - len(parts))
    parts[number - 1] = _inside(parts[number - 1], deeper, value)
    return separator.join(parts)


def _escaped(value: str, separators: Separators) -> str:
    if value == null or not separators.escape:
        return value
    sign = separators.escape
    meanings = {
        separators.escape: "E",
        separators.field: "F",
        separators.component: "S",
        separators.repetition: "R",
        separators.subcomponent: "T",
    }
    return "".join(f"{sign}{meanings[one]}{sign}" if one in meanings else one for one in value)
