"""What a simulated system writes into its log (its standard error)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stepwedge.evidence.exchange import Exchange


class LogHabits:
    """What a system that keeps health data out of its logs writes there."""

    def line(self, exchange: Exchange) -> str:
        """Return what is logged about an exchange: nothing of one that went well, and never whom it is about."""
        if exchange.protocol == "act" or exchange.outcome not in {"lost", "timeout", "garbled", "refused"}:
            return ""
        return f"{exchange.actor}: {exchange.kind} {exchange.direction}, {exchange.outcome}"
