"""Known wrong behaviours of departments when messages come late, twice or with gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepwedge.sim.quirks import quirk

from .habits import RisHabits

if TYPE_CHECKING:
    from collections.abc import Callable

    from stepwedge.model.procedure import ScheduledStep


@quirk(
    "xo.wipes_unsaid",
    defect="DEF-007",
    severity="S1",
    overrides=RisHabits.unsaid,
    notices="after a change of priority the pacemaker is no longer on the list ((0010,2000) empty, OBR-13 not sent)",
)
def wipes_unsaid(_: Callable[[str], str], _value: str) -> str:
    """Empty what an update does not mention."""
    return ""


@quirk(
    "cancel.order_comes_alive",
    defect="not listed",
    severity="S1",
    overrides=RisHabits.remembers_cancellation,
    notices="an order that was cancelled before it came stands on the worklist",
)
def order_comes_alive(_: Callable[[str], bool], _placer: str) -> bool:
    """Forget a cancellation whose order is not known yet."""
    return False


@quirk(
    "mwl.old_protocol",
    defect="not listed",
    severity="S1",
    overrides=RisHabits.reprotocolled,
    notices="the scanner still lists the protocol without contrast ((0040,0008) is the old code after RAD-13)",
)
def old_protocol(
    _: Callable[..., ScheduledStep], before: ScheduledStep, _after: ScheduledStep
) -> ScheduledStep:
    """Tell that the protocol was changed, and go on offering the old one."""
    return before


@quirk(
    "adt.older_wins",
    defect="DEF-210",
    severity="S2",
    overrides=RisHabits.outdated,
    notices="after an old queue was replayed the patient has her former name on the worklist (EVN-2 not looked at)",
)
def older_wins(_: Callable[[str, str], bool], _told: str, _known: str) -> bool:
    """Take whatever comes last, however old it is."""
    return False
