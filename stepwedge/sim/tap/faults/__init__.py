"""The kinds of fault, one file each; :func:`kinds` knows them by the name scenarios use."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from pathlib import Path

from stepwedge.sim.tap.fault import Fault


@cache
def kinds() -> dict[str, type[Fault]]:
    """Return the kinds of fault by name."""
    found: dict[str, type[Fault]] = {}
    for module in sorted(one.name for one in pkgutil.iter_modules([str(Path(__file__).parent)])):
        for value in vars(importlib.import_module(f"{__name__}.{module}")).values():
            if isinstance(value, type) and issubclass(value, Fault) and value.kind:
                found[value.kind] = value
    return dict(sorted(found.items()))
