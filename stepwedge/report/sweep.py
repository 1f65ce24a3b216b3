"""Cut every tapped link of a case everywhere, one cut at a time, and judge each time what came of it.

The case is played whole, to see that it passes; then heard, to learn on which connections of which links how many PDUs or frames
pass; then once for each place, cut there. How one recovers is said by the words (``Word.repeat``) and done by those who keep what
they send (outboxes). A scenario that has a fault step says itself how one recovers; then only the place of its fault is moved.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import yaml

from stepwedge.errors import BadInput, Inconclusive, Skipped
from stepwedge.evidence import journal
from stepwedge.lab import labfile, launch
from stepwedge.lab.bar import counted
from stepwedge.report import run_model, session, sweep_places, sweep_result
from stepwedge.report.sweep_places import EVERY, Cut, Link
from stepwedge.scenario.load import FLOWS, load_scenario
from stepwedge.scenario.schema import Fault
from stepwedge.sim.tap.faults import kinds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rich.console import Console

    from stepwedge.lab.child import Child
    from stepwedge.report.run_model import Record, Run

_LOOK: Final = 0.1


@dataclass(frozen=True)
class Wish:
    """What is to be swept, and how.

    Attributes:
        every: one of :data:`EVERY`.
        links: only these, ``caller->callee``; all that are tapped when empty.
        variant: of the scenario; its first when empty.
        most: places that are cut at most.
    """

    scenario: Path
    lab: Path | None
    fault: str = "reset"
    every: str = "unit"
    links: Sequence[str] = ()
    variant: str = ""
    seed: int = 1
    quirks: Sequence[str] = ()
    workers: int = 2
    most: int = 600

    def refuse(self) -> None:
        """Raise ``BadInput`` for what can be seen to be wrong before anything starts."""
        if self.fault not in kinds():
            raise BadInput("--fault", f"one of {', '.join(kinds())}", self.fault)
        if self.every not in EVERY:
            raise BadInput("--every", f"one of {', '.join(EVERY)}", self.every)


def run(console: Console, wish: Wish) -> int:
    """Sweep a scenario; print and write what came out, and return the exit code."""
    wish.refuse()
    file = load_scenario(wish.scenario)
    own = [step for step in file.model.steps if isinstance(step, Fault)]
    scenario = sweep_places.base(file.source.value, wish.variant)
    sweep_places.fault_at(scenario)
    folder = session.new_folder("sweep-")
    stage = _Stage(folder, wish)
    began = time.monotonic()
    links = [Link(own[0].fault.on, own[0].fault.door or "")] if own else stage.links(scenario)
    result = sweep_result.Sweep(wish.scenario.stem, wish.fault, wish.every, wish.seed)
    chosen = [link for link in links if not wish.links or link.on in wish.links]
    if strange := set(wish.links) - {link.on for link in links}:
        known = ", ".join(dict.fromkeys(link.on for link in links))
        raise BadInput("--link", f"a tapped link ({known})", ", ".join(sorted(strange)))
    result.silent |= sweep_result.silent([one for one in links if one not in chosen], "not asked for")
    places = _places(stage.heard(scenario, chosen), chosen, wish, result, each=not own)
    kept = sweep_places.thinned(places, wish.most)
    result.left_out = len(places) - len(kept)
    result.rows = stage.cut(console, scenario, kept)
    result.seconds = time.monotonic() - began
    sweep_result.write(result, folder)
    sweep_result.say(console, result, folder)
    return result.exit


def _places(
    heard: Mapping[Link, list[dict[str, list[int]]]],
    links: Sequence[Link],
    wish: Wish,
    result: sweep_result.Sweep,
    *,
    each: bool,
) -> list[Cut]:
    """Return every place, and note the links that have none; raises ``Inconclusive`` when nothing can be cut."""
    found: list[Cut] = []
    for link in links:
        if not heard[link]:
            result.silent |= sweep_result.silent([link], "the case says nothing on it")
            continue
        cuts = sweep_places.cuts(link, heard[link], wish.every, each=each)
        if not cuts:
            result.silent |= sweep_result.silent([link], f"made of {link.unit}s, and --every {wish.every}")
        found += cuts
    if not found:
        told = "; ".join(f"{link}: {reason}" for link, reason in result.silent.items())
        raise Inconclusive(f"nothing can be cut: {told or 'no link is tapped'}")
    return found


class _Stage:
    """Plays scenarios that were made here, in runs below one folder."""

    def __init__(self, folder: Path, wish: Wish) -> None:
        self.folder, self.wish = folder, wish
        self.places = folder / "scenarios"
        self.places.mkdir()
        for above in wish.scenario.resolve().parents:
            if (above / FLOWS).is_dir():
                shutil.copytree(above / FLOWS, self.places / FLOWS)
                break

    def links(self, scenario: Mapping[str, Any]) -> list[Link]:
        """Play the case whole; return the links that are tapped."""
        run = self._played("whole", {**scenario, "scenario": f"{scenario['scenario']}-whole"})
        _passed(run, "without any cut")
        taps = (run.about.get("lab") or {}).get("taps") or []
        if not taps:
            raise Skipped("no link is tapped in this lab: name links under taps: in the lab file")
        return sorted(Link(one["on"], one["door"]) for one in taps)

    def heard(
        self, scenario: Mapping[str, Any], links: Sequence[Link]
    ) -> dict[Link, list[dict[str, list[int]]]]:
        """Play the case while it is heard; return what passed on each link, connection by connection."""
        run = self._played("heard", sweep_places.listening(scenario, links))
        _passed(run, "while it was only heard", or_else="inconclusive")
        told = {
            Link(one["on"], link.door): one["seen"] for one, link in zip(_lifted(run), links, strict=True)
        }
        return {link: list(told[link]) for link in links}

    def cut(
        self, console: Console, scenario: Mapping[str, Any], places: Sequence[Cut]
    ) -> list[sweep_result.Row]:
        """Play the case once for each place, shared among workers with a hospital each; return what came of each."""
        number = 0
        children, folders = [], []
        workers = 1 if labfile.load(self.wish.lab).real else self.wish.workers
        try:
            for worker, groups in enumerate(sweep_places.shares(places, workers), 1):
                files = []
                for group in groups:
                    number += 1
                    made = sweep_places.swept(scenario, self.wish.fault, group, number)
                    files.append(self._write(made))
                folders.append(folder := self.folder / f"cut-{worker}")
                folder.mkdir()
                children.append(launch.start(self._wish(files), folder.absolute()))
            self._follow(console, folders, children, len(places))
        finally:
            for child in children:
                child.stop()
        return _rows(places, folders)

    def _follow(
        self,
        console: Console,
        folders: Sequence[Path],
        children: Sequence[Child],
        total: int,
    ) -> None:
        """Show how many cuts are judged until all runs have ended."""
        followers = [run_model.Follower(folder) for folder in folders]
        with counted(console) as bar:
            task = bar.add_task(f"{self.wish.fault} at every {self.wish.every}", total=total)
            over = False
            while not over:
                over = all(child.process.poll() is not None for child in children)
                new = [record for one in followers for record in one.new()]
                bar.update(task, advance=sum(record["record"] == "verdict" for record in new))
                time.sleep(0 if over else _LOOK)

    def _played(self, name: str, scenario: Mapping[str, Any]) -> Run:
        folder = self.folder / name
        folder.mkdir()
        child = launch.start(self._wish([self._write(scenario)]), folder.absolute())
        try:
            child.process.wait()
        finally:
            child.stop()
        try:
            return run_model.read(folder)
        except BadInput:
            raise Inconclusive(f"{name}: nothing was run; {child.log} ends:\n{child.tail()}") from None

    def _write(self, scenario: Mapping[str, Any]) -> Path:
        path = self.places / f"{scenario['scenario']}.yaml"
        path.write_text(yaml.safe_dump(dict(scenario), sort_keys=False, allow_unicode=True), encoding="utf-8")
        return path

    def _wish(self, files: Sequence[Path]) -> launch.Wish:
        return launch.Wish(files, self.wish.lab, self.wish.seed, self.wish.quirks)


def _passed(run: Run, when: str, or_else: str = "passed") -> None:
    """Raise when the case does not even pass without a cut: then no cut can tell anything."""
    for case in run.cases:
        if case.verdict not in {"passed", or_else}:
            raise Inconclusive(
                f"{case.id} is {case.verdict} {when}, so no cut can tell anything\n{case.message}"
            )
    if not run.cases:
        raise Inconclusive(f"nothing was run {when}")


def _lifted(run: Run) -> list[Record]:
    """Return the records of faults that were lifted, in the order in which they were begun."""
    records = [one for one in journal.read(run.folder / "journal.jsonl") if one["record"] == "fault"]
    found = {one["fault"]: one for one in records if one["event"] == "lifted"}
    return [found[one["fault"]] for one in records if one["event"] == "began" and one["fault"] in found]


def _rows(places: Sequence[Cut], folders: Sequence[Path]) -> list[sweep_result.Row]:
    """Return one row for each place, in order, whatever its run came to."""
    found: dict[str, sweep_result.Row] = {}
    ids = {cut.id: cut for cut in places}
    for folder in folders:
        try:
            run = run_model.read(folder)
        except BadInput:
            continue  # its places stay not run
        lifted = _lifted(run)
        for case in run.cases:
            cut = ids[str(case.get("variant"))]
            mine = [one for one in lifted if one["case"] == case.id]
            found[cut.id] = sweep_result.row(cut, case, mine, folder)
    return [found.get(cut.id) or sweep_result.row(cut, None, [], folders[0]) for cut in places]
