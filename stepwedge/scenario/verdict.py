"""The five verdicts and how they combine. Nothing unknown ever becomes passed."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from stepwedge.errors import (
    Broken,
    Failed,
    Inconclusive,
    LinkLost,
    NoAnswer,
    Refused,
    RemoteProtocolError,
    Skipped,
    StepwedgeError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable


SEVERITIES = ("blocker", "critical", "normal", "minor", "trivial")
"""How much a scenario matters, in Allure's five words."""


class Verdict(StrEnum):
    """What a step, a case or a run came to; the one listed first decides."""

    FAILED = "failed"
    BROKEN = "broken"
    INCONCLUSIVE = "inconclusive"
    SKIPPED = "skipped"
    PASSED = "passed"


_WEIGHT = {verdict: weight for weight, verdict in enumerate(Verdict)}
_RAISED: dict[Verdict, type[StepwedgeError]] = {
    Verdict.FAILED: Failed,
    Verdict.BROKEN: Broken,
    Verdict.INCONCLUSIVE: Inconclusive,
    Verdict.SKIPPED: Skipped,
}
_BLAME: tuple[tuple[type[BaseException], Verdict], ...] = (
    (Failed, Verdict.FAILED),
    (Refused, Verdict.FAILED),
    (RemoteProtocolError, Verdict.FAILED),
    (Inconclusive, Verdict.INCONCLUSIVE),
    (LinkLost, Verdict.INCONCLUSIVE),
    (NoAnswer, Verdict.INCONCLUSIVE),
    (Skipped, Verdict.SKIPPED),
)


def combine(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the verdict of many: failed > broken > inconclusive > skipped > passed; of none: skipped."""
    return min(verdicts, key=_WEIGHT.__getitem__, default=Verdict.SKIPPED)


def blame(trouble: BaseException) -> Verdict:
    """Return the verdict that trouble while acting leads to; what nobody foresaw is our own fault."""
    return next((verdict for kind, verdict in _BLAME if isinstance(trouble, kind)), Verdict.BROKEN)


def raised(verdict: Verdict, text: str) -> StepwedgeError | None:
    """Return the exception that carries a verdict; ``None`` for passed."""
    kind = _RAISED.get(verdict)
    return kind(text) if kind else None
