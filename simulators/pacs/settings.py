"""What a lab file may say about the archive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


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
    def read(cls, given: Mapping[str, Any]) -> Settings:
        """Read what concerns the archive; ports, AE title and time limits belong to the bench."""
        return cls(**{name: given[name] for name in cls.__dataclass_fields__ if name in given})
