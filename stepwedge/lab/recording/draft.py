"""A draft: steps of the scenario language on lines of their own, and what somebody must decide, with the line where."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, Final

from stepwedge.scenario.source import SIZE_LIMIT

_PLAIN: Final = re.compile(r"\$[a-z][A-Za-z0-9_.]*|[A-Za-z][A-Za-z0-9_]*([.-][A-Za-z0-9_]+)*")
_TRAPS: Final = frozenset(["true", "false", "null", "yes", "no", "on", "off", "y", "n"])
"""Words that some reader of YAML takes for something else; those stand in quotes."""


def flow(value: Any) -> str:
    """Write a value in YAML's flow style."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {flow(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _TRAPS:
        return value
    return json.dumps(value, ensure_ascii=False)


@dataclass
class Draft:
    """One draft that is being written.

    Attributes:
        steps: how many steps of the language it has.
        expects: how many of them expect something; a draft without any would always pass, and is none.
        drawn_on: whether pictures were heard that may show whose they are.
    """

    name: str
    title: str
    story: str
    steps: int = 0
    expects: int = 0
    drawn_on: bool = False
    _body: list[str] = field(default_factory=list)
    _decisions: list[tuple[int, str]] = field(default_factory=list)

    def step(self, kind: str, word: str, **more: Any) -> None:
        """Add a step such as ``do: ct.start_exam``; parts without a value are left out."""
        written = {
            kind: word,
            **{key.rstrip("_"): value for key, value in more.items() if value not in (None, {}, "")},
        }
        self._body.append(f"  - {flow(written)}")
        self.steps += 1
        self.expects += kind == "expect"

    def remark(self, text: str) -> None:
        """Add a comment."""
        self._body.append(f"  # {text}")

    def decide(self, what: str, shown: list[str] | None = None) -> None:
        """Add a comment at whose line somebody must decide, and what was said, replaced, below it."""
        self._decisions.append((len(self._body), what))
        self._body.append(f"  # DECIDE: {what}")
        self._body += [f"  #   {line}" for line in shown or ()]

    @property
    def decisions(self) -> list[tuple[int, str]]:
        """Line of the file and what is to be decided there."""
        first = len(self._head(len(self._decisions))) + 1
        return [(first + at, what) for at, what in self._decisions]

    def _head(self, decisions: int, lines: list[str] | None = None) -> list[str]:
        burned = [
            "# Pictures were sent that may show in their pixels whose they are; none of them was kept."
        ] * self.drawn_on
        return [
            "# Recorded by stepwedge tap record. Everybody in it is invented. Read it before you rely on it.",
            *burned,
            f"# Somebody must decide at {decisions} lines:" if decisions else "# Nothing is left to decide.",
            *(lines if lines is not None else ["#"] * decisions),
            f"scenario: {self.name}",
            f"title: {self.title}",
            f"story: {json.dumps(self.story)}",
            "severity: normal",
            "tags: [recorded]",
            "steps:",
        ]

    def text(self) -> str:
        """Return the file."""
        lines = [f"#   line {line}: {what}" for line, what in self.decisions]
        text = "\n".join([*self._head(len(lines), lines), *self._body]) + "\n"
        if len(text.encode()) > SIZE_LIMIT and any(line.startswith("  #   ") for line in self._body):
            return self._shorter().text()
        return text

    def _shorter(self) -> Draft:
        """Return it without what was said below each decision: a scenario file has an end."""
        at = dict(self._decisions)
        body: list[str] = []
        decisions: list[tuple[int, str]] = []
        for number, line in enumerate(self._body):
            if number in at:
                decisions.append((len(body), at[number]))
            if not line.startswith("  #   "):
                body.append(line)
        return Draft(
            self.name, self.title, self.story, self.steps, self.expects, self.drawn_on, body, decisions
        )
