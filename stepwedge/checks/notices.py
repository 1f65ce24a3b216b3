"""Instance availability notices among the exchanges of a case (PS3.4 annex R, RAD-49)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from stepwedge.evidence.exchange import Exchange

AVAILABILITY: Final = "1.2.840.10008.5.1.4.33"
"""Instance Availability Notification SOP Class."""
TERMS: Final = ("ONLINE", "NEARLINE", "OFFLINE", "UNAVAILABLE")


@dataclass(frozen=True, slots=True)
class Notice:
    """One notice as its receiver took it.

    Attributes:
        steps: performed steps it is about; None when the sequence, type 2, is not there at all.
        items: (SOP Instance UID, Instance Availability, Retrieve AE Title) of each instance.
    """

    number: int
    at: float
    actor: str
    study: str
    steps: tuple[str, ...] | None
    items: tuple[tuple[str, str, str], ...]

    @property
    def summary(self) -> dict[str, Any]:
        """What can be expected of a notice, by name."""
        counted = {
            term.lower(): sum(availability == term for _, availability, _ in self.items) for term in TERMS
        }
        return {
            **counted,
            "study": self.study,
            "mpps": "\\".join(self.steps or ()),
            "step_sequence": self.steps is not None,
            "retrieve_from": "\\".join(sorted({ae_title for _, _, ae_title in self.items})),
            "count": len(self.items),
        }


def notices(exchanges: Iterable[Exchange], at: str = "") -> Iterator[Notice]:
    """Yield each accepted notice, as ``at`` (or anybody) received it, in time order."""
    for exchange in sorted(exchanges, key=lambda one: one.at):
        if exchange.kind != "N-CREATE" or exchange.direction != "in" or exchange.outcome != "0000":
            continue
        if exchange.facts.get("sop_class") != AVAILABILITY or (at and exchange.actor != at):
            continue
        told: dict[str, Any] = exchange.facts.get("identifier") or {}
        steps = told.get("ReferencedPerformedProcedureStepSequence")
        yield Notice(
            exchange.number,
            exchange.at,
            exchange.actor,
            str(told.get("StudyInstanceUID") or ""),
            None if steps is None else tuple(str(one.get("ReferencedSOPInstanceUID")) for one in steps),
            tuple(_items(told)),
        )


def _items(told: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    for series in told.get("ReferencedSeriesSequence") or []:
        for item in series.get("ReferencedSOPSequence") or []:
            yield (
                str(item.get("ReferencedSOPInstanceUID") or ""),
                str(item.get("InstanceAvailability") or ""),
                str(item.get("RetrieveAETitle") or ""),
            )
