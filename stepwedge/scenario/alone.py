"""Cases that disturb a system which others use: they run alone, and what they did is taken back.

One hospital stands for all workers of pytest-xdist. A case that takes a scanner off the network would turn the cases
beside it red, and all that follow when it ends halfway.
"""

from __future__ import annotations

import fcntl
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import IO, TYPE_CHECKING, Any

from stepwedge.actors.words import word
from stepwedge.scenario import leaving, schema
from stepwedge.scenario.bindings import literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from stepwedge.actors.cast import Cast
    from stepwedge.scenario.load import Planned
    from stepwedge.scenario.variants import Case


def disturbs(case: Case, cast: Cast) -> bool:
    """Tell whether a step of the case disturbs a system that other cases use."""
    return any(disturbing(planned, cast) for planned in leaving.every(case.steps(), case, case.names))


def disturbing(planned: Planned, cast: Cast) -> bool:
    """Tell whether a step disturbs a system that other cases use, or a link to one."""
    if planned.troubles:
        return True
    name, _, verb = planned.word.partition(".")
    return planned.acts and not planned.flow and name in cast and word(cast[name].role, verb).disturbs


@dataclass(slots=True)
class Room:
    """Who may be at work in the hospital: many cases that disturb nobody, or one that does.

    Locks on two files, which end with the process that holds them. Who wants to be alone keeps the door until the
    room is empty, so that nobody else comes in first.

    Attributes:
        folder: what the processes of a run share; ``None`` when there is one, so that nobody has to wait.
    """

    folder: Path | None = None
    _inside: IO[bytes] | None = None
    _alone: bool = False

    @contextmanager
    def entered(self, *, alone: bool) -> Iterator[None]:
        """Be in the room while the block runs."""
        self.enter(alone=alone)
        try:
            yield
        finally:
            self.leave()

    def enter(self, *, alone: bool) -> None:
        """Come in, or be alone from now on; waits until that is possible."""
        if self.folder is None or (self._inside is not None and (self._alone or not alone)):
            return
        self.leave()  # two that wait for each other to leave would wait for ever
        with (self.folder / ".room.door").open("ab") as door:
            fcntl.flock(door, fcntl.LOCK_EX)
            self._inside = (self.folder / ".room").open("ab")
            fcntl.flock(self._inside, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        self._alone = alone

    def leave(self) -> None:
        """Let others in."""
        if self._inside is not None:
            self._inside.close()
        self._inside, self._alone = None, False

    @staticmethod
    def forget(folder: Path) -> None:
        """Remove the files of a room that nobody uses any more."""
        for name in (".room.door", ".room"):
            (folder / name).unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Debt:
    """Something to take back: the step that did it, the actor and word that take it back, and its arguments."""

    planned: Planned
    word: str
    given: Mapping[str, Any]

    def step(self) -> Planned:
        """Return the step that takes it back, standing where it was done."""
        title = f"taken back at the end of the case: {self.planned.word}"
        step = schema.Do.model_validate({"do": self.word, "with": literal(dict(self.given)), "title": title})
        return replace(self.planned, step=step)


@dataclass(slots=True)
class Debts:
    """What a case has done to systems that others use, and not taken back."""

    owed: list[Debt] = field(default_factory=list)

    def took(self, planned: Planned, cast: Cast, given: Mapping[str, Any], result: Any) -> None:
        """Note a step that was taken; it may take back what an earlier one did."""
        name, _, verb = planned.word.partition(".")
        for debt in reversed(self.owed):
            if debt.word == planned.word and all(given.get(key) == debt.given[key] for key in debt.given):
                self.owed.remove(debt)
                return
        if undo := word(cast[name].role, verb).undo:
            debt = Debt(planned, f"{name}.{undo.name}", undo.arguments(given, result or {}))
            if not any((debt.word, debt.given) == (one.word, one.given) for one in self.owed):
                self.owed.append(debt)

    def take(self) -> Iterator[Debt]:
        """Yield what is still owed, the newest first, each once."""
        while self.owed:
            yield self.owed.pop()
