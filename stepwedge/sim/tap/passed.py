"""What the process of the taps and the one that reads for them say to each other, over a socket of their own.

Every piece of a connection is one :data:`PASSED`, in the order in which it passed; its bytes lie in a
:class:`~stepwedge.sim.tap.ring.Ring`. Every :data:`READ` gives so many of them back, and brings journal lines.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final, TypedDict

from stepwedge.sim.tap.line import ANSWER, REQUEST

if TYPE_CHECKING:
    from stepwedge.sim.tap.witness import Word

PASSED: Final = struct.Struct("<QHBIId")
"""Line, door, index in :data:`WORDS`, where its bytes begin, how many, when."""
READ: Final = struct.Struct("<III")
"""Pieces read, lines that are over, bytes of journal lines; behind it eight bytes for each line, and the journal lines."""
LINE: Final = struct.Struct("<Q")
WORDS: Final[tuple[Word, ...]] = (REQUEST, ANSWER, "over", "missed")


class Door(TypedDict):
    """One tap, as the other process must know it; ``identity`` is what its lab calls synthetic."""

    caller: str
    callee: str
    door: str
    place: str
    sealed: bool
    identity: dict[str, Any]


class Told(TypedDict):
    """What the process that reads is told when it is started: descriptors, and where files of large payloads go."""

    socket: int
    ring: int
    size: int
    blobs: str
    doors: list[Door]
