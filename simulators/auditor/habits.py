"""Every decision of the audit record repository that could also be taken wrongly, as a pure function."""

from __future__ import annotations

from .state import sha256


class AuditorHabits:
    """What a trustworthy audit record repository does."""

    def seal(self, before: str, content: bytes) -> str:
        """Return the seal of a record: it depends on the record and on all before it."""
        return sha256(before, content)
