"""HL7 escape sequences (v2.5.1 section 2.7) and the separators they stand for."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from stepwedge.errors import LocalProtocolError
from stepwedge.wire.hl7_charset import codec


class Separators(NamedTuple):
    r"""MSH-1 and MSH-2, "" where a message does without one, and the codec in which ``\X..\`` bytes are read."""

    field: str = "|"
    component: str = "^"
    repetition: str = ""
    escape: str = ""
    subcomponent: str = ""
    encoding: str = "latin-1"

    def written(self) -> str:
        """Return MSH-2."""
        return self.component + self.repetition + self.escape + self.subcomponent


class Er7(str):
    """Text that is ER7 already, in the recommended separators: composing a message leaves it as it is."""

    __slots__ = ()


STANDARD: Final = Separators("|", "^", "~", "\\", "&")

_STANDARD: Final = STANDARD[:5]

_ESCAPES: Final = str.maketrans(
    {
        "\\": "\\E\\",
        "|": "\\F\\",
        "^": "\\S\\",
        "~": "\\R\\",
        "&": "\\T\\",
        "\n": "\\.br\\",
        **{chr(sign): f"\\X{sign:02X}\\" for sign in (*range(0x20), 0x7F) if sign not in b"\t\n\x1b"},
    }
)
_HEX: Final = re.compile(r"X((?:[0-9A-Fa-f]{2})+)")


def escape(text: str) -> str:
    r"""Write text so that no sign of it separates anything; line feeds become ``\.br\``."""
    return text if text.isalnum() else text.translate(_ESCAPES)


@lru_cache(maxsize=64)
def _pattern(sign: str) -> re.Pattern[str]:
    return re.compile(f"{re.escape(sign)}([^{re.escape(sign)}]*){re.escape(sign)}")


def unescape(text: str, separators: Separators = STANDARD) -> str:
    r"""Read escapes; what is unknown, local (``\Z..\``) or unfinished stays as it is written."""

    def read(found: re.Match[str]) -> str:
        return _meaning(found[1], separators, found[0])

    return _pattern(separators.escape).sub(read, text)


def _meaning(inside: str, separators: Separators, written: str) -> str:
    match inside:
        case "F":
            return separators.field
        case "S":
            return separators.component or written
        case "T":
            return separators.subcomponent or written
        case "R":
            return separators.repetition or written
        case "E":
            return separators.escape
        case "H" | "N":  # highlighting on and off says nothing about the text
            return ""
        case ".br" | ".sp":
            return "\n"
    hexadecimal = _HEX.fullmatch(inside)
    if hexadecimal is None:
        return written
    try:
        return bytes.fromhex(hexadecimal[1]).decode(separators.encoding)
    except UnicodeDecodeError:
        return written


def standard(text: str, separators: Separators) -> Er7:
    """Rewrite one field from a message's own separators into the recommended ones."""
    if separators[:5] == _STANDARD:
        return Er7(text)
    between = [(separators[index], STANDARD[index]) for index in (2, 1, 4) if separators[index]]
    return Er7(_rewritten(text, between, separators))


def _rewritten(text: str, between: list[tuple[str, str]], separators: Separators) -> str:
    if not between:
        return escape(unescape(text, separators) if separators.escape else text)
    (own, recommended), *inner = between
    return recommended.join(_rewritten(part, inner, separators) for part in text.split(own))


def encode(text: str, charset: str, errors: str = "strict") -> bytes:
    """Write text in the character set that MSH-18 names."""
    encoding = codec(charset)
    if encoding is None:
        raise LocalProtocolError(f"MSH-18 {charset!r} is not in HL7 table 0211 or not supported")
    try:
        return text.encode(encoding, errors)
    except UnicodeEncodeError as error:
        sign = text[error.start]
        raise LocalProtocolError(
            f"{sign!r} (U+{ord(sign):04X}) cannot be written in {charset or 'ASCII'}"
        ) from None
