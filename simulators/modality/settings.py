"""What a lab file may say about a scanner."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stepwedge.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping

PROTOCOLS = {"CTCHEST1": "ct-chest", "CTHEAD1": "ct-head", "CTABDN": "ct-abdomen", "CTABDC": "ct-abdomen"}
"""The scanner's protocol book: scheduled protocol code to phantom."""
FRAMEWORK = frozenset(
    {
        "application",
        "ae_title",
        "dicom_port",
        "hl7_timeout",
        "web_timeout",
        "dimse_timeout",
        "identity",
        "simulated",
    }
)
"""Settings that the bench and its doors read."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Whom the scanner talks to, by actor name, and how patient it is.

    Attributes:
        commitment: seconds until a storage commitment result is given up.
    """

    worklist: str = "ris"
    archive: str = "pacs"
    station_name: str = ""
    commitment: float = 20.0
    protocols: Mapping[str, str] = field(default_factory=lambda: PROTOCOLS)

    @classmethod
    def read(cls, name: str, values: Mapping[str, Any]) -> Settings:
        """Take the actor's mapping of a lab file, refusing what no scanner knows."""
        own = {key: value for key, value in values.items() if key not in FRAMEWORK}
        if strange := sorted(set(own) - set(cls.__dataclass_fields__)):
            raise BadInput(f"actor {name}", f"settings {', '.join(cls.__dataclass_fields__)}", strange[0])
        return cls(**own)
