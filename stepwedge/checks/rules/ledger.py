"""The orders of a case and the identifiers each of them owns, as those who give the numbers gave them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from stepwedge.checks.rules.sightings import Sighting

NUMBERS: Final = ("placer", "filler", "accession", "study")
"""Identifiers of an order, in the order in which a sighting is linked by them."""
_GIVEN_BY: Final = {
    # Who gives a number: the placer in RAD-2; the filler in its answer, in RAD-3 and RAD-4; RAD-5 when all else is unseen.
    "placer": ("order",),
    "filler": ("reply", "schedule", "status", "worklist"),
    "accession": ("reply", "schedule", "status", "worklist"),
    "study": ("schedule", "worklist"),
}
_CONTENT: Final = ("procedure", "priority", "alerts", "reason")


@dataclass(slots=True)
class Order:
    """One order.

    Attributes:
        patient: the record under which it was placed.
        numbers: placer, filler, accession and study, each as it was first given.
        content: what was ordered, as RAD-2 says it.
        steps: what was scheduled, newest last, by Scheduled Procedure Step ID.
        controls: order control codes of the placer, accepted ones only.
    """

    placer: str
    patient: str
    placed: float
    numbers: dict[str, str] = field(default_factory=dict)
    content: dict[str, str] = field(default_factory=dict)
    steps: dict[str, list[Sighting]] = field(default_factory=dict)
    cancelled: bool = False

    def __str__(self) -> str:
        return f"order {self.numbers.get('accession') or self.placer}"


@dataclass(slots=True)
class Ledger:
    """All orders of a case, and who is who among their numbers."""

    orders: list[Order] = field(default_factory=list)

    @classmethod
    def of(cls, sightings: Sequence[Sighting]) -> Ledger:
        """Write the orders down in the order in which they were placed and numbered."""
        ledger = cls()
        for sighting in sightings:
            if sighting.kind == "order":
                ledger._place(sighting)
        for kinds in (
            ("reply", "status"),
            ("schedule",),
            ("worklist",),
        ):  # the nearer to the source, the earlier
            for sighting in sightings:
                if sighting.kind in kinds:
                    ledger._number(sighting)
        return ledger

    def _place(self, sighting: Sighting) -> None:
        order = next((one for one in self.orders if one.placer == sighting["placer"]), None)
        if order is None:
            order = Order(
                sighting["placer"], sighting["patient"], sighting.at, {"placer": sighting["placer"]}
            )
            if sighting["visit"]:
                order.numbers["visit"] = sighting["visit"]
            order.content = {name: sighting[name] for name in _CONTENT if name in sighting.values}
            self.orders.append(order)

    def _number(self, sighting: Sighting) -> None:
        order = self.owner(sighting)
        if order is None:
            return
        for name, kinds in _GIVEN_BY.items():
            if sighting.kind in kinds and sighting[name]:
                order.numbers.setdefault(name, sighting[name])
        if sighting.kind == "schedule" and sighting["step"]:
            order.steps.setdefault(sighting["step"], []).append(sighting)

    def owner(self, sighting: Sighting) -> Order | None:
        """Return the order a sighting speaks of: by its placer number, else filler, accession, study."""
        owners = self.owners(sighting)
        return owners[0] if owners else None

    def owners(self, sighting: Sighting) -> list[Order]:
        """Return every order of which the sighting carries a number; more than one is a mix-up."""
        found: list[Order] = []
        for name in NUMBERS:
            value = sighting[name]
            for order in self.orders:
                if value and order.numbers.get(name) == value and order not in found:
                    found.append(order)
        return found

    def known(self, name: str) -> set[str]:
        """Return all values of one number."""
        return {order.numbers[name] for order in self.orders if name in order.numbers}


def linked(ledger: Ledger, sightings: Iterable[Sighting]) -> Iterable[tuple[Sighting, Order]]:
    """Yield each sighting that speaks of an order, with that order."""
    for sighting in sightings:
        if (order := ledger.owner(sighting)) is not None:
            yield sighting, order
