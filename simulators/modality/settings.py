"""What a lab file may say about a scanner."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

PROTOCOLS = {"CTCHEST1": "ct-chest", "CTHEAD1": "ct-head", "CTABDN": "ct-abdomen", "CTABDC": "ct-abdomen"}
"""The scanner's protocol book: scheduled protocol code to phantom."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Whom the scanner talks to, by actor name, and how patient it is.

    Attributes:
        commitment: seconds until a storage commitment result that never came counts as the archive's failure.
    """

    worklist: str = "ris"
    archive: str = "pacs"
    station_name: str = ""
    commitment: float = 10.0
    protocols: Mapping[str, str] = field(default_factory=lambda: PROTOCOLS)

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Settings:
        """Read what concerns the scanner; ports, AE title and time limits belong to the bench."""
        return cls(**{name: given[name] for name in cls.__dataclass_fields__ if name in given})
