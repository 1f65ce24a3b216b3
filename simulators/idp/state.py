"""What an identity provider keeps: people, sessions, grants and tokens, secrets as hashes alone. Pure.

A *grant* is what one person (or program) allowed one client at one moment; every token that comes from it is of its family,
and revoking the grant revokes them all (RFC 9700 section 4.14.2).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from stepwedge.sim.tables import State

if TYPE_CHECKING:
    from stepwedge.sim.tables import Table

    from .habits import IdpHabits

MOST = 50_000
"""Rows of one kind; the oldest make room. Requests that prove nothing add none."""


@dataclass(frozen=True, slots=True)
class User:
    """A synthetic person.

    Attributes:
        verifier: scrypt of the password.
        secret: shared with the authenticator, base 32.
        step: the last time step whose one-time password was used.
        failures: in a row.
        locked: until when, seconds since the epoch; negative is until somebody unlocks it.
    """

    name: str
    role: str
    verifier: bytes
    secret: str
    step: int = 0
    failures: int = 0
    locked: float = 0.0

    def is_locked(self, now: float) -> bool:
        """Tell whether nobody can sign in as this person now."""
        return self.locked < 0 or now < self.locked


@dataclass(frozen=True, slots=True)
class Session:
    """A person who signed in with a browser."""

    user: str
    began: float
    expires: float
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Grant:
    """What was allowed once: the head of a family of tokens.

    Attributes:
        user: who allowed it; empty for a program on its own behalf.
        scope: words separated by spaces.
        audience: resource servers (RFC 8707).
        patient: in context of the launch; ``context`` holds what else the app is told: encounter, intent.
        session: the person's; when it ends, the grant does.
    """

    client: str
    user: str
    scope: str
    audience: tuple[str, ...] = ()
    patient: str = ""
    session: str = ""
    at: float = 0.0
    expires: float = 0.0
    nonce: str = ""
    revoked: bool = False
    context: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Code:
    """An authorization code, under its hash."""

    grant: str
    redirect: str
    challenge: str
    expires: float
    used: bool = False


@dataclass(frozen=True, slots=True)
class Refresh:
    """A refresh token, under its hash."""

    grant: str
    expires: float
    used: bool = False


@dataclass(frozen=True, slots=True)
class Access:
    """An access token, under its ``jti``."""

    grant: str
    expires: float
    revoked: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """A client assertion that was used, under client and ``jti``."""

    expires: float


@dataclass(frozen=True, slots=True)
class Launch:
    """A context that an EHR launches an app with (SMART App Launch, EHR launch), under its handle's hash; as in ``Grant``."""

    patient: str
    expires: float
    context: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key tokens are signed with: PEM (PKCS 8), with when it was retired; it stays published until its tokens are over."""

    algorithm: str
    pem: bytes
    retired: float = 0.0


class Realm(State):
    """Everybody and everything the provider knows."""

    def __init__(self, seed: int, name: str, habits: IdpHabits) -> None:
        super().__init__(seed, name)
        self.habits = habits
        self.users = self.table("users", User)
        self.sessions = self.table("sessions", Session)
        self.grants = self.table("grants", Grant)
        self.grants.index("session", lambda grant: [grant.session] if grant.session else [])
        self.grants.index("user", lambda grant: [grant.user] if grant.user else [])
        self.codes = self.table("codes", Code)
        self.refreshes = self.table("refreshes", Refresh)
        self.accesses = self.table("accesses", Access)
        self.assertions = self.table("assertions", Seen)
        self.launches = self.table("launches", Launch)
        self.keys = self.table("keys", SigningKey)

    def prune(self, now: float) -> None:
        """Remove what is over, oldest first, and the oldest of what there is too much of."""
        kept: tuple[Table[Any], ...] = (
            self.sessions,
            self.grants,
            self.codes,
            self.refreshes,
            self.accesses,
            self.assertions,
            self.launches,
        )
        for table in kept:
            while len(table) and (table[first := next(iter(table))].expires < now or len(table) > MOST):
                del table[first]

    def live(self, grant: str) -> Grant | None:
        """Return a grant that holds: not revoked, its session not ended."""
        found = self.grants.get(grant)
        if found is None or found.revoked:
            return None
        session = self.sessions.get(found.session) if found.session else None
        return None if found.session and (session is None or session.ended) else found

    def revoke(self, grant: str) -> None:
        """Revoke a grant and with it every token of its family."""
        if (found := self.grants.get(grant)) is not None and not found.revoked:
            self.grants[grant] = replace(found, revoked=True)

    def revoke_user(self, user: str) -> int:
        """End every session of a person and revoke what the person allowed; return how many grants that were."""
        for key, session in list(self.sessions.items()):
            if session.user == user and not session.ended:
                self.sessions[key] = replace(session, ended=True)
        live = [key for key, grant in self.grants.items() if grant.user == user and not grant.revoked]
        for key in live:
            self.revoke(key)
        return len(live)

    def end(self, session: str) -> bool:
        """End a session; tell whether it was one."""
        found = self.sessions.get(session)
        if found is None or found.ended:
            return False
        self.sessions[session] = replace(found, ended=True)
        return True


def hashed(secret: str) -> str:
    """Return under which name a secret of at least 128 bits is kept."""
    return hashlib.sha256(secret.encode()).hexdigest()
