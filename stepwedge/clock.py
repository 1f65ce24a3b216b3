"""Time, passed in wherever it is needed, so that pure code stays pure."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """What code may ask about time."""

    def now(self) -> datetime:
        """Local wall-clock time with its zone, for records and messages only."""
        ...

    def tick(self) -> float:
        """Seconds on a clock that never goes back, for measuring and deadlines."""
        ...


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """Local wall-clock time with its zone."""
        return datetime.now().astimezone()

    def tick(self) -> float:
        """Seconds on the monotonic clock."""
        return time.monotonic()


@dataclass
class FixedClock:
    """A clock that moves only when told, for tests."""

    at: datetime = field(default_factory=lambda: datetime(2026, 11, 24, 9, 30).astimezone())
    ticks: float = 0.0

    def now(self) -> datetime:
        """Return the time that was set."""
        return self.at

    def tick(self) -> float:
        """Return the ticks that were set."""
        return self.ticks

    def advance(self, seconds: float) -> None:
        """Move both hands forward."""
        self.at += timedelta(seconds=seconds)
        self.ticks += seconds
