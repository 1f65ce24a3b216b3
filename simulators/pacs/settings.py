"""What a lab file may say about the archive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stepwedge.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping

FRAMEWORK = frozenset(
    {
        "application",
        "ae_title",
        "hl7_port",
        "dicom_port",
        "web_port",
        "hl7_timeout",
        "web_timeout",
        "identity",
        "simulated",
    }
)
"""Settings that the bench and its doors read."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How this archive behaves where the standard leaves a choice.

    Attributes:
        event_pause: seconds between the answer to N-ACTION and the first attempt to report its result, so that a requester
            that hangs up at once is called back on a new association instead of being spoken to while it releases.
        destinations: ``dicom://AE@host:port`` of C-MOVE destinations that are no actors of the lab.
    """

    event_pause: float = 0.03
    destinations: tuple[str, ...] = ()

    @classmethod
    def read(cls, name: str, values: Mapping[str, Any]) -> Settings:
        """Take the actor's mapping of a lab file, refusing what no archive knows."""
        own = {key: value for key, value in values.items() if key not in FRAMEWORK}
        if strange := sorted(set(own) - set(cls.__dataclass_fields__)):
            raise BadInput(f"actor {name}", f"settings {', '.join(cls.__dataclass_fields__)}", strange[0])
        return cls(**own)
