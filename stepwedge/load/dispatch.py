"""Who begins what is due: an open model. Nothing waits for what came before it, and nothing is dropped.

A bounded number of arrivals is in work at once. What is due while all places are taken waits, is counted as backlog and begun late,
and how late is measured.
"""

from __future__ import annotations

import resource
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from stepwedge.errors import Failed, WireError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from stepwedge.load.arrivals import Arrival
    from stepwedge.load.site import Site

PLACES: Final = 2000
"""Arrivals in work at once: an exam waits most of its time."""
PULSE: Final = 0.1
"""Seconds from one beat of the pulse to the next: it finds out how late we wake up."""
_PAGE: Final = resource.getpagesize()


@dataclass
class Dispatcher:
    """Walks an agenda.

    Attributes:
        work: what to do, by kind of arrival.
    """

    site: Site
    work: Mapping[str, Callable[[Site, Arrival], None]]
    places: int = PLACES
    backlog: deque[Arrival] = field(default_factory=deque)
    running: int = 0
    troubles: list[str] = field(default_factory=list)
    _over: bool = False

    def run(self, agenda: Iterable[Arrival]) -> None:
        """Begin everything when it is due; return when all is done, or the run's time is over."""
        self.site.spawn(self._pulse)
        try:
            for arrival in agenda:
                if not self._until(arrival.at):
                    break
                self.backlog.append(arrival)
                self._begin()
            while (self.running or self.backlog) and self.site.now() < self.site.ends:
                self.site.pause(PULSE / 2)
        finally:
            self._over = True

    def _until(self, at: float) -> bool:
        """Wait for a moment; False when the run is over before."""
        while (left := at - self.site.now()) > 0:
            if not self.site.wait(left):
                return False
        return True

    def _begin(self) -> None:
        while self.backlog and self.running < self.places:
            arrival = self.backlog.popleft()
            self.running += 1
            self.site.spawn(lambda one=arrival: self._do(one))  # type: ignore[misc]

    def _do(self, arrival: Arrival) -> None:
        """Do one thing; its trouble is measured where it happens and ends nothing else."""
        now = self.site.now()
        late = max(0.0, now - arrival.at)
        self.site.measures.note("arrival", late, at=now, late=late, group=arrival.kind)
        try:
            self.work[arrival.kind](self.site, arrival)
        except (WireError, Failed):
            pass  # counted where it was asked
        except Exception as trouble:  # noqa: BLE001 - one of our own must not end the others, and must be seen
            self._broken(arrival, trouble)
        finally:
            self.running -= 1
            self._begin()

    def _broken(self, arrival: Arrival, trouble: Exception) -> None:
        now = self.site.now()
        self.site.measures.note(f"{arrival.kind} broken", 0.0, at=now, outcome="failed")
        if len(self.troubles) < 20:  # noqa: PLR2004 - enough to see what is wrong
            self.troubles.append(f"{arrival.kind} {arrival.number}: {trouble!r}")

    # --- how we fare ourselves -----------------------------------------------------------------------------------

    def _pulse(self) -> None:
        """Write down each second: our share of a core, how late we wake up, what waits for us."""
        second, cpu, wall, lag = int(self.site.now()), time.process_time(), time.monotonic(), 0.0
        while not self._over:
            asked = time.monotonic()
            self.site.pause(PULSE)
            lag = max(lag, time.monotonic() - asked - PULSE)
            now = self.site.now()
            if int(now) == second:
                continue
            used, passed = time.process_time() - cpu, time.monotonic() - wall
            self.site.measures.generator(
                second, cpu=used / passed, lag=lag, rss=_resident(), backlog=len(self.backlog)
            )
            self.site.measures.tick(now)
            second, cpu, wall, lag = int(now), cpu + used, wall + passed, 0.0


def _resident() -> int:
    """Return the memory of this process in bytes; where the system does not tell, the most it ever had."""
    try:
        with open("/proc/self/statm", "rb") as told:  # noqa: PTH123 - every second: the cheap way
            return int(told.read().split()[1]) * _PAGE
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
