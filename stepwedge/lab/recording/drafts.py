"""From what was heard to files: one draft a case, and an index that says what belongs to none."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final

from stepwedge.lab.recording.cases import cases
from stepwedge.lab.recording.telling import tell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from stepwedge.lab.recording.draft import Draft
    from stepwedge.lab.recording.ear import Recording
    from stepwedge.lab.recording.heard import Heard

INDEX: Final = "recorded.md"
_MOST: Final = 500
"""Drafts of one recording; nobody reads more."""


def drafts(
    heard: Sequence[Heard], roles: Mapping[str, str], prefix: str = "recorded"
) -> tuple[list[Draft], list[Heard], int]:
    """Return the drafts, named after ``prefix``, what became part of none, and how many cases were too many."""
    found, rest = cases(heard)
    made: list[Draft] = []
    for one in found[:_MOST]:
        draft = tell(f"{prefix}-{len(made) + 1:03}", one, roles)
        if draft.expects:
            made.append(draft)
        else:
            rest = [*rest, *one]
    return made, rest, max(0, len(found) - _MOST)


def write(recording: Recording, roles: Mapping[str, str], folder: Path) -> list[tuple[Path, Draft]]:
    """Write what became of a recording; return the drafts with their files, which are named after the folder."""
    prefix = re.sub(r"[^a-z0-9]+", "-", folder.name.lower()).strip("-")[:60]
    made, rest, beyond = drafts(recording.heard, roles, prefix or "recorded")
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for draft in made:
        path = folder / f"{draft.name}.yaml"
        _put(path, draft.text())
        written.append((path, draft))
    _put(folder / INDEX, _index(recording, written, rest, beyond))
    return written


def _put(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def _index(
    recording: Recording, written: Sequence[tuple[Path, Draft]], rest: Sequence[Heard], beyond: int
) -> str:
    lines = [
        "# What was recorded",
        "",
        "| draft | steps | to decide | pictures |",
        "| --- | --- | --- | --- |",
    ]
    for path, draft in written:
        burned = "may show whose they are" if draft.drawn_on else ""
        decide = ", ".join(f"line {line}" for line, _ in draft.decisions) or "nothing"
        lines.append(f"| [{path.name}]({path.name}) | {draft.steps} | {decide} | {burned} |")
    lines += ["", "| link | what | answered | how often |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {link} | {kind} | {outcome} | {count} |"
        for (link, kind, outcome), count in sorted(recording.counts.items())
    ]
    left = Counter(map(str, rest))
    if left:
        lines += [
            "",
            "In no draft:",
            "",
            *(f"- {what}, {count} times" for what, count in sorted(left.items())),
        ]
    if recording.unread:
        lines += [
            "",
            *(f"- {count} could not be read ({name})" for name, count in sorted(recording.unread.items())),
        ]
    if recording.more or beyond:
        lines += ["", f"Let go because there were too many: {recording.more} exchanges, {beyond} cases."]
    return "\n".join(lines) + "\n"
