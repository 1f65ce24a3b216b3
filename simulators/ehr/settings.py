"""What a lab file may say about the EHR."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stepwedge import kit
from stepwedge.errors import BadInput
from stepwedge.model.identifiers import ISSUER
from stepwedge.model.procedure import Procedure, catalogue


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings with their defaults.

    Attributes:
        ris: actor that takes orders.
        fhir: actor that takes orders as FHIR resources, when that is not ``ris``, which may be an interface engine.
        tells: actors told of patients; every system with an HL7 door when left out.
        procedures: the catalogue, a file below the lab's root.
        provider: ordering physician, DICOM PN.
        domain: assigning authority of the patient IDs it gives.
        index: the patient index it asks (ITI-9, ITI-21).
        within: seconds to wait for an answer before a word gives up.
    """

    ris: str = "ris"
    fhir: str = ""
    tells: list[str] | None = None
    procedures: str = "fixtures/procedures/catalogue.yaml"
    provider: str = "Orderer^Otto^^Dr"
    domain: str = ISSUER
    index: str = "mpi"
    within: float = 10.0

    @classmethod
    def read(cls, given: dict[str, Any], place: str) -> Settings:
        """Read what concerns the EHR; ports and application belong to the bench."""
        settings = cls(**{name: given[name] for name in cls.__dataclass_fields__ if name in given})
        if not isinstance(settings.within, int | float) or not 0 < settings.within < 3600:  # noqa: PLR2004 - an hour
            raise BadInput(f"{place}.within", "seconds, more than 0", str(settings.within))
        if settings.tells is not None and not isinstance(settings.tells, list):
            raise BadInput(f"{place}.tells", "a list of actors", str(settings.tells), "write [engine]")
        return settings

    def catalogue(self) -> dict[str, Procedure]:
        """Return the procedures that can be ordered."""
        return catalogue(kit.find(self.procedures))
