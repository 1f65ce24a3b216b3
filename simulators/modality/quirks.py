"""Known wrong behaviours of scanners, each in the place of one habit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stepwedge.sim.quirks import collect, quirk

from .habits import ModalityHabits

if TYPE_CHECKING:
    from collections.abc import Callable

Elements = dict[str, Any]


@quirk(
    "mwl.stale_cache",
    defect="DEF-202",
    severity="S2",
    overrides=ModalityHabits.worklist,
    notices="the console still shows the exam as it was scheduled before",
)
def stale_cache(_: Callable[..., Any], answers: list[Elements], before: list[Elements]) -> list[Elements]:
    """Show the list that was fetched first; seen as a start time, or an exam, that the RIS has changed since."""
    return before or answers


@quirk(
    "modality.regen_suid",
    defect="DEF-024",
    severity="S1",
    overrides=ModalityHabits.study,
    notices="the images lie in the archive, and the order waits for them for ever",
)
def own_study(_: Callable[..., str], _scheduled: str, own: str) -> str:
    """Make a Study Instance UID of its own; seen as (0020,000D) unlike the worklist's."""
    return own


@quirk(
    "rqattr.first_only",
    defect="DEF-204",
    severity="S2",
    overrides=ModalityHabits.request_attributes,
    notices="the second of two scheduled steps never finds its images",
)
def first_request_only(
    _: Callable[..., Any], items: list[Elements], earlier: list[Elements]
) -> list[Elements]:
    """Repeat the first step's item for the whole study; seen as (0040,0275) without the later step's ID."""
    return (earlier or items)[:1]


@quirk(
    "mpps.short_list",
    defect="DEF-250",
    severity="S3",
    overrides=ModalityHabits.performed,
    notices="the RIS believes that fewer images exist than the archive holds",
)
def short_list(_: Callable[..., Any], references: list[Elements]) -> list[Elements]:
    """Leave the last image out of the completed step; seen as a Referenced Image Sequence short by one."""
    return references[:-1]


QUIRKS = collect(globals())
