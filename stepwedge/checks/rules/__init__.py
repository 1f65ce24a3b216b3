"""The standing rules: what must be true of every run, whatever its scenario expects.

A rule is a pure function of the facts of one case. It compares everything the case showed, so a defect that no
scenario thought of still turns it red. A rule that found nothing to compare was *not reached*, which is neither good
nor bad; what a rule could not see is listed.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import TYPE_CHECKING

from stepwedge.checks.rules.rule import RULES, CaseFacts, Finding, Rule, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["RULES", "CaseFacts", "Finding", "Rule", "judge", "rule", "rules"]

_MODULES = (
    "identity",
    "numbers",
    "content",
    "dose",
    "images",
    "states",
    "messages",
    "relays",
    "routed",
    "audit",
    "logs",
    "media",
    "availability",
)


@cache
def _load() -> None:
    for module in _MODULES:
        importlib.import_module(f"{__package__}.{module}")


def rules() -> list[Rule]:
    """Return all standing rules in the order of their numbers."""
    _load()
    return sorted(
        RULES.values(), key=lambda one: [int(part) for part in one.id.removeprefix("INV-").split(".")]
    )


def judge(facts: CaseFacts) -> Iterator[tuple[Rule, Finding]]:
    """Apply every standing rule to one case."""
    for one in rules():
        yield one, one.judge(facts)
