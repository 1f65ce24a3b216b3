"""Known wrong behaviours of routers, each in the place of one habit; the defect catalogue tells who really had them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepwedge.sim.quirks import collect, quirk

from . import quirks_delivery
from .habits import UNDECIDED, RouterHabits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .rules import Way
    from .state import Job


@quirk(
    "router.drops_on_outage",
    defect="DEF-062",
    severity="S1",
    overrides=RouterHabits.pause,
    notices="images of the hour in which the archive was down are missing",
)
def drops_on_outage(
    original: Callable[[str, int, int, float], float | None], word: str, tries: int, most: int, longest: float
) -> float | None:
    """Give up on what a destination that is down did not take; seen as images that never arrive."""
    return None if word in UNDECIDED else original(word, tries, most, longest)


@quirk(
    "router.acks_before_disk",
    defect="not listed",
    severity="S1",
    overrides=RouterHabits.durable,
    notices="images that were sent before the power cut are nowhere, and the scanner has deleted them",
)
def acks_before_disk(_: Callable[[], bool]) -> bool:
    """Acknowledge what is in memory alone; seen as images lost by a restart while a destination is down."""
    return False


@quirk(
    "router.wrong_rule",
    defect="DEF-160",
    severity="S1",
    overrides=RouterHabits.ways,
    notices="the study lies in an archive where nobody looks for it",
)
def wrong_rule(
    _: Callable[..., tuple[Way, ...]], chosen: tuple[Way, ...], every: tuple[str, ...]
) -> tuple[Way, ...]:
    """Take the next destination of the list for the right one; seen as a study in the wrong archive."""
    from dataclasses import replace

    return tuple(replace(way, to=every[(every.index(way.to) + 1) % len(every)]) for way in chosen[:1])


@quirk(
    "router.first_destination_only",
    defect="DEF-068",
    severity="S1",
    overrides=RouterHabits.ways,
    notices="the second archive has nothing of today",
)
def first_destination_only(
    _: Callable[..., tuple[Way, ...]], chosen: tuple[Way, ...], _every: tuple[str, ...]
) -> tuple[Way, ...]:
    """Send to the first destination alone; seen as a study missing in the second archive."""
    return chosen[:1]


@quirk(
    "router.reorders",
    defect="not listed",
    severity="S3",
    overrides=RouterHabits.choose,
    notices="a series that is opened while it arrives shows its last slices first",
)
def reorders(_: Callable[[Sequence[Job]], Job], waiting: Sequence[Job]) -> Job:
    """Send the newest first; seen as images of a series that overtake each other."""
    return waiting[-1]


@quirk(
    "router.duplicates_on_retry",
    defect="DEF-063",
    severity="S3",
    overrides=RouterHabits.copies,
    notices="after an outage the archive is flooded with copies of the same images",
)
def duplicates_on_retry(_: Callable[[int], int], tries: int) -> int:
    """Send an object twice when it is tried again; seen as two successes for one image."""
    return min(tries, 2)


@quirk(
    "router.priority_ignored",
    defect="DEF-201",
    severity="S1",
    overrides=RouterHabits.lane,
    notices="the stroke patient's CT arrives behind the day's routine",
)
def priority_ignored(_: Callable[[str], str], _lane: str) -> str:
    """Put everything into one lane; seen as urgent images behind routine ones."""
    return "routine"


@quirk(
    "router.alters_pixels",
    defect="DEF-125",
    severity="S1",
    overrides=RouterHabits.sent,
    notices="fine detail is gone, and the image does not say that it was compressed",
)
def alters_pixels(_: Callable[[bytes], bytes], data: bytes) -> bytes:
    """Change the last bytes of every object; seen as a pixel hash unlike that of the scanner."""
    return data[:-2] + bytes(byte ^ 0x01 for byte in data[-2:])


QUIRKS = collect(globals()) | collect(vars(quirks_delivery))
