"""What a lab file may say about the RIS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stepwedge import kit
from stepwedge.errors import BadInput
from stepwedge.model.procedure import Procedure, catalogue


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings with their defaults.

    Attributes:
        schedule: ``automatic`` schedules an order as it comes; ``manual`` waits for the scheduler (``ris.schedule_order``).
        procedures: the catalogue, a file below the lab's root.
        ehr: actor that placed the orders and hears of their status and reports.
        pacs: actor that hears what was scheduled.
        archive: actor whose DICOMweb address reports link to.
        forward: actors that hear of performed steps from us (RAD-6, RAD-7).
        lead: minutes from an order to its first step.
        within: seconds to wait for the placer's number of an order made here.
    """

    schedule: str = "automatic"
    procedures: str = "fixtures/procedures/catalogue.yaml"
    ehr: str = "ehr"
    pacs: str = "pacs"
    archive: str = "pacs"
    forward: tuple[str, ...] = ("pacs",)
    lead: int = 10
    within: float = 10.0

    @classmethod
    def read(cls, given: dict[str, Any], place: str) -> Settings:
        """Read what concerns the RIS; ports, AE title and application belong to the bench."""
        if not isinstance(given.get("forward", []), list | tuple):
            raise BadInput(f"{place}.forward", "a list of actors", repr(given["forward"]))
        settings = cls(**{name: given[name] for name in cls.__dataclass_fields__ if name in given})
        if settings.schedule not in {"automatic", "manual"}:
            raise BadInput(f"{place}.schedule", "automatic or manual", str(settings.schedule))
        if not isinstance(settings.lead, int) or settings.lead < 0:
            raise BadInput(f"{place}.lead", "minutes, 0 or more", str(settings.lead))
        return settings

    def catalogue(self) -> dict[str, Procedure]:
        """Return the procedures that can be ordered."""
        return catalogue(kit.find(self.procedures))
