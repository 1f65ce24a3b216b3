"""What the identity provider can be told to do and asked, as ``stepwedge.actors.words_idp`` describes it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from stepwedge.errors import BadInput
from stepwedge.evidence.redact import refusal
from stepwedge.model.identifiers import digits

from . import forging, people
from .state import Launch, hashed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from stepwedge.sim.simulator import Case

    from .provider import Provider
    from .state import User

Args = dict[str, Any]
FOREVER = -1.0
LAUNCH_LIVES = 300.0


@dataclass(frozen=True)
class Desk:
    """The person who looks after accounts."""

    provider: Provider

    def acts(self) -> dict[str, Callable[[Args, Case], Awaitable[Args]]]:
        """Return the words of this role."""
        return {
            "enroll": self.enroll,
            "lock": self.lock,
            "unlock": self.unlock,
            "revoke": self.revoke,
            "rotate_keys": self.rotate_keys,
            "launch": self.launch,
        }

    def asks(self) -> dict[str, Callable[[Args], Any]]:
        """Return what can be asked; ``forged`` gives what only who has the keys can make, for attempts that must fail."""
        return {
            "user": self._told,
            "forged": lambda args: forging.forge(self.provider, str(args.get("kind", "")), dict(args)),
        }

    async def enroll(self, args: Args, case: Case) -> Args:
        """Make an account for a person nobody else uses."""
        role = str(args.get("role") or "radiologist")
        if role not in self.provider.settings.rights:
            raise BadInput("idp.enroll: role", f"one of {', '.join(self.provider.settings.rights)}", role)
        realm = self.provider.realm
        with self.provider.bench.change(realm):
            name = f"{role}-{digits(6, realm.seed, case.id, 'user', realm.next('users'))}"
            people.enroll(realm, name, role)
        return {"user": name, "role": role}

    async def lock(self, args: Args, case: Case) -> Args:
        """Lock an account until somebody unlocks it: nothing that was issued to the person holds any longer."""
        del case
        user = self._user(args)
        with self.provider.bench.change(self.provider.realm):
            self.provider.realm.users[user.name] = replace(user, locked=FOREVER)
            revoked = self.provider.realm.revoke_user(user.name)
        return {"user": user.name, "revoked": revoked}

    async def unlock(self, args: Args, case: Case) -> Args:
        """Unlock an account."""
        del case
        user = self._user(args)
        with self.provider.bench.change(self.provider.realm):
            self.provider.realm.users[user.name] = replace(user, locked=0.0, failures=0)
        return {"user": user.name}

    async def revoke(self, args: Args, case: Case) -> Args:
        """End every session of a person and revoke every token."""
        del case
        user = self._user(args)
        with self.provider.bench.change(self.provider.realm):
            revoked = self.provider.realm.revoke_user(user.name)
        if self.provider.bench.trail is not None:
            self.provider.bench.trail.authentication(user.name, good=True, out=True)
        return {"user": user.name, "revoked": revoked}

    async def rotate_keys(self, args: Args, case: Case) -> Args:
        """Sign with new keys; the old ones stay published as long as tokens signed with them may live."""
        del args, case
        provider, now = self.provider, self.provider.now()
        with provider.bench.change(provider.realm):
            provider.signer.forget(now - provider.settings.access - 60)
            fresh = provider.signer.rotate(now)
        return {"keys": fresh, "published": len(provider.realm.keys)}

    async def launch(self, args: Args, case: Case) -> Args:
        """Make the handle an EHR launches an app with."""
        del case
        patient = args.get("patient")
        number = str(patient.get("id", "") if isinstance(patient, dict) else patient or "")
        if why := refusal(self.provider.bench.identity, patients=[number or "?"]):
            raise BadInput("idp.launch: patient", "a synthetic patient", why)
        context = {key: str(args[key])[:64] for key in ("encounter", "intent") if args.get(key)}
        handle = secrets.token_urlsafe(16)
        with self.provider.bench.change(self.provider.realm):
            self.provider.realm.launches[hashed(handle)] = Launch(
                number, self.provider.now() + LAUNCH_LIVES, context
            )
        return {"launch": handle, "patient": number, **context}

    def _user(self, args: Args) -> User:
        given = args.get("user")
        name = str(given.get("user", "") if isinstance(given, dict) else given or "")
        if (user := self.provider.realm.users.get(name)) is None:
            raise BadInput("idp: user", "a person who has an account", name)
        return user

    def _told(self, args: Args) -> Args:
        user, now = self._user(args), self.provider.now()
        return {
            "user": user.name,
            "role": user.role,
            "failures": user.failures,
            "locked": user.is_locked(now),
            "sessions": sum(
                1
                for session in self.provider.realm.sessions.values()
                if session.user == user.name and not session.ended and session.expires > now
            ),
        }
