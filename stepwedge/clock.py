"""Time, passed in wherever it is needed, so that pure code stays pure."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

ZERO: Final = "STEPWEDGE_ZERO"
"""Environment variable by which the processes of one run agree what time it was when the machine's ticks began."""
SILENCE: Final = 60.0
"""Seconds after which the time of day is read anew: no run is silent that long, and a process may outlive many."""


class _Moments:
    """The time of day as it was read once, carried on by ticks: a clock that is set in the middle of a run moves nothing.

    What happened first must stay first, or an order would seem to be done before it was placed. The time of day is read when
    the first process of a run starts; those it starts take it from their environment, since all count the same ticks.
    """

    def __init__(self) -> None:
        self._used = _ticks()
        told = os.environ.get(ZERO)
        self._zero = float(told) if told else time.time() - self._used
        os.environ[ZERO] = repr(self._zero)

    def now(self) -> float:
        ticks = _ticks()
        if ticks - self._used > SILENCE:
            self._zero = time.time() - ticks
        self._used = ticks
        return self._zero + ticks


def _ticks() -> float:
    """Return seconds on a clock that never goes back, and goes on while the machine sleeps where there is such a one."""
    return time.clock_gettime(_BOOT) if _BOOT is not None else time.monotonic()


_BOOT: Final = getattr(time, "CLOCK_BOOTTIME", None)
moment: Final = _Moments().now
"""Seconds since 1970 for the journal: ``moment()`` is never before an earlier one of the same run."""


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
