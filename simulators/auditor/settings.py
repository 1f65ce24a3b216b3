"""What a lab file may say about the audit record repository."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stepwedge.errors import BadInput
from stepwedge.wire.syslog import LARGEST

LEAST = 32768
"""Octets that a repository must be able to take (ITI-20)."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings with their defaults.

    Attributes:
        largest: octets of one message.
    """

    largest: int = LARGEST

    @classmethod
    def read(cls, given: dict[str, Any], name: str) -> Settings:
        """Read what concerns the repository; ports and application belong to the bench."""
        largest = given.get("largest", LARGEST)
        if type(largest) is not int or not LEAST <= largest <= LARGEST:
            raise BadInput(f"{name}.largest", f"octets from {LEAST} (ITI-20) to {LARGEST}", repr(largest))
        return cls(largest)
