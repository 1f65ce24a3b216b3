"""What OAuth says no with, and forms as it wants them (RFC 6749)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_FIELDS: Final = 50
LARGEST_FORM: Final = 1 << 16
REPEATED: Final = frozenset({"resource", "aud"})
"""Parameters that may be given more than once (RFC 8707 section 2; ``aud`` is SMART's word for it); no other may (RFC 6749 3.1)."""


@dataclass
class OAuthError(Exception):
    """A refusal in the protocol's words (RFC 6749 section 5.2 and 4.1.2.1)."""

    error: str
    description: str
    status: int = 400

    def __str__(self) -> str:
        return f"{self.error}: {self.description}"


@dataclass(frozen=True, slots=True)
class Form:
    """Parameters of a request."""

    fields: dict[str, str]
    resources: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> str:
        """Return a parameter; empty when it is not there, as RFC 6749 section 3.1 treats both alike."""
        return self.fields.get(name, "")

    def need(self, name: str) -> str:
        """Return a parameter that must be there."""
        if not (value := self.fields.get(name, "")):
            raise OAuthError("invalid_request", f"{name} is missing")
        return value

    @classmethod
    def parse(cls, text: str) -> Form:
        """Read ``application/x-www-form-urlencoded``."""
        try:
            pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict")
        except ValueError:
            raise OAuthError("invalid_request", "the parameters cannot be read") from None
        return cls.of(pairs)

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]]) -> Form:
        """Make a form of names and values."""
        pairs = list(pairs)
        counts = Counter(name for name, _ in pairs if name not in REPEATED)
        if twice := next((name for name, count in counts.items() if count > 1), ""):
            raise OAuthError("invalid_request", f"{twice[:40]} is given more than once")
        resources = tuple(dict.fromkeys(value for name, value in pairs if name in REPEATED and value))
        return cls({name: value for name, value in pairs if name not in REPEATED}, resources)
