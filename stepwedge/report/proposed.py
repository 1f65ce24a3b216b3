"""Which SOP classes a simulated system proposes when it calls others, read off its code.

A system calls by ``calling(bench, to, contexts)`` or queues a request by ``dimse_send(to, verb, sop_class, ...)``; both name their SOP
classes as constants of the module. What is named by a variable there are the objects it stores.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from stepwedge import kit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import ModuleType

STORAGE: Final = ""
"""Stands for the SOP classes of the objects that are stored."""
SCU, CALLING_BACK = "SCU", "SCP, on associations of its own"
_PLACE: Final = (2, 1)
"""Where the contexts stand in ``calling(bench, to, contexts)`` and in ``network.calling(to, contexts)``."""


def proposed(role: str) -> list[tuple[str, str]]:
    """Return SOP class UID (or :data:`STORAGE`) and role, sorted, each once."""
    package = kit.load_simulator(role)
    found: set[tuple[str, str]] = set()
    for path in sorted(Path(str(package.__file__)).parent.glob("*.py")):
        module = sys.modules.get(f"{package.__name__}.{path.stem}")
        if module is not None:
            found.update(_of_module(module, ast.parse(path.read_text(encoding="utf-8"))))
    return sorted(found)


def _of_module(module: ModuleType, tree: ast.Module) -> Iterator[tuple[str, str]]:
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        given = {one.arg for one in (*function.args.args, *function.args.kwonlyargs)}
        for call in ast.walk(function):
            if isinstance(call, ast.Call):
                yield from _of_call(module, call, given)


def _of_call(module: ModuleType, call: ast.Call, given: set[str]) -> Iterator[tuple[str, str]]:
    """Yield what one call proposes; what its caller handed over (``given``) is that one's to tell."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name == "calling":
        place = _PLACE[isinstance(call.func, ast.Attribute)]
        contexts = call.args[place] if len(call.args) > place else None
        if isinstance(contexts, ast.List):
            yield from ((uid, SCU) for one in contexts.elts for uid in _classes(module, one))
        elif contexts is not None and getattr(contexts, "id", "") not in given:
            yield STORAGE, SCU
    elif name == "dimse_send":
        verb = call.args[1]
        named = [one.value for one in call.keywords if one.arg == "context"] or [call.args[2]]
        reports = isinstance(verb, ast.Constant) and verb.value == "report_event"
        yield from ((uid, CALLING_BACK if reports else SCU) for uid in _classes(module, named[0]))


def _classes(module: ModuleType, node: ast.expr) -> Iterable[str]:
    """Return the UIDs that an expression stands for."""
    value: Any = None
    if isinstance(node, ast.Name):
        value = getattr(module, node.id, None)
    elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        value = getattr(getattr(module, node.value.id, None), node.attr, None)
    return [value] if isinstance(value, str) else [STORAGE]
