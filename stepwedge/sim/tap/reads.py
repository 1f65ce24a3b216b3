"""Reads what passes a hospital's taps, in a process of its own and after those that pass it: ``python -m stepwedge.sim.tap.reads``.

It is started by :mod:`~stepwedge.sim.tap.apart` and ends with it, once everything was read: when the socket between the two ends.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import socket
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast

from stepwedge.evidence import journal
from stepwedge.evidence.blobs import Blobs
from stepwedge.evidence.redact import Identity
from stepwedge.sim.bench import Bench
from stepwedge.sim.log import LogHabits
from stepwedge.sim.tap.passed import LINE, PASSED, READ, WORDS
from stepwedge.sim.tap.ring import Ring
from stepwedge.sim.tap.tap import Edge
from stepwedge.sim.tap.witness import show
from stepwedge.sim.tap.witnesses import Witnesses
from stepwedge.wire.overheard import prepare

if TYPE_CHECKING:
    from collections.abc import Callable

    from stepwedge.sim.tap.passed import Door, Told
    from stepwedge.sim.tap.witness import Witness

LOG: Final = logging.getLogger(__name__)
_NICE: Final = 5
"""How far we step back behind those whose traffic it is: a third of their share of a core that is busy."""
_OFTEN: Final = 0.02
"""Seconds of reading after which we tell what we have."""
_CHUNK: Final = 1 << 16


class _Pen:
    """What witnesses need of the bench of a system: who it is, and how an exchange of it is described."""

    objects: Final = None
    """No data set is kept elsewhere."""

    def __init__(self, name: str, identity: dict[str, Any]) -> None:
        self.name, self.identity = name, Identity.of(identity)

    exchange = Bench.exchange


class Reading:
    """The witnesses of all lines."""

    def __init__(self, told: Told) -> None:
        """Have nothing to read yet."""
        self._ring = Ring(told["ring"], told["size"])
        self._ring.warm()
        self._size = told["size"]
        self._blobs = Blobs(Path(told["blobs"]))
        pens = {
            door["callee"]: cast("Bench", _Pen(door["callee"], door["identity"])) for door in told["doors"]
        }
        self._witnesses = Witnesses(lambda callee: pens[callee])
        self._makes = [self._maker(door) for door in told["doors"]]
        self._lines: dict[int, Witness | None] = {}
        self._log = LogHabits()
        self._count, self._over, self._bodies = 0, bytearray(), bytearray()

    def _maker(self, door: Door) -> Callable[..., Witness | None]:
        edge = Edge(door["caller"], door["callee"], door["door"])
        return self._witnesses.of(edge, door["place"], sealed=door["sealed"])

    def take(self, passed: memoryview) -> None:
        """Show a witness one piece, and keep what it tells until :meth:`told`."""
        line, door, number, start, size, at = PASSED.unpack(passed)
        word = WORDS[number]
        if line not in self._lines:
            self._lines[line] = self._makes[door](SimpleNamespace(number=line))
        witness = self._lines[line]
        if witness is not None:
            try:
                for one in show(witness, word, self._ring.get(start, size) if size else b"", at, self._size):
                    self._bodies += journal.body(one, self._blobs) + b"\n"
                    if text := self._log.line(one):
                        print(text, file=sys.stderr, flush=True)  # noqa: T201 - the log of a system at the far end
            except Exception:
                LOG.exception("a tap's witness failed")  # the connection is not its business
                self._lines[line] = None
        if word == "over":
            del self._lines[line]
            self._over += LINE.pack(line)
        self._count += word not in {"over", "missed"}

    def told(self) -> bytes:
        """Return what was read since it was asked for last; empty when nothing."""
        if not self._count and not self._over and not self._bodies:
            return b""
        head = READ.pack(self._count, len(self._over) // LINE.size, len(self._bodies))
        told = b"".join((head, self._over, self._bodies))
        self._count, self._over, self._bodies = 0, bytearray(), bytearray()
        return told


def read(link: socket.socket, reading: Reading) -> None:
    """Read until the other process says no more."""
    waiting = bytearray()
    while chunk := link.recv(_CHUNK):
        waiting += chunk
        whole = len(waiting) - len(waiting) % PASSED.size
        often = time.monotonic() + _OFTEN
        pieces = bytes(waiting[:whole])
        del waiting[:whole]
        for start in range(0, whole, PASSED.size):
            reading.take(memoryview(pieces)[start : start + PASSED.size])
            if time.monotonic() > often:
                link.sendall(reading.told())
                often = time.monotonic() + _OFTEN
        link.sendall(reading.told())


def main() -> None:
    """Read, with the descriptors that we were given."""
    for number in (signal.SIGINT, signal.SIGTERM):  # we end when there is no more to read
        signal.signal(number, signal.SIG_IGN)
    told: Told = json.loads(sys.argv[1])
    os.nice(_NICE)
    if any(door["door"] != "hl7" for door in told["doors"]):
        prepare()
    with socket.socket(fileno=told["socket"]) as link, contextlib.suppress(ConnectionError):
        read(link, Reading(told))


if __name__ == "__main__":
    main()
