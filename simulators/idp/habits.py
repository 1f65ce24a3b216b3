"""Every decision of the identity provider that could also be taken wrongly, as a pure function."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any


class IdpHabits:
    """What a trustworthy identity provider does."""

    def locks(self, failures: int, allowed: int) -> bool:
        """Return whether an account is locked after so many failures in a row."""
        return failures >= allowed

    def knows_password(self, *, right: bool) -> bool:
        """Return whether a password is good enough."""
        return right

    def second_factor(self, *, right: bool) -> bool:
        """Return whether a one-time password is good enough (RFC 6238)."""
        return right

    def takes_step(self, step: int, last: int) -> bool:
        """Return whether a time step may be used: each once, and none before it (RFC 6238 section 5.2)."""
        return step > last

    def wants_challenge(self, challenge: str, method: str, *, public: bool) -> bool:
        """Return whether an authorization request lacks proof of possession (RFC 7636): public clients must use S256."""
        return method != "S256" if challenge else public

    def proves(self, challenge: str, verifier: str) -> bool:
        """Return whether a verifier is the one a challenge was made from (RFC 7636 section 4.6)."""
        digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=")
        return hmac.compare_digest(digest, challenge.encode())

    def returns_to(self, registered: tuple[str, ...], asked: str) -> bool:
        """Return whether a redirection URI may be used: one that is registered, a loopback one with any port (RFC 8252 7.3)."""
        return asked in registered or _without_port(asked) in registered

    def spent(self, *, used: bool) -> bool:
        """Return whether a code, a refresh token or an assertion that was used before is refused."""
        return used

    def refresh_spent(self, *, used: bool) -> bool:
        """Return whether a refresh token that was used before is refused, and everything that came from it revoked."""
        return used

    def proves_client(self, *, right: bool) -> bool:
        """Return whether a client has shown who it is."""
        return right

    def active(self, *, revoked: bool) -> bool:
        """Return what introspection says of a token that has not expired (RFC 7662)."""
        return not revoked

    def context(self, told: dict[str, Any], launched: dict[str, str]) -> dict[str, Any]:
        """Return a token response with everything the app was launched with (SMART App Launch 2.2, launch context)."""
        return told | launched

    def is_user(self, name: str, everybody: list[str]) -> str:
        """Return whose resource the claim ``fhirUser`` names: of the person who signed in."""
        del everybody
        return name

    def grants(self, asked: list[str], allowed: list[str]) -> list[str]:
        """Return the scopes that are granted, out of those asked for; ``allowed`` is what client and role may have."""
        del asked
        return allowed


def _without_port(uri: str) -> str:
    """Return a loopback URI without its port."""
    for host in ("http://127.0.0.1", "http://[::1]"):
        if uri.startswith(f"{host}:"):
            port, slash, path = uri.removeprefix(f"{host}:").partition("/")
            return f"{host}{slash}{path}" if port.isdigit() else uri
    return uri
