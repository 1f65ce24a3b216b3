"""Wrong behaviours the audit record repository can be told to have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepwedge.sim.quirks import collect, quirk

from .habits import AuditorHabits

if TYPE_CHECKING:
    from collections.abc import Callable


@quirk(
    "audit.mutable",
    defect="DEF-265",
    severity="S3",
    overrides=AuditorHabits.seal,
    notices="a record was changed afterwards, and nobody can tell (the chain has no links)",
)
def mutable(original: Callable[[str, bytes], str], before: str, content: bytes) -> str:
    """Seal nothing."""
    return original(before, content)[:0]


QUIRKS = collect(globals())
