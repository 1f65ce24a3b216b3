"""What the router holds: objects, what is to be done with each, promises about them. Pure.

An object's bytes lie in a file named by their hash; a *job* is one object for one destination. Objects make room for new
ones once every job is done, the oldest first; what still has to go somewhere never makes room.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import RemoteProtocolError
from stepwedge.sim.tables import State
from stepwedge.wire.elements import IMPLICIT_LE, decode
from stepwedge.wire.encodings import plain

from .rules import LANES, ways

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .habits import RouterHabits
    from .rules import Way
    from .settings import Settings

WAITING, DELIVERED, PARKED, REPLAYED = "waiting", "delivered", "parked", "replayed"
OUT_OF_RESOURCES: Final = 0xA700
CONFLICT: Final = 0xC201
CANNOT_UNDERSTAND: Final = 0xC000
PROCESSING_FAILURE: Final = 0x0110
_REQUIRED: Final = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")


@dataclass(frozen=True, slots=True)
class Held:
    """One object on disk.

    Attributes:
        content: hash over all attributes, the same in implicit and explicit encoding.
        header: the attributes that rules and queries ask for, as Elements.
        number: its place in the order of arrival.
    """

    sop: str
    sop_class: str
    series: str
    study: str
    transfer_syntax: str
    file: str
    size: int
    content: str
    header: dict[str, Any]
    calling: str = ""
    number: int = 0
    at: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """One object for one destination.

    Attributes:
        rules: the rules that send it there.
        fate: ``waiting delivered parked replayed``.
        reason: what the destination said: the trouble it waits for, a warning it was taken with, or why it is parked.
    """

    number: int
    sop: str
    series: str
    to: str
    lane: str
    rules: tuple[str, ...]
    fate: str = WAITING
    tries: int = 0
    reason: str = ""
    at: str = ""


@dataclass(frozen=True, slots=True)
class Promise:
    """One storage commitment transaction of a sender (PS3.4 annex J); ``reported`` is empty while the result is owed."""

    transaction: str
    requester: str
    references: tuple[tuple[str, str], ...]
    committed: tuple[tuple[str, str], ...] = ()
    failed: tuple[tuple[str, str, int], ...] = ()
    reported: str = ""


@dataclass(frozen=True, slots=True)
class Taken:
    """What is answered to a C-STORE, and the files that are no longer needed because of it.

    Attributes:
        kept: the object is new here; ``woken``: it was here already and goes out once more.
    """

    status: int
    comment: str = ""
    kept: bool = False
    gone: tuple[str, ...] = ()
    woken: bool = False


class Router(State):
    """The router's memory."""

    def __init__(self, seed: int, name: str, settings: Settings, habits: RouterHabits) -> None:
        super().__init__(seed, name)
        self.settings = settings
        self.habits = habits
        self.held = self.table("held", Held)
        self.jobs = self.table("jobs", Job)
        self.promises = self.table("promises", Promise)
        self.paused = self.table("paused", bool)
        self.held.index("study", lambda one: [one.study])
        self.jobs.index("sop", lambda job: [job.sop])
        self.jobs.index("queue", lambda job: [f"{job.to} {job.lane}"] if job.fate == WAITING else [])
        self.jobs.index("fate", lambda job: [job.fate])
        self.jobs.index("waiting", lambda job: [job.to] if job.fate == WAITING else [])

    # --- taking in

    def take(self, held: Held, hour: int) -> Taken:
        """File one object and its jobs; nothing has changed unless the status is 0000 and it was ``kept``."""
        if (before := self.held.get(held.sop)) is not None:
            if before.content == held.content:
                return Taken(0, woken=self._sent_again(held.sop))
            return Taken(CONFLICT, "another object is held under this SOP Instance UID")
        chosen = self.ways(held, hour)
        if not chosen:
            return Taken(PROCESSING_FAILURE, "no rule sends this object anywhere")
        room = list(self._room_for(held.size))
        if sum(one.size for one in room) < self._short_of(held.size):
            return Taken(OUT_OF_RESOURCES, "the disk is full of objects that wait for their destinations")
        for one in room:
            self._forget(one)
        write = self._writes()
        held = replace(held, number=self.next("held"))
        write(self.held, held.sop, held)
        for way in self.habits.ways(tuple(chosen), self.settings.destinations):
            number, lane = self.next("job"), self.habits.lane(way.lane)
            job = Job(number, held.sop, held.series, way.to, lane, way.rules, at=held.at)
            write(self.jobs, str(number), job)
        return Taken(0, kept=True, gone=tuple(one.file for one in room))

    def _sent_again(self, sop: str) -> bool:
        """Let what had arrived go out once more: the sender may know that it was lost since. What is on its way goes once."""
        arrived = [job for job in self.jobs.by("sop", sop) if job.fate == DELIVERED]
        for job in arrived:
            self.replay(job)
        return bool(arrived)

    def ways(self, held: Held, hour: int) -> list[Way]:
        """Return where the rules send an object that came at this hour."""
        return ways(self.settings.rules, held.header, held.calling, hour)

    def _writes(self) -> Any:
        """Return how rows are written: logged, so that they are committed; in memory alone by a careless router."""
        if self.habits.durable():
            return lambda table, key, row: table.__setitem__(key, row)
        return lambda table, key, row: table.put(key, row)

    @property
    def used(self) -> int:
        """Bytes of all objects."""
        return sum(one.size for one in self.held.values())

    def _short_of(self, size: int) -> int:
        return self.used + size - self.settings.disk

    def _room_for(self, size: int) -> Iterator[Held]:
        """Yield the oldest objects that have arrived everywhere until there is room."""
        short = self._short_of(size)
        for one in list(self.held.values()):
            if short <= 0:
                return
            if all(job.fate == DELIVERED for job in self.jobs.by("sop", one.sop)):
                short -= one.size
                yield one

    def _forget(self, held: Held) -> None:
        for job in self.jobs.by("sop", held.sop):
            del self.jobs[str(job.number)]
        del self.held[held.sop]

    # --- letting out

    def waiting(self, to: str, pausing: set[int]) -> Job | None:
        """Return what goes to a destination next; jobs that are ``pausing`` after a failure are passed over.

        Lanes come one after the other, and within a lane what came first. Where order is asked for, an object does not
        overtake an earlier one of its series that is pausing.
        """
        if to in self.paused:
            return None
        for lane in LANES:
            behind = {job.series for job in self.jobs.by("queue", f"{to} {lane}") if job.number in pausing}
            ready = [
                job
                for job in self.jobs.by("queue", f"{to} {lane}")
                if job.number not in pausing and not (self.settings.ordered and job.series in behind)
            ]
            if ready:
                return self.habits.choose(sorted(ready, key=lambda job: job.number))
        return None

    def decided(self, number: int, fate: str, reason: str = "", *, tried: bool = True) -> None:
        """Write down what became of a job, or why it waits."""
        if (job := self.jobs.get(str(number))) is not None:  # else forgotten by a reset
            self.jobs[str(number)] = replace(job, fate=fate, reason=reason, tries=job.tries + tried)

    def replay(self, job: Job) -> Job:
        """Let a parked object wait again, behind all others."""
        again = replace(job, number=self.next("job"), fate=WAITING, tries=0, reason="")
        self.jobs[str(again.number)] = again
        self.jobs[str(job.number)] = replace(job, fate=REPLAYED)
        return again

    def unsettled(self, sops: list[str]) -> list[Job]:
        """Return the jobs of these objects that are still waiting."""
        return [job for sop in sops for job in self.jobs.by("sop", sop) if job.fate == WAITING]


def read(sop_class: str, sop: str, transfer_syntax: str, data: bytes, kept: frozenset[str]) -> Held:
    """Make the row of a received data set; raises RemoteProtocolError when it is not what the command said."""
    opened, encoding = plain(data, transfer_syntax)
    elements = decode(opened, explicit=encoding != IMPLICIT_LE)
    for key in _REQUIRED:
        if not elements.get(key):
            raise RemoteProtocolError(f"the data set has no {key}")
    if (elements["SOPClassUID"], elements["SOPInstanceUID"]) != (sop_class, sop):
        raise RemoteProtocolError("the data set is another instance than the command says")
    text = json.dumps(elements, sort_keys=True, default=lambda value: hashlib.sha256(value).hexdigest())
    return Held(
        sop=sop,
        sop_class=sop_class,
        series=elements["SeriesInstanceUID"],
        study=elements["StudyInstanceUID"],
        transfer_syntax=transfer_syntax,
        file=hashlib.sha256(data).hexdigest(),
        size=len(data),
        content=hashlib.sha256(text.encode()).hexdigest(),
        header={key: value for key, value in elements.items() if key in kept},
    )
