"""D7: the same object comes on two associations at once."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from stepwedge.errors import RemoteProtocolError
from stepwedge.sim.tap import dimse
from stepwedge.sim.tap.fault import REQUEST
from stepwedge.wire import pdu
from stepwedge.wire.command import Field

if TYPE_CHECKING:
    from stepwedge.sim.tap.fault import Side, Wish
    from stepwedge.sim.tap.line import Line
    from stepwedge.sim.tap.tap import Tap
    from stepwedge.wire.command import Command

_PATIENCE: Final = 5.0
_MOST: Final = 1 << 20


class Rival(dimse.Messages):
    """Opens a second association as the caller did, and sends the object there in the same moment."""

    kind = "rival"
    says = "the same object comes on two associations at once"

    def __init__(self, wish: Wish) -> None:
        """Have seen no association."""
        super().__init__(wish)
        self._asked: dict[int, bytes] = {}
        self._under_way: set[asyncio.Task[None]] = set()

    def other(self, line: Line, side: Side, unit: bytes) -> None:
        """Learn how an association is asked for."""
        if unit[0] == pdu.Kind.ASSOCIATE_RQ:
            self._asked[line.number] = unit
        line.give(side, unit)

    def wanted(self, line: Line, side: Side, command: Command) -> bool:
        """Choose objects on associations whose beginning was seen."""
        del side
        return command["CommandField"] == Field.C_STORE and line.number in self._asked

    def act(self, line: Line, side: Side, message: dimse.Message) -> None:
        """Send it on both, at once."""
        del side
        task = asyncio.get_running_loop().create_task(self._both(line, message.raw))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _both(self, line: Line, raw: bytes) -> None:
        writer = None
        try:
            async with asyncio.timeout(_PATIENCE):
                reader, writer = await asyncio.open_connection(*line.tap.to)
                writer.write(self._asked[line.number])
                agreed = (await read_pdu(reader))[0] == pdu.Kind.ASSOCIATE_AC
                line.give(REQUEST, raw)
                if not agreed:
                    return  # it did not act
                writer.write(raw)
                said = dimse.Message()
                while not said.over:
                    said.take(await read_pdu(reader))
                self.acted(
                    f"sent twice at once: {said.command.get('Status', 0):04X}", line, REQUEST, len(raw)
                )
                writer.write(pdu.RELEASE_RQ)
                await read_pdu(reader)
        except (OSError, TimeoutError, EOFError, RemoteProtocolError):
            if writer is None:
                line.give(REQUEST, raw)
        finally:
            if writer is not None:
                writer.close()

    async def lift(self, tap: Tap) -> None:
        """Wait until the other associations are over."""
        await super().lift(tap)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE + 1):
                await asyncio.gather(*self._under_way)

    def remains(self) -> str:
        """Tell of associations that are not over."""
        return f"{len(self._under_way)} associations" if self._under_way else super().remains()


async def read_pdu(reader: asyncio.StreamReader) -> bytes:
    """Read a PDU; raises EOFError (incomplete), RemoteProtocolError (too long)."""
    head = await reader.readexactly(pdu.HEADER.size)
    _, size = pdu.HEADER.unpack(head)
    if size > _MOST:
        raise RemoteProtocolError(f"a PDU of {size} bytes")
    return head + await reader.readexactly(size)
