"""Known wrong behaviours of routers about what they believe and what they lose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepwedge.sim.quirks import quirk

from .habits import RouterHabits

if TYPE_CHECKING:
    from collections.abc import Callable


@quirk(
    "relay.sent_on_failure",
    defect="DEF-067",
    severity="S1",
    overrides=RouterHabits.arrived,
    notices="the router says that a study was sent which the archive refused (A700 counted as delivered)",
)
def sent_on_failure(_: Callable[[str], bool], _category: str) -> bool:
    """Count what was answered, whatever the answer."""
    return True


@quirk(
    "route.no_match_drop",
    defect="DEF-238",
    severity="S2",
    overrides=RouterHabits.takes_unrouted,
    notices="a study was taken over and is nowhere (0000 for an object that no rule sends anywhere)",
)
def no_match_drop(_: Callable[[int], bool], _ways: int) -> bool:
    """Take what nobody wants."""
    return True
