"""Reading what passes, for the journal; filled by the readers of each protocol."""

from __future__ import annotations

from typing import Protocol


class Witness(Protocol):
    """Reads one connection as the system at its far end would have written it down."""

    def asked(self, data: bytes) -> None:
        """Take what was handed to that system."""
        ...

    def answered(self, data: bytes) -> None:
        """Take what that system said."""
        ...

    def over(self) -> None:
        """Take note that the connection is over."""
        ...
