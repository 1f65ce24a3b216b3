"""The append-only journal: one line per exchange, written before anything judges it.

A line is with the operating system when :meth:`Journal.append` returns, so the death of the process loses nothing; a torn
last line, from a death in the midst of writing, is ignored by readers and cut off when the journal is opened again.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
from array import array
from json.encoder import encode_basestring as _text
from typing import TYPE_CHECKING, Any

from stepwedge.evidence.exchange import INLINE_LIMIT, Exchange, Payload

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from stepwedge.evidence.exchange import Keys


class Journal:
    """A journal file and the files of payloads too large for a line.

    Numbers start at 1 and are the line numbers of the file; they go on after the process was restarted.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "journal.jsonl"
        self._blobs = folder / "blobs"
        self._blobs.mkdir(parents=True, exist_ok=True)
        self._file = os.open(
            self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o644
        )
        self._ends = array("Q", [0])  # offset after each line, so that line n is [ends[n - 1], ends[n])
        self._waiting: list[asyncio.Future[None]] = []
        self._index()

    @property
    def last(self) -> int:
        """The number of the newest exchange, 0 when there is none."""
        return len(self._ends) - 1

    def append(self, exchange: Exchange) -> int:
        """Write one exchange as the next line and return its number; the exchange's own number is ignored."""
        self.extend((exchange,))
        return self.last

    def extend(self, exchanges: Iterable[Exchange]) -> None:
        """Write exchanges as the next lines, in one write."""
        lines, ends, end = [], [], self._ends[-1]
        for number, exchange in enumerate(exchanges, len(self._ends)):
            line = _line(number, exchange, self._fit(exchange.request), self._fit(exchange.response))
            end += len(line)
            lines.append(line)
            ends.append(end)
        _write_all(self._file, b"".join(lines))
        self._ends.extend(ends)
        if self._waiting:
            self._wake()

    def _wake(self) -> None:
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()

    def lines(self, after: int, most: int = 1000) -> list[bytes]:
        """Return up to ``most`` lines with numbers above ``after``, JSON without line ends."""
        first = max(after, 0)
        last = min(self.last, first + most)
        if last <= first:
            return []
        start, end = self._ends[first], self._ends[last]
        return _read_all(self._file, start, end - start).splitlines()

    def after(self, number: int, most: int = 1000) -> list[Exchange]:
        """Return up to ``most`` exchanges with numbers above ``number``."""
        return [Exchange.from_json(json.loads(line)) for line in self.lines(number, most)]

    async def wait(self, after: int, seconds: float) -> bool:
        """Wait until there is an exchange with a number above ``after``; tell whether there is one."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while self.last <= after and (left := deadline - loop.time()) > 0:
            future: asyncio.Future[None] = loop.create_future()
            self._waiting.append(future)
            try:
                await asyncio.wait_for(future, left)
            except TimeoutError:
                break
        return self.last > after

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _fit(self, payload: Payload) -> Payload:
        """Return the payload as a line may hold it."""
        return self._filed(payload) if payload.size > INLINE_LIMIT and not payload.file else payload

    def _filed(self, payload: Payload) -> Payload:
        """Put a large payload into a file named by its hash."""
        sha256 = payload.sha256 or hashlib.sha256(payload.data).hexdigest()
        path = self._blobs / sha256
        if not path.exists():
            draft = path.with_suffix(".part")
            draft.write_bytes(payload.data)
            draft.replace(path)
        return Payload.in_file(path, sha256, payload.size, payload.head)

    def adopt(self, file: Path, payload: Payload) -> Payload:
        """Return a large payload whose bytes a file holds that is never written again, by a second link to it.

        What becomes of the first link, this evidence stays. Where the file system has no links, or there is no such file, the
        payload comes back as it was.
        """
        if payload.size <= INLINE_LIMIT:
            return payload
        path = self._blobs / payload.sha256
        try:
            os.link(file, path)
        except FileExistsError:
            pass
        except OSError:
            return payload
        return Payload.in_file(path, payload.sha256, payload.size, payload.head)

    def _index(self) -> None:
        """Find the lines already there, and cut off a torn one."""
        position = 0
        while chunk := _read_all(self._file, position, 1 << 20):
            at = -1
            while (at := chunk.find(b"\n", at + 1)) >= 0:
                self._ends.append(position + at + 1)
            position += len(chunk)
        if position > self._ends[-1]:
            os.ftruncate(self._file, self._ends[-1])


def read(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects of any journal; a torn last line is left out."""
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield json.loads(line)


def _plain(value: Any) -> Any:
    """Write what JSON has no word for: bytes as in the DICOM JSON model (PS3.18 F.2.7), all else as text."""
    if isinstance(value, bytes | bytearray | memoryview):
        return {"InlineBinary": base64.b64encode(value).decode("ascii")}
    return str(value)


_json = json.JSONEncoder(ensure_ascii=False, default=_plain).encode


def _line(number: int, exchange: Exchange, request: Payload, response: Payload) -> bytes:
    """Write ``exchange.to_json()`` with this number and these payloads.

    Member by member: a JSON encoder at work on the whole takes three times as long, once for every message of a hospital.
    """
    text = (
        f'{{"number": {number}, "at": {exchange.at!r}, "took": {exchange.took!r}, "actor": {_text(exchange.actor)}, '
        f'"direction": "{exchange.direction}", "protocol": "{exchange.protocol}", "kind": {_text(exchange.kind)}, '
        f'"peer": {_text(exchange.peer)}, "outcome": {_text(exchange.outcome)}, "keys": {_keys(exchange.keys)}, '
        f'"facts": {_json(exchange.facts) if exchange.facts else "{}"}, "request": {_payload(request)}, '
        f'"response": {_payload(response)}, "case": {_text(exchange.case)}}}\n'
    )
    return text.encode("utf-8", "backslashreplace")


def _keys(keys: Keys) -> str:
    kinds = [f"{_text(kind)}: [{', '.join(map(_text, values))}]" for kind, values in keys.items()]
    return f"{{{', '.join(kinds)}}}"


def _payload(payload: Payload) -> str:
    value = payload.to_json()
    return f'{{"text": {_text(value["text"])}}}' if "text" in value else _json(value)


def _write_all(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]


def _read_all(file: int, start: int, size: int) -> bytes:
    """Read by position where the platform can (a journal is read while it is written)."""
    if hasattr(os, "pread"):
        return os.pread(file, size, start)
    os.lseek(file, start, os.SEEK_SET)
    return os.read(file, size)
