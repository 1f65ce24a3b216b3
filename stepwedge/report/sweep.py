"""Move the cut of a fault scenario over everything that is said on its link, and judge each time.

A scenario with one fault step says how a break is recovered from. A sweep plays it once with a fault that changes nothing, to learn
where frames or PDUs end; then once for each place, in both directions: at the first byte, behind every unit, before and at the last
byte. What a cut came to is the verdict of its case, standing rules included.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import yaml
from rich.table import Table

from stepwedge.errors import BadInput, Inconclusive
from stepwedge.evidence import journal
from stepwedge.lab import launch
from stepwedge.report import session
from stepwedge.scenario.load import load_scenario
from stepwedge.scenario.schema import Fault
from stepwedge.sim.tap.faults import kinds

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from rich.console import Console

EVERY: Final = ("unit", "pdu", "frame", "byte-edges")
MOST: Final = 180
"""Places of one sweep; a longer conversation is cut at so many, evenly spread."""
_HARMLESS: Final = "latency"


@dataclass(frozen=True, slots=True)
class Cut:
    """One place: so many whole units of a side, and so many bytes of the next; lengths may differ a little from case to case."""

    side: str
    units: int
    bytes: int = 0

    @property
    def id(self) -> str:
        """Its variant's name."""
        return f"{self.side}-{self.units}-{self.bytes}"


def cuts(seen: dict[str, Sequence[int]], every: str) -> list[Cut]:
    """Return where to cut a conversation: ``seen`` holds by side the ends of its units and, last, the number of its bytes."""
    found: list[Cut] = []
    for side, marks in sorted(seen.items(), reverse=True):
        ends = [0, *(mark for mark in marks[:-1] if mark)]
        sizes = [end - begin for begin, end in pairwise(ends)]
        places = {(0, 1)} | {(count, 0) for count in range(len(ends))}
        edges = range(len(sizes)) if every == "byte-edges" else range(len(sizes))[-1:]
        places |= {(at, sizes[at] - 1) for at in edges}
        if every == "byte-edges":
            places |= {(at, 1) for at in edges}
        if not sizes:  # a stream without units
            places |= {(0, marks[-1] // 2), (0, marks[-1] - 1)}
        found += [Cut(side, units, size) for units, size in sorted(places)]
    if len(found) <= MOST:
        return found
    return [found[at * len(found) // MOST] for at in range(MOST)]


def swept(written: dict[str, Any], kind: str, places: Iterable[Cut], unit: str = "pdu") -> dict[str, Any]:
    """Return a scenario with its one fault moved to each place, one variant each."""
    steps = [dict(step) for step in written["steps"]]
    at = next(at for at, step in enumerate(steps) if "fault" in step)
    told = {key: steps[at]["fault"][key] for key in ("on", "door", "times") if key in steps[at]["fault"]}
    told |= {"kind": kind, "side": "$cut_side", "after": {unit: "$cut_units", "bytes": "$cut_bytes"}}
    steps[at] = {key: value for key, value in steps[at].items() if key in {"fault", "as"}} | {"fault": told}
    base = (written.get("variants") or [{}])[0]
    names = {key: value for key, value in base.items() if key != "id" and f"${key}" in str(steps)}
    variants = [
        {"id": cut.id, **names, "cut_side": cut.side, "cut_units": cut.units, "cut_bytes": cut.bytes}
        for cut in places
    ]
    return {**written, "scenario": f"{written['scenario']}-swept", "variants": variants, "steps": steps}


def run(console: Console, scenario: Path, lab: Path | None, kind: str, every: str, seed: int | None) -> int:
    """Sweep a scenario; print the table and return the exit code of what came out."""
    file = load_scenario(scenario)
    faults = [step for step in file.model.steps if isinstance(step, Fault)]
    if len(faults) != 1:
        found = f"{len(faults)} fault steps"
        raise BadInput(str(scenario), "one fault step, whose place the sweep moves", found)
    if kind not in kinds():
        raise BadInput("--fault", f"one of {', '.join(kinds())}", kind)
    if every not in EVERY:
        raise BadInput("--every", f"one of {', '.join(EVERY)}", every)
    folder = session.new_folder("sweep-")
    seed = seed if seed is not None else 1
    written = dict(file.source.value)
    seen = _lifted(
        _play(console, swept(written, _HARMLESS, [Cut("request", 0)]), folder / "whole", lab, seed)
    )
    if not seen or not seen[0]["seen"]:
        raise Inconclusive(
            f"nothing was said on {faults[0].fault.on} while the fault was on, so nothing can be cut"
        )
    places = cuts(seen[0]["seen"], every)
    home = _play(console, swept(written, kind, places, _unit(faults[0])), folder / "cut", lab, seed)
    return _told(console, home, places, scenario, kind)


def _unit(step: Fault) -> str:
    """Return what the stream is made of, as ``after`` names it."""
    return "frame" if step.fault.door == "hl7" else "pdu"


def _play(console: Console, scenario: dict[str, Any], folder: Path, lab: Path | None, seed: int) -> Path:
    """Run a scenario that was made here; return its run folder."""
    file = folder / "scenarios" / f"{scenario['scenario']}.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(yaml.safe_dump(scenario, sort_keys=False, allow_unicode=True), encoding="utf-8")
    session.run(console, launch.Wish((file,), lab, seed), folder / "run", quiet=True)
    return folder / "run"


def _lifted(folder: Path) -> list[dict[str, Any]]:
    records = journal.read(folder / "journal.jsonl")
    return [one for one in records if one["record"] == "fault" and one["event"] == "lifted"]


def _told(console: Console, folder: Path, places: Sequence[Cut], scenario: Path, kind: str) -> int:
    verdicts = {
        one["case"].partition("[")[2].rstrip("]"): one["verdict"]
        for one in journal.read(folder / "journal.jsonl")
        if one["record"] == "verdict"
    }
    acted = {one["case"].partition("[")[2].rstrip("]"): one["count"] for one in _lifted(folder)}
    table = Table(title=f"{scenario.name} swept with {kind}", title_justify="left")
    for column in ("side", "behind units", "and bytes", "acted", "verdict"):
        table.add_column(column)
    for cut in places:
        table.add_row(
            cut.side,
            str(cut.units),
            str(cut.bytes),
            str(acted.get(cut.id, 0)),
            verdicts.get(cut.id, "not run"),
        )
    console.print(table)
    words = [verdicts.get(cut.id, "not run") for cut in places]
    green, hit = words.count("passed"), sum(bool(acted.get(cut.id)) for cut in places)
    console.print(f"{len(places)} cuts, {hit} acted, {green} passed", highlight=False)
    return 1 if "failed" in words else 0 if green == len(places) else 3
