"""Durable delivery: each destination strictly in order, the same message again until the receiver decides.

A message is in the outbox from the transaction that caused it until it was accepted. A lost link, a timeout or a garbled
answer is followed by the same bytes (same MSH-10) after a pause that doubles from 50 ms to 5 s. A receiver's no (AE, AR, or
a failure status) parks the message with the reason, visible by asking for ``parked``, and the queue goes on.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from stepwedge.errors import BadInput, LinkLost, NoAnswer, Refused, RemoteProtocolError, WireError
from stepwedge.sim.store import Send

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stepwedge.sim.bench import Bench

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 5.0

__all__ = ["Delivery", "Outbox", "Send", "Sender"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a receiver decided: ``reason`` is empty when it took the message; ``reply`` is its answer."""

    reply: bytes = b""
    reason: str = ""


class Sender(Protocol):
    """Brings one message to its destination once, and records the exchange."""

    async def __call__(self, send: Send) -> Delivery:
        """Return what the receiver decided, or raise what kept it from deciding (a WireError)."""
        ...

    async def close(self) -> None:
        """End what is open."""
        ...
