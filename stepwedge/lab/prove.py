"""Run the scenarios once per quirk, several at a time, each run in a process and a hospital of its own."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from stepwedge.lab import hospital, launch

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from stepwedge.lab.child import Child
    from stepwedge.lab.labfile import Lab

LOOK: Final = 0.1
CLEAN: Final = "clean"


@dataclass(frozen=True)
class Trial:
    """One run to be made in one lab: with one quirk, or clean."""

    lab: Lab
    quirk: str
    seed: int

    @property
    def place(self) -> str:
        """The lab, by the name of its file."""
        return self.lab.file.stem

    @property
    def name(self) -> str:
        """What distinguishes it from all other trials; also its folder."""
        return f"{self.place}/{self.folder}"

    @property
    def folder(self) -> str:
        """The last part of its name."""
        return self.quirk or f"{CLEAN}-{self.seed}"


@dataclass
class Bench:
    """Runs trials, at most ``workers`` at once, and remembers how long they took.

    Attributes:
        wish: what every trial runs; its lab, seed and quirks are replaced, and clean runs
            are given nothing ``more``.
    """

    folder: Path
    wish: launch.Wish
    workers: int
    took: list[float] = field(default_factory=list)
    _running: dict[str, tuple[Trial, Child, float]] = field(default_factory=dict)

    def run(self, waiting: list[Trial]) -> Iterator[Trial]:
        """Yield each trial when its run is over; ends what still runs when the caller gives up.

        Trials leave ``waiting`` from the front; the caller may add further ones as it learns what came out.
        """
        try:
            while waiting or self._running:
                while waiting and len(self._running) < self.workers:
                    self._begin(waiting.pop(0))
                for trial, child, began in list(self._running.values()):
                    if child.process.poll() is not None:
                        del self._running[trial.name]
                        child.stop()
                        self.took.append(time.monotonic() - began)
                        yield trial
                time.sleep(LOOK)
        finally:
            for _, child, _ in self._running.values():
                child.stop()

    def left(self, remaining: int) -> float | None:
        """Return the seconds that ``remaining`` trials are expected to take; unknown before the first is over."""
        if not self.took:
            return None
        return remaining * sum(self.took) / len(self.took) / self.workers

    def _begin(self, trial: Trial) -> None:
        folder = self.folder / trial.name
        folder.mkdir(parents=True)
        wish = launch.Wish(
            self.wish.paths,
            trial.lab.file,
            trial.seed,
            [trial.quirk] if trial.quirk else [],
            self.wish.patience,
            more=self.wish.more if trial.quirk else (),
        )
        self._running[trial.name] = (trial, launch.start(wish, folder.absolute()), time.monotonic())


def thin(folder: Path, cases: Collection[str]) -> None:
    """Delete the messages of all cases but these, and what the simulated systems kept; journal and reports stay."""
    for inside in folder.iterdir():
        if inside.is_dir() and not inside.is_symlink() and inside.name not in cases:
            shutil.rmtree(inside)


def acted(folder: Path, quirk: str) -> int:
    """Return how often a quirk changed what its system did in the run in ``folder``."""
    total = 0
    for path in folder.rglob(hospital.ACTED):
        total += int(json.loads(path.read_text(encoding="utf-8")).get(quirk, 0))
    return total
