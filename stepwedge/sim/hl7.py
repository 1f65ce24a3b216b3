"""The HL7 door of a simulated system, and its way out.

A handler is pure: ``(state, message, now) -> Reply``. The door parses, answers repetitions from memory, runs the handler,
commits rows, outgoing messages and the reply as one transaction, journals, and only then lets the acknowledgement go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from stepwedge.sim.store import Send

if TYPE_CHECKING:
    from stepwedge.sim.address import Address
    from stepwedge.sim.bench import Bench
    from stepwedge.wire.hl7 import Message


@dataclass(frozen=True, slots=True)
class Reply:
    """What a handler answers.

    Attributes:
        code: MSA-1 (table 0008): AA, AE or AR.
        text: MSA-3 and ERR user message, for a person.
        type: message type of the answer, ``ORR^O02``; None for a plain ACK.
        segments: what follows MSA (and ERR), as ``wire.hl7.compose`` takes it.
        error: HL7 error code (table 0357) and location, such as ``("204", "ORC-2")``, for AE and AR.
        sends: messages that go out because of this one; built with ``state.control()`` as MSH-10.
    """

    code: str = "AA"
    text: str = ""
    type: str | None = None
    segments: Sequence[Any] = ()
    error: tuple[str, str] | None = None
    sends: Sequence[Send] = ()


Handler = Callable[[Any, "Message", datetime], Reply]


class Hl7Door:
    """An MLLP listener.

    Args:
        handlers: by trigger (``ADT^A04``), by message type (``ORU``); another type is answered AR, error 200 or 201.
    """

    def __init__(self, bench: Bench, state: Any, handlers: Mapping[str, Handler]) -> None:
        self._bench = bench
        self._state = state
        self._handlers = handlers

    async def start(self) -> Address:
        """Listen on the bench's ``hl7`` port."""
        raise NotImplementedError

    async def stop(self) -> None:
        """Stop listening."""
