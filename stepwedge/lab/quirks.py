"""Every quirk of every simulated system, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepwedge import kit
from stepwedge.actors.words import did_you_mean
from stepwedge.errors import BadInput
from stepwedge.sim.shared_quirks import SHARED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stepwedge.sim.quirks import Quirk


def known() -> dict[str, tuple[str, Quirk]]:
    """Return every quirk of every simulated system: name to (role, quirk); any system's doors can have those of role ``any``."""
    found: dict[str, tuple[str, Quirk]] = {name: ("any", quirk) for name, quirk in SHARED.items()}
    for role in kit.simulators():
        for name, quirk in getattr(kit.load_simulator(role), "QUIRKS", {}).items():
            found[name] = (role, quirk)
    return found


def chosen(names: Sequence[str]) -> dict[str, tuple[str, Quirk]]:
    """Return the quirks of these names; of all when there are none."""
    every = known()
    for name in names:
        if name not in every:
            near = did_you_mean(name, every).strip(" ;")
            raise BadInput(f"--quirk {name}", f"one of {', '.join(every)}", name, near)
    return {name: every[name] for name in names} if names else every
