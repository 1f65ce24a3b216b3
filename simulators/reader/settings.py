"""What a lab file may say about the reading workstation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Settings:
    """Whom the workstation talks to, by actor name.

    Attributes:
        archive: actor whose studies are read, and that keeps what is marked.
        reports: actor that takes reports.
        patience: seconds until the report manager's answer is given up.
    """

    archive: str = "pacs"
    reports: str = "ris"
    patience: float = 10.0

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Settings:
        """Read what concerns the workstation; ports, AE title and time limits belong to the bench."""
        return cls(**{name: given[name] for name in cls.__dataclass_fields__ if name in given})
