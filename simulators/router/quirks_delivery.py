"""Known wrong behaviours of routers about what they believe and what they lose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepwedge.sim.quirks import quirk
from stepwedge.wire.elements import decode, encode

from .habits import RouterHabits

_GROUP = 4

if TYPE_CHECKING:
    from collections.abc import Callable


@quirk(
    "dicom.drop_private_un",
    defect="DEF-053",
    severity="S2",
    overrides=RouterHabits.sent,
    notices="the workstation cannot compute what the maker's software needs (private attributes lost in the router)",
)
def drop_private_un(original: Callable[[bytes], bytes], data: bytes) -> bytes:
    """Leave out what no dictionary names."""
    whole = original(data)
    explicit = whole[4:6].isalpha()
    elements = decode(whole, explicit=explicit)
    kept = {key: value for key, value in elements.items() if not _private(key)}
    return encode(kept, explicit=explicit) if len(kept) < len(elements) else whole


def _private(key: str) -> bool:
    """Tell whether a key is a tag of an odd group (PS3.5 section 7.8)."""
    return key[:_GROUP].isdigit() and int(key[:_GROUP], 16) % 2 == 1
