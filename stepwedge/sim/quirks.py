"""Known wrong behaviours that a simulated system can be told to have.

A simulator's conforming decisions are methods of one ``Habits`` class, pure functions of their arguments::

    class RisHabits:
        def offers(self, step: Step) -> bool:
            return step.status == "scheduled"

    @quirk("mwl.keep_cancelled", defect="DEF-001", severity="S1", overrides=RisHabits.offers,
           notices="the scanner still lists a cancelled exam")
    def keep_cancelled(original: Callable[[Step], bool], step: Step) -> bool:
        return True

    QUIRKS = collect(globals())          # in quirks.py, exported by the package

The simulator asks ``habits = bench.adopt(RisHabits())`` and calls ``habits.offers(step)``. A quirk *acted* whenever its answer
differs from what the conforming habit answers to the same arguments; the bench counts that.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from stepwedge.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

H = TypeVar("H")


@dataclass(frozen=True, slots=True)
class Quirk:
    """One wrong behaviour.

    Attributes:
        name: ``area.behaviour``, given on the command line.
        defect: its number in the defect catalogue.
        severity: S1 (patient harm) to S4.
        habit: qualified name of the habit it replaces, such as ``RisHabits.offers``.
        notices: what a person in the hospital would notice.
        act: the replacement: called with the conforming habit first, then with its arguments.
        needs: what a lab must have beside the system itself for the habit to matter: a role (``auditor``), or a
            setting of the lab or of an actor (``tls``, ``nodes``).
    """

    name: str
    defect: str
    severity: str
    habit: str
    notices: str
    act: Callable[..., Any]
    needs: str = ""


def quirk(
    name: str, *, defect: str, severity: str, overrides: Callable[..., Any], notices: str, needs: str = ""
) -> Callable[[Callable[..., Any]], Quirk]:
    """Declare a function to be a quirk that replaces the habit ``overrides``."""
    return lambda act: Quirk(name, defect, severity, overrides.__qualname__, notices, act, needs)


def collect(names: Mapping[str, Any]) -> dict[str, Quirk]:
    """Return the quirks of a module (``collect(globals())``) by name."""
    return {value.name: value for value in names.values() if isinstance(value, Quirk)}


@dataclass
class Quirks:
    """The quirks one simulated system can have, those it has now, and how often each acted."""

    known: Mapping[str, Quirk] = field(default_factory=dict)
    active: list[str] = field(default_factory=list)
    acted: dict[str, int] = field(default_factory=dict)
    _adopted: list[Any] = field(default_factory=list)

    def set(self, names: Iterable[str]) -> None:
        """Have exactly these quirks from now on; counts start again."""
        wanted = list(dict.fromkeys(names))
        for name in wanted:
            if name not in self.known:
                raise unknown(name, self.known)
        self.active = wanted
        self.acted = dict.fromkeys(wanted, 0)
        for habits in self._adopted:
            self._apply(habits)

    def adopt(self, habits: H) -> H:
        """Return the habits, with the active quirks in place of the habits they replace, now and after changes."""
        self._adopted.append(habits)
        self._apply(habits)
        return habits

    def _apply(self, habits: Any) -> None:
        for name in _methods(habits):
            vars(habits).pop(name, None)
        for name in self.active:
            quirk_ = self.known[name]
            owner, _, method = quirk_.habit.rpartition(".")
            if owner in {kind.__qualname__ for kind in type(habits).__mro__}:
                setattr(habits, method, self._counted(quirk_, getattr(habits, method)))

    def _counted(self, quirk_: Quirk, original: Callable[..., Any]) -> Callable[..., Any]:
        def wrong(*args: Any, **kwargs: Any) -> Any:
            answer = quirk_.act(original, *args, **kwargs)
            if answer != original(*args, **kwargs):
                self.acted[quirk_.name] += 1
            return answer

        return wrong


def _methods(habits: Any) -> set[str]:
    return {name for kind in type(habits).__mro__ for name, value in vars(kind).items() if callable(value)}


def unknown(name: str, known: Iterable[str]) -> BadInput:
    """Return the error for a quirk nobody has."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    remedy = f"did you mean {near[0]!r}?" if near else ""
    return BadInput(
        f"quirk {name!r}", f"one of {', '.join(names) or 'none: this system has no quirks'}", name, remedy
    )
