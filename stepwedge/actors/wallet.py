"""The probe's tokens: its own as a program, and those of synthetic people it signs in as (OpenID Connect, SMART)."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from stepwedge.clock import moment
from stepwedge.errors import Inconclusive, Refused
from stepwedge.model import credentials
from stepwedge.wire.oidc import Client, Code, Oidc, Person, Tokens

if TYPE_CHECKING:
    import ssl

PROBE: Final = "probe"
APP: Final = "viewer"
"""The public client that people are signed in to."""
REDIRECT: Final = "http://127.0.0.1:8/callback"
"""Where the app listens, as far as the provider is told: nobody does, the code is taken from the redirection itself."""
PROGRAM_SCOPE: Final = "system/*.cruds"
PERSONAL_SCOPE: Final = "openid user/*.cruds offline_access"
EARLY: Final = 30.0
_STEP: Final = 30
_SECONDS: Final = 10.0


@dataclass(eq=False)
class Wallet:
    """What is needed to be somebody at one identity provider.

    Attributes:
        issuer: the actor; ``url`` is its issuer identifier.
        seed: the hospital's, from which everybody's credentials follow.
        held: tokens of people, by name, as they were signed in last.
    """

    issuer: str
    url: str
    seed: int
    context: ssl.SSLContext | None = None
    patience: float = 1.0
    held: dict[str, Tokens] = field(default_factory=dict)
    _own: dict[str, tuple[str, float]] = field(default_factory=dict)
    _steps: dict[str, int] = field(default_factory=dict)

    def oidc(self, client: Client) -> Oidc:
        """Return a fresh browser and client: no cookie, no connection of another one."""
        return Oidc(self.url, client, timeout=_SECONDS * self.patience, context=self.context)

    def program(self, name: str = PROBE) -> Client:
        """Return a program of the lab, proving itself with its key."""
        return Client(name, key=credentials.client_key(self.seed, name))

    def bearer(self, resource: str) -> str:
        """Return the probe's own token for a door."""
        kept, until = self._own.get(resource, ("", 0.0))
        if kept and until > moment():
            return kept
        tokens = self.fetch(PROGRAM_SCOPE, resource)
        self._own[resource] = (
            tokens.access,
            moment() + tokens.expires_in - min(EARLY, tokens.expires_in / 2),
        )
        return tokens.access

    def fetch(self, scope: str, resource: str) -> Tokens:
        """Return new tokens of the probe's own."""
        with self.oidc(self.program()) as provider:
            return provider.credentials(scope, resource)

    def person(self, user: str, otp: str | None = None, password: str | None = None) -> Person:
        """Return what a person types in; each one-time password is used once, so a fourth sign-in at once must wait."""
        if otp is None:
            otp = self._next(user)
        return Person(user, credentials.password(self.seed, user) if password is None else password, otp)

    def _next(self, user: str) -> str:
        current = int(time.time()) // _STEP
        step = max(self._steps.get(user, 0) + 1, current - 1)
        if step > current + 1:
            raise Inconclusive(f"{user} has used every one-time password there is in this half minute")
        self._steps[user] = step
        return self.otp(user, step)

    def give_back(self, user: str) -> None:
        """Take back the one-time password given last: whoever was refused unseen has not used it."""
        self._steps[user] -= 1

    def otp(self, user: str, step: int) -> str:
        """Return the one-time password of a time step (RFC 6238)."""
        import pyotp

        return pyotp.TOTP(credentials.totp_secret(self.seed, user)).generate_otp(step)

    def last_otp(self, user: str) -> str:
        """Return the one-time password that was used last."""
        return self.otp(user, self._steps[user])

    def wrong_otp(self, user: str) -> str:
        """Return six digits that are no one-time password of any time step near."""
        current = int(time.time()) // _STEP
        near = {self.otp(user, step) for step in range(current - 3, current + 4)}
        return next(code for code in (f"{number:06}" for number in range(len(near) + 1)) if code not in near)

    def sign_in(
        self, user: str, scope: str = PERSONAL_SCOPE, resource: str = "", **changed: str | None
    ) -> Tokens:
        """Sign a person in, and keep the tokens as ``held``; ``changed`` as in :meth:`stepwedge.wire.oidc.Oidc.authorize`."""
        with self.oidc(Client(APP)) as provider:
            self.held[user] = tokens = provider.redeem(self.code(provider, user, scope, resource, **changed))
        return tokens

    def code(
        self,
        provider: Oidc,
        user: str,
        scope: str = PERSONAL_SCOPE,
        resource: str = "",
        **changed: str | None,
    ) -> Code:
        """Have a person sign in and return the code."""
        asked = {"resource": resource} if resource else {}
        return provider.authorize(self.person(user), scope, REDIRECT, **{**asked, **changed})

    def tokens(self, user: str) -> Tokens:
        """Return what a person holds since the last sign-in."""
        if user not in self.held:
            raise Refused(f"{user} has not signed in")
        return self.held[user]
