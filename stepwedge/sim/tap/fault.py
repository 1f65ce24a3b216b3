"""What a fault is: trouble on the lines of one tap, with proof of each time it acted, and a way back.

A fault decides about every byte of every line while it is on. It counts as having acted only when it writes down what it did, on
which line, at which byte. What it withheld is given back, or the line ended, when it is lifted: nothing stays behind.
"""

from __future__ import annotations

import random
import re
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from stepwedge.clock import moment
from stepwedge.errors import BadInput
from stepwedge.sim.tap.countdown import After, Countdown
from stepwedge.sim.tap.line import ANSWER, REQUEST, Line, Side

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stepwedge.sim.tap.tap import Tap

KEPT: Final = 50
"""Acts of one fault that are told one by one; beyond that they are counted."""
MARKED: Final = 2000
"""Units of one side of a line whose ends are told."""
LINES: Final = 200
"""Lines of which that is told, the first."""


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a kind of fault: a number, a text out of some, seconds (200ms in scenarios), or a code of four hex digits."""

    name: str
    says: str
    default: Any
    kind: Literal["seconds", "number", "text", "code"] = "number"
    least: float = 0
    most: float = 0
    choices: tuple[str, ...] = ()

    @property
    def expected(self) -> str:
        """What it may be, in words."""
        if self.kind == "text":
            return f"one of {', '.join(self.choices)}" if self.choices else "a text"
        if self.kind == "code":
            return "four hexadecimal digits in quotes, such as A700"
        unit = " seconds" if self.kind == "seconds" else ""
        return f"a number from {self.least:g} to {self.most:g}{unit}"

    def accepts(self, value: Any) -> bool:
        """Tell whether a value may be given."""
        if self.kind == "text":
            return isinstance(value, str) and (not self.choices or value in self.choices)
        if self.kind == "code":
            return isinstance(value, str) and re.fullmatch("[0-9A-Fa-f]{4}", value) is not None
        return type(value) in {int, float} and self.least <= value <= self.most


@dataclass(frozen=True, slots=True)
class Wish:
    """What a scenario wants of a fault.

    Attributes:
        side: which direction it counts and acts on; None is the kind's own choice.
        times: how often it is due at most; 0 is on every connection.
        args: what the kind takes besides.
    """

    kind: str
    side: Side | None = None
    after: After = field(default_factory=After)
    times: int = 0
    args: dict[str, Any] = field(default_factory=dict)
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Acted:
    """One time a fault acted: what it did, on which line and side, at which byte of that side, to how many bytes."""

    at: float
    what: str
    line: int
    side: str
    offset: int
    bytes: int


class Fault:
    """One fault that is on; a kind of fault overrides what it has other plans for.

    Attributes:
        kind: its name in scenarios; ``says`` is one line for people; ``doors`` are those it makes sense at, none named is all.
        takes: the arguments of the kind.
        usual: the side it acts on unless told.
        forged: what it made up: control IDs of messages and transactions of which it told a side what the other never said, patient IDs of nobody.
    """

    kind: ClassVar[str] = ""
    says: ClassVar[str] = ""
    doors: ClassVar[tuple[str, ...]] = ()
    takes: ClassVar[tuple[Argument, ...]] = ()
    usual: ClassVar[Side] = REQUEST

    def __init__(self, wish: Wish) -> None:
        """Be on from now."""
        self.wish = wish
        self.args = {one.name: wish.args.get(one.name, one.default) for one in self.takes}
        for one in self.takes:
            if not one.accepts(self.args[one.name]):
                raise BadInput(f"{wish.kind}.{one.name}", one.expected, repr(self.args[one.name]))
        self.side: Side = wish.side or self.usual
        self.acts: list[Acted] = []
        self.count = 0
        self.random = random.Random(wish.seed)  # noqa: S311 - it must be repeatable, not secret
        self._countdowns: dict[int, Countdown] = {}
        self.hits = 0
        self.forged: set[str] = set()
        self._marks: dict[int, dict[Side, list[int]]] = {}

    # What lines tell it

    def saw(self, line: Line, side: Side, size: int, ends: Sequence[int]) -> None:
        """Note where units ended, in bytes since it began to see a line: where a sweep may cut."""
        marks = self._marks.setdefault(line.number, {}).setdefault(side, [0])
        begun = marks.pop()
        if len(marks) < MARKED:
            marks += [begun + end for end in ends]
        marks.append(begun + size)

    def opened(self, line: Line) -> bool:
        """Hear of a new connection; False when it is not to be led to the other end."""
        del line
        return True

    def arrived(self, line: Line, side: Side, data: bytes, ends: Sequence[int]) -> None:
        """Decide about bytes; ``ends`` are the offsets behind which a frame or PDU ends."""
        del ends
        line.give(side, data)

    def ended(self, line: Line, side: Side) -> None:
        """Decide about the end of a side (FIN)."""
        line.finish(side)

    def lost(self, line: Line, side: Side) -> bool:
        """Decide whether the loss of one socket ends the other."""
        del line, side
        return True

    async def begin(self, tap: Tap) -> None:
        """Do what must be done at once."""

    async def lift(self, tap: Tap) -> None:
        """Put everything back as it was."""

    def remains(self) -> str:
        """Say what of it is still there after :meth:`lift`; empty when nothing is."""
        return ""

    # What kinds use

    def due(self, line: Line, side: Side, data: bytes, ends: Sequence[int]) -> int | None:
        """Return the offset in the bytes of its side at which it is to act on this line, None when it is not."""
        if side != self.side or self.spent or not self._meant(line):
            return None
        countdown = self._countdowns.setdefault(line.number, Countdown(self.wish.after))
        at = countdown.reach(len(data), ends)
        self.hits += at is not None
        return at

    def _meant(self, line: Line) -> bool:
        """Tell whether a line is the one it is to act on, of those on which something was said."""
        wanted = self.wish.after.connection
        return not wanted or list(self._marks).index(line.number) + 1 == wanted

    @property
    def spent(self) -> bool:
        """Whether it was due as often as it may be."""
        return bool(self.wish.times) and self.hits >= self.wish.times

    def acted(
        self, what: str, line: Line | None, side: Side, size: int = 0, offset: int | None = None
    ) -> None:
        """Write down that it acted; ``offset`` counts the bytes of the side that came before."""
        self.count += 1
        if len(self.acts) < KEPT:
            at = offset if offset is not None else line.arrived_bytes[side] if line else 0
            self.acts.append(Acted(moment(), what, line.number if line else 0, side, at, size))

    def told(self) -> dict[str, Any]:
        """Return what it did, as JSON values; ``seen`` is by line and side where units ended, and last the number of bytes."""
        return {
            "count": self.count,
            "acts": [asdict(one) for one in self.acts],
            "forged": sorted(self.forged),
            "seen": [dict(marks) for marks in list(self._marks.values())[:LINES]],
        }


__all__ = ["ANSWER", "REQUEST", "Acted", "After", "Argument", "Fault", "Line", "Side", "Wish"]
