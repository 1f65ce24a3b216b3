"""Known wrong behaviours of patient indexes, each in the place of one habit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepwedge.sim.quirks import collect, quirk

from .habits import MpiHabits

if TYPE_CHECKING:
    from collections.abc import Callable

    from .state import Record


@quirk(
    "mpi.false_link",
    defect="DEF-222",
    severity="S1",
    overrides=MpiHabits.fingerprint,
    notices="the twin's studies are shown with her sister's",
)
def false_link(original: Callable[..., str], family: str, _given: str, birth_date: str, sex: str) -> str:
    """Take twins for one person; seen as a cross reference between two people."""
    return original(family, "anybody", birth_date, sex)


@quirk(
    "mpi.relinks",
    defect="not listed",
    severity="S1",
    overrides=MpiHabits.obeys,
    notices="two people who were taken apart by hand are one again the next morning",
)
def relinks(_: Callable[[bool], bool], _barred: bool) -> bool:
    """Forget that two records were taken apart; seen as a link that comes back."""
    return False


@quirk(
    "mpi.lost_merge",
    defect="DEF-203",
    severity="S1",
    overrides=MpiHabits.merges,
    notices="the clinic still works with the number that was merged away",
)
def lost_merge(_: Callable[[], bool]) -> bool:
    """Acknowledge A40 and do nothing; seen as a prior number that still has cross references."""
    return False


@quirk(
    "mpi.returns_merged",
    defect="DEF-028",
    severity="S2",
    overrides=MpiHabits.offers,
    notices="the search shows a patient who no longer exists",
)
def returns_merged(_: Callable[[Record], bool], _record: Record) -> bool:
    """Offer merged records; seen as an answer for an identifier that was merged away."""
    return True


@quirk(
    "mpi.no_notice",
    defect="not listed",
    severity="S2",
    overrides=MpiHabits.notifies,
    notices="the ward does not hear that the patient is known elsewhere too",
)
def no_notice(_: Callable[[], bool]) -> bool:
    """Keep changed cross references to itself; seen as no ADT^A31 at the consumer."""
    return False


@quirk(
    "mpi.unknown_is_not_found",
    defect="not listed",
    severity="S3",
    overrides=MpiHabits.admits_unknown,
    notices="a mistyped number looks like a patient who is known nowhere else",
)
def unknown_is_not_found(_: Callable[[], bool]) -> bool:
    """Answer NF for an identifier that does not exist; seen as AA where the transaction says AE."""
    return False


@quirk(
    "mpi.cut_short",
    defect="not listed",
    severity="S2",
    overrides=MpiHabits.says_more,
    notices="the patient is not on the list, and nothing says that the list goes on",
)
def cut_short(_: Callable[[], bool]) -> bool:
    """Leave out the continuation pointer; seen as fewer patients than match."""
    return False


QUIRKS = collect(globals())
