"""What the systems show when they are asked afterwards, each question at most once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from stepwedge.actors import asking
from stepwedge.errors import Failed, Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from stepwedge.actors.asking import Retrieved
    from stepwedge.actors.cast import Cast, Player
    from stepwedge.wire.elements import Elements

T = TypeVar("T")


@dataclass(slots=True)
class Readback:
    """Asks the systems of one case over the wire, and the results receiver what its users see."""

    cast: Cast
    _answers: dict[tuple[str, ...], Any] = field(default_factory=dict)

    def player(self, role: str) -> Player | None:
        """Return the actor that plays a role; the first when there are several."""
        return next((player for player in self.cast if player.role == role), None)

    def _once(self, key: tuple[str, ...], ask: Callable[[], T]) -> T:
        if key not in self._answers:
            self._answers[key] = ask()
        answer: T = self._answers[key]
        return answer

    def worklist(self, accession: str) -> list[Elements]:
        """Return the worklist entries of an order (RAD-5)."""
        ris = self.player("ris")
        if ris is None or not (ris.address.worklist or ris.address.dicom):
            return []
        keys = {"AccessionNumber": accession}
        return self._once(("worklist", accession), lambda: asking.worklist(self.cast, ris.name, keys).answers)

    def doors(self) -> list[str]:
        """Return the doors through which the archive answers queries here."""
        pacs = self.player("pacs")
        if pacs is None:
            return []
        there = {"c-find": pacs.address.dicom, "qido-rs": pacs.address.web}
        return [door for door, address in there.items() if address and self.cast.claimed(door)]

    def studies(self, door: str, key: str, value: str) -> list[Elements]:
        """Return the studies of a patient, an accession number or a Study Instance UID (RAD-14)."""
        pacs = self._pacs()
        return self._once(
            (door, key, value), lambda: asking.studies(self.cast, pacs, door, {key: value}).answers
        )

    def instances(self, door: str, study: str) -> list[Elements]:
        """Return the instances of a study as a query shows them."""
        pacs = self._pacs()
        return self._once(
            (door, "instances", study), lambda: asking.instances(self.cast, pacs, door, study).answers
        )

    def retrieved(self, study: str) -> list[Retrieved] | None:
        """Return the whole study, headers and pixel hashes (RAD-16, WADO-RS); None when no door leads there."""
        pacs = self.player("pacs")
        if pacs is None:
            return None
        there = {"wado-rs": pacs.address.web, "c-get": pacs.address.dicom}
        door = next((door for door, address in there.items() if address and self.cast.claimed(door)), None)
        if door is None:
            return None
        return self._once(("retrieved", study), lambda: asking.retrieve(self.cast, pacs.name, door, study))

    def order(self, placer: str) -> dict[str, Any] | None:
        """Return what the order placer knows of an order; None when it is a real system or knows nothing."""
        return self._seen("order", {"placer": placer})

    def appointment(self, placer: str) -> dict[str, Any] | None:
        """Return the appointment of an order in the ward's calendar; None when it has none, or the system is real."""
        return self._seen("appointment", {"placer": placer})

    def report(self, accession: str) -> dict[str, Any] | None:
        """Return the report the ward can read; None when there is none, or the ward's system is real."""
        return self._seen("report", {"accession": accession})

    def _seen(self, what: str, args: dict[str, Any]) -> dict[str, Any] | None:
        ehr = self.player("ehr")
        if ehr is None or not ehr.simulated:
            return None

        def ask() -> dict[str, Any] | None:
            try:
                return ehr.ask(what, args)
            except (Refused, Failed):
                return None

        return self._once((what, *args.values()), ask)

    def _pacs(self) -> str:
        pacs = self.player("pacs")
        return pacs.name if pacs else "pacs"
