"""Reading what passes, for the journal: a reader for each protocol, and the queue in which they follow the traffic.

Bytes are handed on first and read afterwards, in helpings between which the loop serves its connections: reading can be late, and
with too much to read it stops with a word about it, but it never holds a byte back.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from stepwedge.clock import moment
from stepwedge.sim.tap.line import ANSWER, REQUEST

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stepwedge.evidence.exchange import Exchange
    from stepwedge.sim.bench import Bench
    from stepwedge.sim.tap.line import Side

Word = Literal["request", "answer", "over", "missed"]
"""What a witness is shown: bytes of a side, or one of these two."""
LOG: Final = logging.getLogger(__name__)
MOST: Final = 64 << 20
"""Bytes that may wait to be read."""
_HELPING: Final = 0.002
"""Seconds of reading at a stretch."""


class Witness(Protocol):
    """Reads one connection as the system at its far end would have written it down."""

    bench: Bench

    def asked(self, data: bytes, at: float) -> Iterable[Exchange]:
        """Take what was handed to that system, and return what it completes."""
        ...

    def answered(self, data: bytes, at: float) -> Iterable[Exchange]:
        """Take what that system said, and return what it completes."""
        ...

    def over(self, at: float) -> Iterable[Exchange]:
        """Take note that the connection is over."""
        ...

    def missed(self, why: str, at: float) -> Iterable[Exchange]:
        """Take note that from here on nothing of the connection is shown."""
        ...


class Shows(Protocol):
    """Shows to those who read lines what passed, whoever they are and wherever."""

    def put(self, witness: Any, side: Side | None, data: bytes | memoryview) -> None:
        """Let bytes of one side be read later, or with ``side`` None let it be known that the connection is over."""
        ...

    def finish(self) -> None:
        """Read everything that waits in this process."""
        ...


class Behind:
    """Shows witnesses what passed, in order, and keeps what they tell."""

    def __init__(self, most: int = MOST) -> None:
        """Let ``most`` bytes wait."""
        self._most = most
        self._waiting: deque[tuple[Witness, Word, bytes, float]] = deque()
        self._size = 0
        self._missed: set[Witness] = set()
        self._alarm: asyncio.Handle | None = None

    def put(self, witness: Witness, side: Side | None, data: bytes | memoryview) -> None:
        """Let a witness read bytes of one side later, or with ``side`` None hear that the connection is over."""
        if witness in self._missed:
            if side is None:
                self._missed.discard(witness)
            return
        word: Word = side or "over"
        if self._size + len(data) > self._most:
            self._missed.add(witness)
            word, data = "missed", b""
        self._size += len(data)
        self._waiting.append((witness, word, bytes(data), moment()))
        if self._alarm is None:
            self._alarm = asyncio.get_running_loop().call_later(0, self._helping)

    def _helping(self) -> None:
        """Read for a moment, then let connections be served."""
        self._alarm = None
        self._read(time.monotonic() + _HELPING)
        if self._waiting:
            self._alarm = asyncio.get_running_loop().call_later(0, self._helping)

    def finish(self) -> None:
        """Read everything that waits."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self._read(None)

    def _read(self, until: float | None) -> None:
        told: list[tuple[Bench, Exchange]] = []
        while self._waiting and (until is None or time.monotonic() < until):
            witness, word, data, at = self._waiting.popleft()
            self._size -= len(data)
            try:
                told += [(witness.bench, one) for one in show(witness, word, data, at, self._most)]
            except Exception:
                LOG.exception("a tap's witness failed")  # the connection is not its business
                self._missed.add(witness)
        for bench, group in groupby(told, key=itemgetter(0)):
            bench.keep([one for _, one in group])


def show(witness: Witness, word: Word, data: bytes, at: float, most: int = MOST) -> Iterable[Exchange]:
    """Show a witness what passed at a moment; return what it completes."""
    if word == REQUEST:
        return witness.asked(data, at)
    if word == ANSWER:
        return witness.answered(data, at)
    if word == "missed":
        return witness.missed(f"not read: too far behind, more than {most} bytes waited to be read", at)
    return witness.over(at)
