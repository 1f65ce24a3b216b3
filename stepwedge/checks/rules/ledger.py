"""The orders of a case and the identifiers each of them owns, as those who give the numbers gave them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from stepwedge.wire.hl7 import null

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
        changes: what the filler agreed to change (XO, XR): when it was asked, when answered, and the new content.
    """

    placer: str
    patient: str
    placed: float
    numbers: dict[str, str] = field(default_factory=dict)
    content: dict[str, str] = field(default_factory=dict)
    steps: dict[str, list[Sighting]] = field(default_factory=dict)
    cancelled: bool = False
    changes: list[tuple[float, float, dict[str, str]]] = field(default_factory=list)

    def wanted(self, name: str, at: float) -> tuple[str, ...]:
        """Return what was ordered at a time, newest first; while a change is being answered, the old is right too."""
        versions = [self.content.get(name, "")]
        for asked, answered, content in self.changes:
            if asked <= at and content.get(name):
                said = "" if content[name] == null else content[name]
                versions = [said, *(versions if at <= answered else ())]
        return () if "" in versions[:-1] else tuple(version for version in versions if version)

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
        asked: dict[str, Sighting] = {}
        made: dict[
            str, Sighting
        ] = {}  # orders of the department, until their placer has numbered them (SN, NA)
        for sighting in sightings:
            if sighting.kind == "order":
                ledger._place(sighting)
                if sighting["control"] == "XO":
                    asked[sighting["placer"]] = sighting
            elif sighting["control"] == "XR" and (change := asked.get(sighting["placer"])) is not None:
                ledger._change(change, sighting.at)
            elif sighting.kind == "own order":
                made[sighting["filler"]] = sighting
            elif sighting["control"] == "NA" and (own := made.get(sighting["filler"])) is not None:
                ledger._place(replace(own, values={**own.values, "placer": sighting["placer"]}))
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
            for name in ("visit", "accession", "study"):  # a placer may issue the last two as well
                if sighting[name]:
                    order.numbers[name] = sighting[name]
            order.content = {name: sighting[name] for name in _CONTENT if name in sighting.values}
            self.orders.append(order)

    def _change(self, change: Sighting, answered: float) -> None:
        if (order := self.owner(change)) is not None:
            content = {name: change[name] for name in _CONTENT if name in change.values}
            order.changes.append((change.at, answered, content))

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
