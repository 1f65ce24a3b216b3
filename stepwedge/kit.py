"""Find a lab's material: simulators, scenarios, fixtures, load, reports.

Your lab (the working folder or one of its parents) comes first, then what ships with Stepwedge: the repository's
own folders in a checkout, ``stepwedge/_kit`` in an installed wheel.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import types
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from stepwedge.errors import BadInput

if TYPE_CHECKING:
    from types import ModuleType

FOLDERS = ("simulators", "scenarios", "fixtures", "load", "reports")


@cache
def shipped() -> Path:
    """Return the folder that holds the five folders Stepwedge comes with."""
    installed = Path(__file__).parent / "_kit"
    return installed if installed.is_dir() else Path(__file__).parent.parent


def roots() -> list[Path]:
    """Return the folders to look in, nearest first; ``STEPWEDGE_LAB`` names yours when you work elsewhere."""
    named = os.environ.get("STEPWEDGE_LAB")
    start = Path(named) if named else Path.cwd()
    own = next((folder for folder in (start, *start.parents) if (folder / "scenarios").is_dir()), None)
    return [own, shipped()] if own and own.resolve() != shipped().resolve() else [shipped()]


def find(relative: str) -> Path:
    """Return the first existing ``relative`` path (such as ``fixtures/labs/default.yaml``)."""
    for root in roots():
        if (candidate := root / relative).exists():
            return candidate
    places = " or ".join(str(root) for root in roots())
    raise BadInput(
        relative, f"a file or folder below {places}", "nothing", "check the name, or set STEPWEDGE_LAB"
    )


def simulators() -> list[str]:
    """Return the names of all simulated systems that can be played."""
    return sorted(
        {
            folder.name
            for root in roots()
            if (root / "simulators").is_dir()
            for folder in (root / "simulators").iterdir()
            if (folder / "__init__.py").is_file()
        }
    )


def load_simulator(role: str) -> ModuleType:
    """Import the package of one simulated system from its folder, whichever lab holds it."""
    if role not in simulators():
        raise BadInput(f"simulator {role!r}", f"one of {', '.join(simulators())}", role)
    folder = find(f"simulators/{role}")
    name = f"stepwedge_simulators.{role}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None:
        raise BadInput(str(folder), "a Python package", "none")
    parent = sys.modules.setdefault("stepwedge_simulators", types.ModuleType("stepwedge_simulators"))
    parent.__path__ = []  # a package, so that simulators can import their own modules
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    setattr(parent, role, module)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
