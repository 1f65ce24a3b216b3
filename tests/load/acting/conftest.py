"""The site of a load run that is on, in this process."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from stepwedge import clock
from stepwedge.load import case, day
from stepwedge.load.plan import Plan, resolve
from stepwedge.load.site import Site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from stepwedge.sim.address import Address


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Make the site of a run that is on: ``site({"ris": Address(...)}, seconds=2)``."""
    made: list[Site] = []

    def make(directory: dict[str, Address], seconds: float = 20.0, **more: Any) -> Site:
        plan = planned(seconds)
        folder = tmp_path / f"run{len(made)}"
        folder.mkdir()
        told = {
            "directory": {name: one.format() for name, one in directory.items()},
            "roles": {name: "modality" if name == "ct" else name for name in directory},
            **more,
        }
        (folder / plan.hospital).write_text(json.dumps(told), encoding="utf-8")
        made.append(Site.open(folder, plan))
        return made[-1]

    yield make
    for one in made:
        one.close()


def planned(seconds: float) -> Plan:
    """Return a plan that began just now and lets nothing go on afterwards."""
    plan = resolve(case.load("minute"), day.load("s"), seed=77, seconds=seconds)
    return replace(plan, hospital="addresses.json", began=clock.moment(), drain=0.0)
