"""D3 and N11: the receiver has as many associations as it takes, and one more is asked for."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from stepwedge.errors import RemoteProtocolError
from stepwedge.sim.tap.dimse import DOORS
from stepwedge.sim.tap.fault import REQUEST, Argument
from stepwedge.sim.tap.faults.rival import read_pdu
from stepwedge.sim.tap.whole import Whole
from stepwedge.wire import pdu

if TYPE_CHECKING:
    from stepwedge.sim.tap.fault import Side, Wish
    from stepwedge.sim.tap.line import Line
    from stepwedge.sim.tap.tap import Tap

_PATIENCE: Final = 5.0


class Full(Whole):
    """Opens associations like the one that is due, until the receiver refuses one; then that one is handed on.

    They stay until the fault is lifted. It acted when the receiver refused; a receiver without a limit is not tested by it.
    """

    kind = "full"
    says = "the receiver has as many associations as it takes"
    doors = DOORS
    takes = (Argument("most", "how many are tried", 200, "number", 1, 250),)

    def __init__(self, wish: Wish) -> None:
        """Have no association."""
        super().__init__(wish)
        self._writers: list[asyncio.StreamWriter] = []
        self._filling: asyncio.Task[None] | None = None
        self._waiting: list[tuple[Line, Side, bytes]] = []

    def whole(self, line: Line, unit: bytes) -> None:
        """Keep an association waiting until the receiver is full."""
        if unit[0] != pdu.Kind.ASSOCIATE_RQ or (self._filling is None and not self.chosen(line)):
            line.give(REQUEST, unit)
        elif self._filling is None or not self._filling.done():
            self._waiting.append((line, REQUEST, unit))
            self._filling = self._filling or asyncio.get_running_loop().create_task(self._fill(line, unit))
        else:
            line.give(REQUEST, unit)

    async def _fill(self, line: Line, unit: bytes) -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                for _ in range(int(self.args["most"])):
                    reader, writer = await asyncio.open_connection(*line.tap.to)
                    self._writers.append(writer)
                    writer.write(unit)
                    answer = await read_pdu(reader)
                    if answer[0] == pdu.Kind.ASSOCIATE_RJ:
                        why = "/".join(str(one) for one in answer[7:10])
                        self.acted(f"{len(self._writers) - 1} associations; the next: {why}", line, REQUEST)
                        break
        except (OSError, TimeoutError, EOFError, RemoteProtocolError):
            pass  # it did not act then
        finally:
            self._hand_on()

    def _hand_on(self) -> None:
        for line, side, unit in self._waiting:
            line.give(side, unit)
        self._waiting.clear()

    async def lift(self, tap: Tap) -> None:
        """End them all, each with A-ABORT."""
        if self._filling is not None:
            self._filling.cancel()
            await asyncio.gather(self._filling, return_exceptions=True)
        for writer in self._writers:
            with contextlib.suppress(OSError):
                writer.write(pdu.abort(0, 0))
                writer.close()
        for writer in self._writers:
            with contextlib.suppress(OSError, TimeoutError):
                await asyncio.wait_for(writer.wait_closed(), 1)
        self._hand_on()
        await super().lift(tap)

    def remains(self) -> str:
        """Tell of associations that are still open."""
        left = sum(not writer.is_closing() for writer in self._writers)
        return f"{left} associations" if left else super().remains()
