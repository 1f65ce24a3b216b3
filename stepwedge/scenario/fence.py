"""Fences: prove that a message has not come by sending another behind it on the same ordered channel.

A marker order of a marker patient goes from the EHR to the RIS, and the RIS tells the watched actor about it. Once
that message is there, everything the RIS had to say before it has been said. No clock is involved.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import Inconclusive, LinkLost, NoAnswer, StepwedgeError

if TYPE_CHECKING:
    from stepwedge.actors.cast import Cast
    from stepwedge.checks.check import Check
    from stepwedge.evidence.exchange import Exchange
    from stepwedge.scenario.case import CaseView

PROCEDURE: Final = "FENCE"
PLACER: Final = "ehr"
FILLER: Final = "ris"
LONGEST: Final = 10.0


@dataclass(slots=True)
class Fence:
    """The markers of one case; they have an identity of their own, so none of their traffic belongs to the case."""

    cast: Cast
    case: CaseView
    _patient: dict[str, Any] | None = None

    def possible(self, check: Check, at: str) -> bool:
        """Tell whether a marker can be sent behind what ``check`` watches at ``at``, and seen there."""
        if check.fence != "hl7" or PLACER not in self.cast or FILLER not in self.cast or at not in self.cast:
            return False
        seen = self.cast[at].simulated and self.cast.host is not None
        return seen and at != FILLER and self.cast[PLACER].simulated

    def stand(self, at: str) -> bool:
        """Send a marker and wait until it is seen at ``at``; tell whether one could be sent.

        Raises ``Inconclusive`` when the marker was taken but never came: then nothing is known of the channel.
        """
        placer = self.cast[PLACER]
        identity = {"id": f"{self.case.id}/fence", "seed": self.case.seed}
        try:
            with self.case.watch.outside():
                if self._patient is None:
                    self._patient = placer.act("register_patient", {}, identity)
                order = placer.act(
                    "place_order", {"patient": self._patient, "procedure": PROCEDURE}, identity
                )
        except (LinkLost, NoAnswer, Inconclusive) as trouble:
            raise Inconclusive(f"the marker behind it could not be sent: {trouble}") from trouble
        except StepwedgeError:
            return False  # refused: this system takes no marker, so the clock must decide
        self._await(at, str(order["placer"]))
        return True

    def _await(self, at: str, number: str) -> None:
        start = self.case.watch.tick()
        left = LONGEST * self.cast.patience
        while left > 0:
            self.case.pull(min(left, 1.0))
            if any(_marks(exchange, at, number) for exchange in self.case.strangers):
                return
            left = LONGEST * self.cast.patience - (self.case.watch.tick() - start)
        raise Inconclusive(
            f"the marker order {number} sent behind it never arrived at {at}: the channel may be down"
        )


def _marks(exchange: Exchange, at: str, number: str) -> bool:
    coming = (exchange.actor, exchange.direction, exchange.protocol) == (at, "in", "hl7")
    return coming and number in exchange.keys.get("placer", [])
