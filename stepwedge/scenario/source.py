"""Read YAML the way people mean it, remembering on which line everything stands.

libyaml's event stream is read by a small builder of our own, because YAML 1.1 turns ``NO`` into false, ``1:30`` into
ninety and ``010`` into eight, lets a second key silently replace the first, and lets forty bytes of aliases fill the
memory. Here a value is true, false, null, a plain decimal number, or exactly the text that was written.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import yaml

from stepwedge.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SIZE_LIMIT: Final = 256 * 1024
DEPTH_LIMIT: Final = 24
SHOWN: Final = 60

Location = tuple[str | int, ...]

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER: Final = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_DECIMAL: Final = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})\.[0-9]{1,17}")
_UNUSUAL: Final = re.compile(r"[^\x20-\x7e\n\r\t]")
_CONSTANTS: Final = {"true": True, "false": False, "null": None, "~": None, "": None}
_MARKS: Final = {
    b"\xff\xfe": "UTF-16 or UTF-32",
    b"\xfe\xff": "UTF-16",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xef\xbb\xbf": "UTF-8 with a byte order mark",
}
_AS_UTF8: Final = "save the file as UTF-8 without a byte order mark"


@dataclass(slots=True)
class Source:
    """What one file says, and where.

    Attributes:
        name: the file as messages name it.
        value: mappings, lists, text, numbers, booleans and None.
        lines: the line of each location, such as ``("steps", 2, "where", "type")``; of a key, not of its value.
    """

    name: str
    value: Any = None
    lines: dict[Location, int] = field(default_factory=dict)

    def line(self, *location: str | int) -> int:
        """Return the line where ``location`` stands, or that of the nearest thing around it."""
        while location and location not in self.lines:
            location = location[:-1]
        return self.lines.get(location, 1)

    def place(self, *location: str | int) -> str:
        """Return ``file:line`` of a location."""
        return f"{self.name}:{self.line(*location)}"

    def problem(self, location: Location, expected: str, found: object, remedy: str = "") -> BadInput:
        """Return the error for something at ``location`` that cannot be used."""
        return BadInput(self.place(*location), expected, shown(found), remedy)


class Said(str):
    """What was found, described instead of quoted: ``an empty file``."""

    __slots__ = ()


def shown(value: object) -> str:
    """Return ``value`` as an error message shows it: short, on one line, without characters that hide."""
    if isinstance(value, Said):
        return value
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return f"a mapping with {', '.join(map(str, value)) or 'no keys'}"[:SHOWN]
    if isinstance(value, list):
        return f"a list of {len(value)}"
    text = value if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    text = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)
    text = text if len(text) <= SHOWN else text[:SHOWN] + "…"
    return repr(text) if isinstance(value, str) else text


def read(path: Path, name: str | None = None) -> Source:
    """Read one file; raises ``BadInput`` with ``file:line`` for anything that is not plain YAML."""
    name = name or str(path)
    try:
        size = path.stat().st_size
        if size > SIZE_LIMIT:
            raise BadInput(
                name, f"at most {SIZE_LIMIT // 1024} KiB", f"{size} bytes", "split it into several files"
            )
        data = path.read_bytes()
    except OSError as trouble:
        raise BadInput(name, "a readable file", trouble.strerror or str(trouble)) from None
    return parse(data, name)


def parse(data: bytes, name: str) -> Source:
    """Read the content of a file (see :func:`read`)."""
    text = _decode(data, name)
    _refuse_hidden(text, name)
    source = Source(name)
    try:
        _Builder(source).build(yaml.parse(text, Loader=_LOADER))
    except yaml.MarkedYAMLError as trouble:
        mark = trouble.problem_mark or trouble.context_mark
        line = 1 if mark is None else mark.line + 1
        said = " ".join(filter(None, (trouble.context, trouble.problem)))
        raise BadInput(f"{name}:{line}", "YAML", said, "look at this line and the one above it") from None
    return source


def _decode(data: bytes, name: str) -> str:
    for mark, called in _MARKS.items():
        if data.startswith(mark):
            raise BadInput(f"{name}:1", "UTF-8", called, _AS_UTF8)
    if (at := data.find(b"\0")) >= 0:
        line = data.count(b"\n", 0, at) + 1
        raise BadInput(f"{name}:{line}", "text", "a NUL byte", _AS_UTF8)
    try:
        return data.decode()
    except UnicodeDecodeError as trouble:
        line = data.count(b"\n", 0, trouble.start) + 1
        raise BadInput(f"{name}:{line}", "UTF-8", f"byte 0x{data[trouble.start]:02x}", _AS_UTF8) from None


def _refuse_hidden(text: str, name: str) -> None:
    """Refuse what an editor does not show: tabs as indentation, and invisible or direction-changing characters."""
    if tab := re.search(r"^ *\t", text, re.MULTILINE):
        line = text.count("\n", 0, tab.start()) + 1
        raise BadInput(f"{name}:{line}", "spaces as indentation", "a tab", "replace each tab by two spaces")
    for unusual in _UNUSUAL.finditer(text):
        character = unusual[0]
        if unicodedata.category(character) in {"Cf", "Cc", "Co"}:
            line, code = text.count("\n", 0, unusual.start()) + 1, f"{ord(character):04x}"
            raise BadInput(
                f"{name}:{line}",
                "characters that can be seen",
                f"U+{code.upper()} {unicodedata.name(character, '')}".rstrip(),
                f'delete it, or write it as "\\u{code}" inside double quotes if it is meant',
            )


class _Builder:
    """Turns parser events into plain values, without recursion, so that depth is a limit and not a crash."""

    def __init__(self, source: Source) -> None:
        self.source = source
        # container, its location, the key waiting for a value
        self.open: list[tuple[Any, Location, str | None]] = []
        self.documents = 0

    def build(self, events: Iterator[yaml.Event]) -> None:
        for event in events:
            line = event.start_mark.line + 1 if event.start_mark else 1
            match event:
                case yaml.DocumentStartEvent():
                    self.documents += 1
                    if self.documents > 1:
                        self._refuse(
                            line, "one document in a file", "a second one", "move it to a file of its own"
                        )
                case yaml.AliasEvent():
                    self._refuse(
                        line, "values", f"the alias *{event.anchor}", "write the value again, or use a flow"
                    )
                case yaml.ScalarEvent():
                    self._node(event, line)
                    self._put(event.value if not event.implicit[0] else plain(event.value), line, event.value)
                case yaml.MappingStartEvent():
                    self._node(event, line)
                    self._enter({}, line)
                case yaml.SequenceStartEvent():
                    self._node(event, line)
                    self._enter([], line)
                case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                    self.open.pop()

    def _refuse(self, line: int, expected: str, found: str, remedy: str = "") -> None:
        raise BadInput(f"{self.source.name}:{line}", expected, found, remedy)

    def _node(self, event: yaml.NodeEvent, line: int) -> None:
        if event.anchor:
            self._refuse(
                line, "values", f"the anchor &{event.anchor}", "write the value again, or use a flow"
            )
        if tag := getattr(event, "tag", None):
            self._refuse(line, "plain values", f"the tag {shown(tag)}", "remove the tag")

    def _enter(self, container: Any, line: int) -> None:
        if len(self.open) >= DEPTH_LIMIT:
            self._refuse(
                line, f"at most {DEPTH_LIMIT} levels", "deeper nesting", "put the inner part into a flow"
            )
        location = self._put(container, line, None)
        self.open.append((container, location, None))

    def _put(self, value: Any, line: int, written: str | None) -> Location:
        if not self.open:
            self.source.value = value
            self.source.lines[()] = line
            return ()
        container, location, key = self.open[-1]
        if isinstance(container, list):
            location = (*location, len(container))
            container.append(value)
        elif key is None:
            self._key(container, location, line, written)
            return location
        else:
            container[key] = value
            self.open[-1] = (container, location, None)
            return (*location, key)
        self.source.lines[location] = line
        return location

    def _key(self, container: dict[str, Any], location: Location, line: int, written: str | None) -> None:
        if written is None:
            self._refuse(line, "a name before the colon", "a list or mapping")
            return
        if written == "<<":
            self._refuse(line, "a name before the colon", "the merge key <<", "write the keys again")
        here = (*location, written)
        if written in container:
            first = self.source.lines[here]
            self._refuse(
                line, "each key once", f"{shown(written)} again", f"it stands on line {first} already"
            )
        self.source.lines[here] = line
        self.open[-1] = (container, location, written)


def plain(text: str) -> Any:
    """Return the value of an unquoted scalar: the constants and decimal numbers, else the text itself."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text):
        return float(text)
    return text
