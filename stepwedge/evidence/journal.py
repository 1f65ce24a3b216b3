"""The append-only journal: one line per exchange, written before anything judges it.

A line is with the operating system when :meth:`Journal.append` returns, so the death of the process loses nothing; a torn
last line, from a death in the midst of writing, is ignored by readers and cut off when the journal is opened again.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
from array import array
from json.encoder import encode_basestring as _text
from typing import TYPE_CHECKING, Any

from stepwedge.evidence.blobs import Blobs
from stepwedge.evidence.exchange import Exchange

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from stepwedge.evidence.exchange import Keys, Payload


class Journal:
    """A journal file and the files of payloads too large for a line.

    Numbers start at 1 and are the line numbers of the file; they go on after the process was restarted.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "journal.jsonl"
        self.blobs = Blobs(folder / "blobs")
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
        self.write(body(exchange, self.blobs) for exchange in exchanges)

    def write(self, bodies: Iterable[bytes]) -> None:
        """Write what :func:`body` made, here or in another process, as the next lines, in one write."""
        lines, ends, end = [], [], self._ends[-1]
        for number, told in enumerate(bodies, len(self._ends)):
            line = b'{"number": %d, %b\n' % (number, told)
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

    def adopt(self, file: Path, payload: Payload) -> Payload:
        """Return a large payload whose bytes a file holds that is never written again, by a second link to it."""
        return self.blobs.adopt(file, payload)

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


def body(exchange: Exchange, blobs: Blobs) -> bytes:
    """Write ``exchange.to_json()`` behind its number, without a line end; what no line may hold is put into ``blobs``.

    Member by member: a JSON encoder at work on the whole takes three times as long, once for every message of a hospital.
    """
    request, response = blobs.fit(exchange.request), blobs.fit(exchange.response)
    text = (
        f'"at": {exchange.at!r}, "took": {exchange.took!r}, "actor": {_text(exchange.actor)}, '
        f'"direction": "{exchange.direction}", "protocol": "{exchange.protocol}", "kind": {_text(exchange.kind)}, '
        f'"peer": {_text(exchange.peer)}, "outcome": {_text(exchange.outcome)}, "keys": {_keys(exchange.keys)}, '
        f'"facts": {_json(exchange.facts) if exchange.facts else "{}"}, "request": {_payload(request)}, '
        f'"response": {_payload(response)}, "case": {_text(exchange.case)}}}'
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
