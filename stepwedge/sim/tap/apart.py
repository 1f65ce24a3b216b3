"""Hands what passes the taps to a process that reads it, and its journal lines to the journal.

Bytes are handed on first. A copy waits in memory that both processes share, bounded; with no room left the rest of that connection is not
read, and the journal says so. Nothing that passes ever waits for the other process.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from stepwedge.clock import moment
from stepwedge.sim.tap.passed import LINE, PASSED, READ, WORDS
from stepwedge.sim.tap.ring import POSSIBLE, Ring, share
from stepwedge.sim.tap.witness import MOST, Behind

if TYPE_CHECKING:
    from collections.abc import Callable

    from stepwedge.errors import WireError
    from stepwedge.evidence.journal import Journal
    from stepwedge.sim.bench import Bench
    from stepwedge.sim.tap.line import Line, Side
    from stepwedge.sim.tap.passed import Door, Told
    from stepwedge.sim.tap.tap import Edge
    from stepwedge.sim.tap.witness import Witness, Word
    from stepwedge.sim.tap.witnesses import Witnesses

_GATHER: Final = 0.01
"""Seconds for which pieces are gathered before the other process hears of them: waking it costs more than a short message."""
_EAGER: Final = 128 << 10
"""Bytes of which it hears at once."""
_LONGEST: Final = 30.0
"""Seconds it has at the end to read what waits."""
_PATIENT: Final = 0.5
"""Seconds that somebody who reads the journal waits for it."""
_CHUNK: Final = 1 << 18
_NUMBERS: Final = {word: number for number, word in enumerate(WORDS)}


@dataclass(eq=False, slots=True)
class Passing:
    """One connection that is read elsewhere.

    Attributes:
        here: makes a witness of it in this process, to tell what became of its reading.
    """

    number: int
    door: int
    here: Callable[[Line], Witness | None]
    line: Line
    missed: bool = False


class Apart:
    """Shows what passed to witnesses in another process; to those in this one where there can be no other."""

    def __init__(
        self, witnesses: Witnesses, bench: Callable[[str], Bench | None], journal: Journal, most: int = MOST
    ) -> None:
        """Let ``most`` bytes wait; ``bench(callee)`` is None for a system that keeps a journal of its own."""
        self._behind, self._most = Behind(most), most
        self._witnesses, self._bench, self._journal = witnesses, bench, journal
        self._doors: list[Door] = []
        self._open: dict[int, Passing] = {}
        self._telling = bytearray()
        self._heard = bytearray()
        self._unheard = 0
        self._timer: asyncio.TimerHandle | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._ring: Ring | None = None
        self._link: socket.socket | None = None
        self._ending = False
        self._gone, self._progress = asyncio.Event(), asyncio.Event()
        self._put = 0

    @property
    def process(self) -> int:
        """The number of the other process; 0 when there is none."""
        return self._process.pid if self._process else 0

    def of(self, edge: Edge, place: object, *, sealed: bool) -> Callable[[Line], Witness | Passing | None]:
        """Return what tells how a connection at a door is read: see :meth:`Witnesses.of`."""
        here = self._witnesses.of(edge, place, sealed=sealed)
        bench = self._bench(edge.callee)
        if bench is None or not POSSIBLE:
            return here
        number = len(self._doors)
        identity = {"patients": bench.identity.patients, "strict": bench.identity.strict}
        self._doors.append(
            {
                "caller": edge.caller,
                "callee": edge.callee,
                "door": edge.door,
                "place": str(place),
                "sealed": sealed,
                "identity": identity,
            }
        )

        def made(line: Line) -> Witness | Passing | None:
            if self._link is None:
                return here(line)
            passing = self._open[line.number] = Passing(line.number, number, here, line)
            return passing

        return made

    def refused(self, edge: Edge) -> Callable[[str, WireError], None]:
        """Return what writes down a handshake that came to nothing: see :meth:`Witnesses.refused`."""
        return self._witnesses.refused(edge)

    async def start(self) -> None:
        """Start the other process, if there is anything that it could read."""
        if self._doors:
            self._start()
        elif not POSSIBLE:
            await self._witnesses.ready()

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)  # noqa: FBT003 - its only parameter
        memory = share(self._most)
        self._ring = Ring(memory, self._most)
        told: Told = {
            "socket": theirs.fileno(),
            "ring": memory,
            "size": self._most,
            "blobs": str(self._journal.blobs.folder.resolve()),
            "doors": self._doors,
        }
        root = str(Path(__file__).resolve().parents[3])
        path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
        self._process = subprocess.Popen(  # noqa: S603 - ourselves
            [sys.executable, "-m", "stepwedge.sim.tap.reads", json.dumps(told)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(), memory),
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,  # what ends a terminal's programs does not end it before it has read all
        )
        theirs.close()
        os.close(memory)
        self._link = ours
        asyncio.get_running_loop().add_reader(ours, self._hear)

    def put(self, witness: Witness | Passing, side: Side | None, data: bytes | memoryview) -> None:
        """Let bytes of one side be read later, or with ``side`` None let it be known that the connection is over."""
        if not isinstance(witness, Passing):
            self._behind.put(witness, side, data)
        elif side is None:
            self._tell(witness, "over", 0, 0)
        elif not witness.missed and self._ring is not None and self._link is not None:
            start = self._ring.put(data)
            if start < 0:
                witness.missed = True
                self._tell(witness, "missed", 0, 0)
            else:
                self._put += 1
                self._tell(witness, side, start, len(data))

    def _tell(self, passing: Passing, word: Word, start: int, size: int) -> None:
        if self._link is None:
            return
        self._telling += PASSED.pack(passing.number, passing.door, _NUMBERS[word], start, size, moment())
        self._unheard += size
        if self._unheard > _EAGER:
            self._flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_GATHER, self._flush)

    def _flush(self) -> None:
        """Say what was gathered, as far as the socket takes it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._link is None:
            return
        self._unheard = 0
        try:
            sent = self._link.send(self._telling) if self._telling else 0
        except BlockingIOError:
            sent = 0
        except OSError:
            self._lose("the process that read it is gone")
            return
        del self._telling[:sent]
        loop = asyncio.get_running_loop()
        if self._telling:
            loop.add_writer(self._link, self._flush)
            return
        loop.remove_writer(self._link)
        if self._ending:
            self._link.shutdown(socket.SHUT_WR)

    def _hear(self) -> None:
        """Write down what was read."""
        if self._link is None or self._ring is None:
            return
        try:
            data = self._link.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lose("the process that read it is gone")
            return
        self._heard += data
        bodies: list[bytes] = []
        while len(self._heard) >= READ.size:
            pieces, lines, size = READ.unpack_from(self._heard)
            over, end = READ.size + LINE.size * lines, READ.size + LINE.size * lines + size
            if len(self._heard) < end:
                break
            self._ring.free(pieces)
            for (number,) in LINE.iter_unpack(self._heard[READ.size : over]):
                self._open.pop(number, None)
            bodies += bytes(self._heard[over:end]).split(b"\n")[:-1]
            del self._heard[:end]
        if bodies:
            self._journal.write(bodies)
        self._progress.set()

    def _lose(self, why: str) -> None:
        """Say of every connection that is not read to its end that it is not; those to come are read in this process."""
        if self._link is None:
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._link)
        loop.remove_writer(self._link)
        self._link.close()
        self._link = None
        self._gone.set()
        self._progress.set()
        lost, self._open = self._open, {}
        for passing in lost.values():
            witness = passing.here(passing.line)
            if witness is not None:
                witness.bench.keep(list(witness.missed(f"not read: {why}", moment())))

    def finish(self) -> None:
        """Read everything that waits in this process."""
        self._behind.finish()

    async def caught_up(self, seconds: float = _PATIENT) -> None:
        """Wait a moment until what was put by now is in the journal."""
        if self._ring is None or not self._ring.pieces:
            return
        self._flush()
        piece = self._put
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._link is not None and self._put - self._ring.pieces < piece:
                    self._progress.clear()
                    await self._progress.wait()

    async def stop(self) -> None:
        """Let the other process read what waits, and end it."""
        self.finish()
        if self._process is None:
            return
        self._ending = True
        self._flush()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._gone.wait(), _LONGEST)
        self._lose("there was too much of it at the end")
        self._process.kill()
        await asyncio.to_thread(self._process.wait)
        if self._ring is not None:
            self._ring.close()
