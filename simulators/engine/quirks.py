"""Wrong behaviours the interface engine can be told to have."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from stepwedge.sim.quirks import collect, quirk

from .habits import FIRST_PAUSE, EngineHabits

if TYPE_CHECKING:
    from collections.abc import Callable

    from stepwedge.wire.hl7_escape import Separators


@quirk(
    "queue.poison_blocks",
    defect="DEF-076",
    severity="S1",
    overrides=EngineHabits.pause,
    notices="after one bad message nothing arrives any more (the same MSH-10 refused again and again)",
)
def poison_blocks(
    original: Callable[[str, int, int], float | None], word: str, tries: int, most: int
) -> float | None:
    """Send what was refused again for ever, with everything else waiting behind it."""
    pause = original(word, tries, most)
    return FIRST_PAUSE if pause is None else pause


@quirk(
    "queue.no_retry_on_timeout",
    defect="DEF-062",
    severity="S1",
    overrides=EngineHabits.pause,
    notices="an order is missing after the receiver was slow once (a time-out, and no second try)",
)
def no_retry_on_timeout(
    original: Callable[[str, int, int], float | None], word: str, tries: int, most: int
) -> float | None:
    """Give up when no answer came in time."""
    return None if word == "timeout" else original(word, tries, most)


@quirk(
    "queue.gives_up_on_error",
    defect="not listed",
    severity="S2",
    overrides=EngineHabits.pause,
    notices="an order is lost over an error that would have passed, until somebody looks at the dead letters",
    needs="taps",
)
def gives_up_on_error(
    original: Callable[[str, int, int], float | None], word: str, tries: int, most: int
) -> float | None:
    """Give up at the first AE or CE; seen as a dead letter where the receiver would have taken the message."""
    return None if word in {"AE", "CE"} else original(word, tries, most)


@quirk(
    "ack.commit_is_enough",
    defect="not listed",
    severity="S2",
    overrides=EngineHabits.unresolved,
    notices="nobody looks for a message that the receiver stored and never worked on (CA taken for AA)",
    needs="enhanced",
)
def commit_is_enough(_: Callable[..., bool], code: str, *, asked: bool) -> bool:
    """Take the accept acknowledgement for the application's."""
    return not code and asked


@quirk(
    "queue.parallel_reorder",
    defect="DEF-065",
    severity="S1",
    overrides=EngineHabits.choose,
    notices="the old name is back after a correction (A08 delivered before the A04 that was sent first)",
)
def parallel_reorder(_: Callable[[int], int], waiting: int) -> int:
    """Take the newest first, as threads that race may."""
    return waiting - 1


@quirk(
    "route.first_destination_only",
    defect="DEF-068",
    severity="S2",
    overrides=EngineHabits.destinations,
    notices="the RIS knows of a merge and the archive does not (no ADT at the second destination)",
)
def first_destination_only(
    original: Callable[[tuple[str, ...]], tuple[str, ...]], to: tuple[str, ...]
) -> tuple[str, ...]:
    """Serve the first destination of a route and forget the others."""
    return original(to)[:1]


@quirk(
    "hl7.zseg_damage",
    defect="DEF-052",
    severity="S2",
    overrides=EngineHabits.segment,
    notices="values of a Z-segment have moved (empty components and fields are gone on the way)",
)
def zseg_damage(original: Callable[[str, Separators], str], line: str, separators: Separators) -> str:
    """Write Z-segments without what is empty in them."""
    kept = original(line, separators)
    if not kept.startswith("Z"):
        return kept
    for sign in (separators.component, separators.field):
        kept = re.sub(f"{re.escape(sign)}{{2,}}", sign, kept) if sign else kept
    return kept


QUIRKS = collect(globals())
