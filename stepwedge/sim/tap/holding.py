"""What faults share that keep bytes back and let them go later."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from stepwedge.sim.tap.fault import Fault
from stepwedge.sim.tap.held import Held

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stepwedge.sim.tap.fault import Wish
    from stepwedge.sim.tap.line import Line, Side
    from stepwedge.sim.tap.tap import Tap


class Holding(Fault):
    """Keeps back what comes on its side, or on both when no side is named; all of it goes on at the latest when it is lifted."""

    def __init__(self, wish: Wish) -> None:
        """Keep nothing back yet."""
        super().__init__(wish)
        self.held: dict[tuple[int, Side], Held] = {}
        self._alarms: dict[asyncio.TimerHandle, Callable[[], None] | None] = {}

    def concerns(self, side: Side) -> bool:
        """Tell whether it acts on a side."""
        return self.wish.side in {None, side}

    def of(self, line: Line, side: Side) -> Held:
        """Return what is kept back of a side of a line."""
        if (line.number, side) not in self.held:
            self.held[line.number, side] = Held(line, side)
        return self.held[line.number, side]

    def arrived(self, line: Line, side: Side, data: bytes, ends: Sequence[int]) -> None:
        """Keep bytes back, and decide when they go on."""
        del ends
        if not self.concerns(side):
            line.give(side, data)
            return
        held = self.of(line, side)
        held.put(data)
        self.kept(held, len(data))

    def kept(self, held: Held, size: int) -> None:
        """Decide when so many bytes that were just kept back go on."""

    def ended(self, line: Line, side: Side) -> None:
        """Keep a FIN behind what came before it."""
        if self.concerns(side):
            self.of(line, side).end()
        else:
            line.finish(side)

    def after(self, seconds: float, do: Callable[[], None], *, at_the_end: bool = False) -> None:
        """Do something after a while; when the fault is lifted before, then or never."""

        def now() -> None:
            del self._alarms[alarm]
            do()

        alarm = asyncio.get_running_loop().call_later(seconds, now)
        self._alarms[alarm] = do if at_the_end else None

    async def lift(self, tap: Tap) -> None:
        """Let everything go on."""
        del tap
        alarms, self._alarms = self._alarms, {}
        for alarm, do in alarms.items():
            alarm.cancel()
            if do is not None:
                do()
        for held in self.held.values():
            if held.size:
                held.give()

    def remains(self) -> str:
        """Tell of bytes that are still kept back."""
        left = sum(held.size for held in self.held.values())
        return f"{left} bytes kept back" if left else ""


class Helping(Holding, ABC):
    """Hands out what it keeps back in helpings, one after the other as long as there is anything."""

    def __init__(self, wish: Wish) -> None:
        """Hand out nothing yet."""
        super().__init__(wish)
        self._turning: set[int] = set()

    @abstractmethod
    def hand_out(self, held: Held) -> float:
        """Let one helping go on; return the seconds until the next."""

    def kept(self, held: Held, size: int) -> None:
        """Begin to hand out, unless that is under way."""
        del size
        if id(held) not in self._turning:
            self._turning.add(id(held))
            self._turn(held)

    def _turn(self, held: Held) -> None:
        if held.size:
            self.after(self.hand_out(held), lambda: self._turn(held))
        else:
            self._turning.discard(id(held))
