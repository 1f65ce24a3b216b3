"""multipart/related without a socket (RFC 2046 section 5.1, RFC 2387; PS3.18 section 8.6.1).

Part bodies are DICOM objects of any size and any bytes, so nothing here is read as text but the part headers.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from stepwedge.errors import LocalProtocolError, RemoteProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

PART_LIMIT: Final = 2 << 30
COUNT_LIMIT: Final = 100_000
HEAD_LIMIT: Final = 16 << 10
_BOUNDARY_LIMIT: Final = 70
_BOUNDARY_SIGNS: Final = frozenset(
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'()+_,-./:=? "
)
_TOKEN_ENDS: Final = frozenset('()<>@,;:\\"/[]?= \t')


@dataclass(frozen=True, slots=True)
class Part:
    """One part.

    Attributes:
        headers: by lower-case name.
    """

    body: bytes
    content_type: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


def parameters(content_type: str) -> tuple[str, dict[str, str]]:
    """Split a Content-Type (RFC 9110 section 8.3) into its media type and its parameters, both names in lower case."""
    kind, _, rest = content_type.partition(";")
    found: dict[str, str] = {}
    while rest := rest.strip(" \t;"):
        name, _, rest = rest.partition("=")
        value, rest = _value(rest.lstrip(), content_type)
        if name.strip().lower() in found:
            raise RemoteProtocolError(f"Content-Type {content_type!r}: parameter {name.strip()} stands twice")
        found[name.strip().lower()] = value
    return kind.strip().lower(), found


def _value(text: str, whole: str) -> tuple[str, str]:
    """Return one token or quoted string, and what follows it."""
    if not text.startswith('"'):
        value, separator, rest = text.partition(";")
        return value.strip(), separator + rest
    value, at = "", 1
    while at < len(text) and text[at] != '"':
        at += text[at] == "\\"
        value += text[at : at + 1]
        at += 1
    if at >= len(text):
        raise RemoteProtocolError(f"Content-Type {whole!r}: a quoted string does not end")
    return value, text[at + 1 :]


def boundary_of(content_type: str) -> bytes:
    """Return the boundary that a multipart/related Content-Type names."""
    kind, named = parameters(content_type)
    if kind != "multipart/related":
        raise RemoteProtocolError(
            f"expected multipart/related, found Content-Type {content_type or 'none'!r}"
        )
    boundary = named.get("boundary", "")
    if (
        not boundary
        or len(boundary) > _BOUNDARY_LIMIT
        or boundary.endswith(" ")
        or set(boundary) - _BOUNDARY_SIGNS
    ):
        raise RemoteProtocolError(
            f"Content-Type {content_type!r}: boundary must be 1 to 70 of the signs of RFC 2046 section 5.1.1"
        )
    return boundary.encode("ascii")


class Reader:
    """Cuts a body that comes in pieces into parts: ``receive_data``, then take what :meth:`parts` yields."""

    def __init__(
        self, content_type: str, *, part_limit: int = PART_LIMIT, count_limit: int = COUNT_LIMIT
    ) -> None:
        """Read the boundary; bound every part and their number."""
        self._mark = b"\r\n--" + boundary_of(content_type)
        self._part_limit, self._count_limit = part_limit, count_limit
        self._buffer = bytearray(b"\r\n")  # so that the first boundary may stand at the very start
        self._searched = 0
        self._count = 0
        self._inside = self._over = False

    def receive_data(self, data: bytes) -> None:
        """Take the next piece of the body."""
        if not self._over:  # what follows the last boundary is epilogue, and ignored
            self._buffer += data

    def parts(self) -> Iterator[Part]:
        """Yield the parts that are complete."""
        while not self._over and (part := self._next()) is not None:
            yield part

    def end(self) -> None:
        """Say that the body is over; a body without its closing boundary was cut."""
        if not self._over:
            where = f"inside part {self._count + 1}" if self._inside else "before the first boundary"
            raise RemoteProtocolError(
                f"multipart/related: the body ends {where}, without the closing boundary {self._mark[2:].decode()}--"
            )

    def _next(self) -> Part | None:
        while (found := self._delimiter()) is not None:
            start, end, last = found
            part = self._part(start) if self._inside else None
            del self._buffer[:end]
            self._searched, self._inside, self._over = 0, not last, last
            if part is not None:
                return part
            if last:
                raise RemoteProtocolError("multipart/related: closed without a part")
        held = len(self._buffer)
        if held > (self._part_limit if self._inside else HEAD_LIMIT) + HEAD_LIMIT:
            raise RemoteProtocolError(
                f"multipart/related: part {self._count + 1} is longer than {self._part_limit} bytes"
                if self._inside
                else f"multipart/related: no boundary {self._mark[2:].decode()} within {held} bytes"
            )
        return None

    def _part(self, end: int) -> Part:
        """Take the part that fills the buffer up to ``end``; a CRLF stands before its headers."""
        self._count += 1
        if self._count > self._count_limit:
            raise RemoteProtocolError(f"multipart/related: more than {self._count_limit} parts")
        head = self._buffer.find(b"\r\n\r\n", 0, min(end, HEAD_LIMIT))
        if head < 0:
            raise RemoteProtocolError(
                f"multipart/related: part {self._count} has no empty line after its headers"
            )
        headers = _headers(bytes(self._buffer[:head]), self._count)
        with memoryview(self._buffer) as view:
            body = bytes(view[head + 4 : end])
        said = headers.get("content-length", "")
        if said.isdigit() and int(said) != len(body):
            raise RemoteProtocolError(
                f"multipart/related: part {self._count} says {said} bytes and has {len(body)}"
            )
        return Part(body, headers.get("content-type", ""), headers)

    def _delimiter(self) -> tuple[int, int, bool] | None:
        """Find the next boundary line: where it starts, where its CRLF (or nothing) starts, whether it is the last.

        The boundary's text followed by anything else than ``--``, padding or CRLF is data of the part.
        """
        buffer, mark = self._buffer, self._mark
        at = self._searched
        while (start := buffer.find(mark, at)) >= 0:
            after = start + len(mark)
            if buffer[after : after + 2] == b"--":
                return start, after + 2, True
            line = after
            while line < len(buffer) and buffer[line] in b" \t" and line - after < HEAD_LIMIT:
                line += 1
            if buffer[line : line + 2] == b"\r\n":
                return start, line, False
            if len(buffer) - line < 2:  # noqa: PLR2004 - the two signs that decide are not here yet
                self._searched = start
                return None
            at = start + 1
        self._searched = max(0, len(buffer) - len(mark) + 1)
        return None


def _headers(head: bytes, number: int) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in filter(None, head.split(b"\r\n")):
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon:
            raise RemoteProtocolError(f"multipart/related: part {number} has no header in {line[:40]!r}")
        headers[name.strip().lower()] = value.strip()
    return headers


def decode(
    body: bytes, content_type: str, *, part_limit: int = PART_LIMIT, count_limit: int = COUNT_LIMIT
) -> list[Part]:
    """Return the parts of a whole body; a cut or empty body is an error, never fewer parts."""
    reader = Reader(content_type, part_limit=part_limit, count_limit=count_limit)
    reader.receive_data(body)
    parts = list(reader.parts())
    reader.end()
    return parts


def encode(parts: Iterable[bytes | Part], kind: str, *, boundary: str = "") -> tuple[bytes, str]:
    """Return a body and its Content-Type; ``kind`` is the type of every part that names none (PS3.18 8.6.1.2.1)."""
    whole = [part if isinstance(part, Part) else Part(part) for part in parts]
    if not whole:
        raise LocalProtocolError("multipart/related must have at least one part")
    mark = boundary.encode("ascii") or _unused(whole)
    pieces: list[bytes] = []
    for part in whole:
        more = "".join(
            f"{name}: {value}\r\n" for name, value in part.headers.items() if name != "content-type"
        )
        head = f"Content-Type: {part.content_type or kind}\r\n{more}\r\n"
        pieces += [b"--", mark, b"\r\n", head.encode("latin-1"), part.body, b"\r\n"]
    body = b"".join([*pieces, b"--", mark, b"--\r\n"])
    return body, f'multipart/related; type="{kind}"; boundary={_quoted(mark.decode())}'


def _quoted(boundary: str) -> str:
    return f'"{boundary}"' if set(boundary) & _TOKEN_ENDS else boundary


def _unused(parts: list[Part]) -> bytes:
    """Return a boundary that stands in no part."""
    while True:
        mark = b"stepwedge." + secrets.token_hex(12).encode()
        if not any(mark in part.body for part in parts):
            return mark
