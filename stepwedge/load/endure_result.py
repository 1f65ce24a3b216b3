"""What an archive endured: a table, ``endure.json``, and the exit code."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from rich.markup import escape
from rich.table import Table

from stepwedge.load.judging import RULES

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from stepwedge.load.endure import Round
    from stepwedge.load.judging import Finding

_SHOWN: Final = 12
_UNSURE: Final = frozenset({"still unknown"})
"""What nobody can tell is no broken promise: the result is inconclusive."""


@dataclass
class Result:
    """The whole of it.

    Attributes:
        left: rounds that were not begun, because time was up.
        disk: how a full disk was made.
    """

    archive: str
    seed: int
    rounds: list[Round]
    findings: list[Finding]
    left: int = 0
    disk: str = ""
    seconds: float = 0.0
    trouble: str = ""
    counts: Counter[str] = field(init=False)

    def __post_init__(self) -> None:
        self.counts = Counter(one.what for one in self.findings)

    @property
    def exit(self) -> int:
        """0 when every trouble came and every promise was kept; 1 when one was broken; 3 when nobody can tell."""
        if any(what not in _UNSURE for what in self.counts):
            return 1
        unsure = self.findings or self.left or self.trouble or not self.rounds
        return 3 if unsure or any(one.unsure for one in self.rounds) else 0

    @property
    def headline(self) -> str:
        """The result in one line."""
        sums = [sum(getattr(one, name) for one in self.rounds) for name in _SUMS]
        told = ", ".join(f"{number} {name}" for number, name in zip(sums, _SUMS, strict=True))
        wrong = ", ".join(f"{count} {what}" for what, count in self.counts.items())
        word = "every promise kept" if not self.exit else "nobody can tell whether every promise was kept"
        return f"{len(self.rounds)} rounds in {self.seconds:.0f} s: {told}; {wrong or word}"

    def by_kind(self) -> list[dict[str, Any]]:
        """Return one line for each trouble, window and door."""
        groups: dict[tuple[str, str, str], list[Round]] = {}
        for one in self.rounds:
            groups.setdefault((one.trouble, one.window, one.door), []).append(one)
        return [self._line(key, rounds) for key, rounds in groups.items()]

    def _line(self, key: tuple[str, str, str], rounds: list[Round]) -> dict[str, Any]:
        numbers = {one.number for one in rounds}
        times = [one.recovered for one in rounds if one.recovered]
        wrong = Counter(one.what for one in self.findings if one.round in numbers)
        return {
            "trouble": f"{key[0]} {key[1]}".strip(),
            "door": key[2],
            "rounds": len(rounds),
            "acted": sum(bool(one.acted) for one in rounds),
            **{name: sum(getattr(one, name) for one in rounds) for name in _SUMS},
            "recovered": f"{median(times):.2f}/{max(times):.2f}" if times else "",
            "wrong": ", ".join(f"{count} {what}" for what, count in wrong.items()),
            "unsure": sum(bool(one.unsure) for one in rounds),
        }


_SUMS: Final = ("attempted", "acknowledged", "refused", "unknown", "arrived")


def write(result: Result, folder: Path) -> None:
    """Write ``endure.json``."""
    said = {
        "exit": result.exit,
        "headline": result.headline,
        **{key: value for key, value in asdict(result).items() if key != "counts"},
        "counts": dict(result.counts),
        "by_kind": result.by_kind(),
        "promises": RULES,
    }
    (folder / "endure.json").write_text(
        json.dumps(said, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def say(console: Console, result: Result, folder: Path) -> None:
    """Print it."""
    table = Table(title=f"{result.archive}, broken on purpose", title_justify="left")
    lines = result.by_kind()
    heads = {"arrived": "of these there", "recovered": "back in s", "acknowledged": "acked"}
    for column in lines[0] if lines else ():
        table.add_column(heads.get(column, column), overflow="fold")
    for line in lines:
        table.add_row(*(escape(str(value)) for value in line.values()))
    console.print(table)
    for one in result.findings[:_SHOWN]:
        said = f"round {one.round}: {one.what}: {one.sop} by {one.by}, {one.when}: {one.said} ({RULES[one.what]})"
        console.print(escape(said), style="red", highlight=False, soft_wrap=True)
    if len(result.findings) > _SHOWN:
        console.print(
            f"and {len(result.findings) - _SHOWN} more, in endure.json", style="red", highlight=False
        )
    for each in [one for one in result.rounds if one.unsure][:_SHOWN]:
        console.print(
            escape(f"round {each.number} ({each.trouble}): {each.unsure}"), style="yellow", highlight=False
        )
    if result.trouble or result.left:
        told = result.trouble or f"{result.left} rounds were not begun: time was up"
        console.print(escape(told), style="yellow", highlight=False, soft_wrap=True)
    if result.disk == "RLIMIT_FSIZE":
        console.print(
            "full disks were limits of the size of files: no tmpfs can be mounted here", style="yellow"
        )
    console.print(f"\n{result.headline}", highlight=False)
    console.print(f"  evidence {folder}", highlight=False, soft_wrap=True)
