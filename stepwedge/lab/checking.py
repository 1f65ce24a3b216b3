"""Check and explain without running: scenario files against a lab, lab files by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepwedge import kit
from stepwedge.errors import BadInput
from stepwedge.lab import labfile
from stepwedge.lab.claims import CLAIMS
from stepwedge.scenario import check as scenarios
from stepwedge.scenario import source
from stepwedge.scenario.check import Known, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


def check(paths: Sequence[Path], lab: Path | None) -> list[Problem]:
    """Return every problem of the named files and folders; of all scenarios and lab files when none is named."""
    problems: list[Problem] = []
    chosen: list[Path] = []
    for path in paths or _everything():
        if not path.exists():
            raise BadInput(str(path), "a file or folder", "nothing", "check the name")
        for file in _files(path):
            if not _is_lab(file):
                chosen.append(file)
                continue
            try:
                labfile.load(file)
            except BadInput as trouble:
                problems.append(Problem(trouble))
    return problems + scenarios.check(chosen, known(lab))


def known(lab: Path | None) -> Known:
    """Return what scenarios may speak of in a lab."""
    loaded = labfile.load(lab)
    return Known({name: one.role for name, one in loaded.actors.items()}, frozenset(CLAIMS))


def explain(topic: str) -> str:
    """Return the explanation of a word, check, flow or actor."""
    from stepwedge.scenario.explain import explain as explained

    return explained(topic, known(None))


def _everything() -> list[Path]:
    return [kit.find("scenarios"), kit.find("fixtures/labs")]


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    yield from (
        file for file in sorted(path.rglob("*.yaml")) if not any(part.startswith("_") for part in file.parts)
    )


def _is_lab(path: Path) -> bool:
    """Tell a lab file from a scenario by its first key; what cannot be read at all is left to the scenario check."""
    try:
        value = source.read(path).value
    except BadInput:
        return path.parent.name == "labs"
    return isinstance(value, dict) and ("lab" in value or ("actors" in value and "scenario" not in value))
