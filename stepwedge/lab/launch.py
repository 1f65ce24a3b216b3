"""Run scenarios with pytest in a process of its own, so that whoever follows outlives whatever happens there.

Only Stepwedge's own plug-ins are loaded: what else is installed on a machine must not decide whether a hospital's
acceptance run starts. ``pytest`` itself, with any plug-in, collects the same scenarios.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from stepwedge import kit
from stepwedge.errors import BadInput
from stepwedge.lab import quirks
from stepwedge.lab.child import Child, python

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PLUGINS: Final = ("stepwedge.pytest_plugin", "pytest_timeout", "xdist.plugin")
LOG: Final = "pytest.log"


@dataclass(frozen=True)
class Wish:
    """What is to be run, and how.

    Attributes:
        paths: scenario files and folders; the lab's ``scenarios`` folder when there are none.
        keyword: pytest's ``-k`` expression over case names.
        tags: only scenarios with one of these tags.
        workers: processes to share the cases; each has a hospital of its own.
    """

    paths: Sequence[Path] = ()
    lab: Path | None = None
    seed: int | None = None
    quirks: Sequence[str] = ()
    patience: str = ""
    keyword: str = ""
    tags: Sequence[str] = ()
    workers: int = 0
    more: Sequence[str] = field(default=())

    def refuse(self) -> None:
        """Raise ``BadInput`` for what can be seen to be wrong before anything starts."""
        for path in self.paths:
            if not path.exists():
                raise BadInput(str(path), "a scenario file or a folder of them", "nothing", "check the name")
        if self.patience and not re.fullmatch(r"\d+(\.\d+)?x?", self.patience):
            raise BadInput("--patience", "a factor such as 2x", self.patience)
        if self.quirks:
            quirks.chosen(self.quirks)

    def arguments(self) -> list[str]:
        """Return pytest's arguments."""
        given: list[str] = []
        for option, value in (
            ("--lab", self.lab),
            ("--seed", self.seed),
            ("--patience", self.patience),
            ("-k", self.keyword),
        ):
            if value not in {None, ""}:
                given += [option, str(value)]
        given += [word for quirk in self.quirks for word in ("--quirk", quirk)]
        if self.tags:
            given += ["-m", " or ".join(self.tags)]
        if self.workers > 1:
            given += ["-n", str(self.workers)]
        return [*given, *self.more, *(str(path) for path in self.paths or [kit.find("scenarios")])]


def start(wish: Wish, folder: Path) -> Child:
    """Start a run whose evidence goes into ``folder``; pytest's own words go into ``pytest.log`` there."""
    loaded = [word for name in PLUGINS for word in ("-p", name)]
    command = python("-m", "pytest", *loaded, "-p", "no:cacheprovider", "-ra", "--color=no")
    command += ["--evidence", str(folder), "--junitxml", str(folder / "junit.xml"), *wish.arguments()]
    env = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return Child.start("pytest", command, folder / LOG, env=env, own_group=False)
