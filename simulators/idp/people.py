"""People: who they are, and whether whoever says to be one of them is (password, then one-time password; RFC 6238). Pure."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pyotp

from stepwedge.model import credentials

from .state import User

if TYPE_CHECKING:
    from .settings import Settings
    from .state import Realm

STEP: Final = 30
"""Seconds of a time step (RFC 6238 section 5.2)."""
WINDOW: Final = 1
"""Steps by which an authenticator's clock may differ."""
LONGEST: Final = 256
_COST: Final = {"n": 1 << 12, "r": 8, "p": 1}
"""scrypt (RFC 7914): some ten milliseconds; the passwords have 192 bits, so the salt and the name of the person do."""
BAD: Final = "user name, password or one-time password is not right, or the account is locked"
"""The same words for all of it: nobody learns which names exist."""
LOCKED: Final = ", and the account is locked now"


def enroll(realm: Realm, name: str, role: str) -> User:
    """Make a person whose credentials follow from the seed; inside ``bench.change``."""
    verifier = _scrypt(credentials.password(realm.seed, name), name)
    realm.users[name] = user = User(name, role, verifier, credentials.totp_secret(realm.seed, name))
    return user


def sign_in(
    realm: Realm, settings: Settings, given: tuple[str, str, str], now: float
) -> tuple[User | None, str]:
    """Judge user name, password and one-time password; inside ``bench.change``. Return the person, or why not.

    The reason is for journal and audit trail; whoever tried is told :data:`BAD`, whatever it was.
    """
    name, password, otp = given
    user = realm.users.get(name)
    verifier = _scrypt(password[:LONGEST], name)  # also for nobody, so that the time it takes tells nothing
    if user is None:
        return None, "no such user"
    if user.is_locked(now):
        return None, "the account is locked"
    right = hmac.compare_digest(verifier, user.verifier)
    step = _step_of(user.secret, otp, now)
    fresh = step is not None and realm.habits.takes_step(step, user.step)
    if not realm.habits.knows_password(right=right):
        why = "wrong password"
    elif not realm.habits.second_factor(right=fresh):
        why = "one-time password used before" if step is not None else "wrong one-time password"
    else:
        realm.users[name] = kept = replace(user, step=max(step or 0, user.step), failures=0, locked=0.0)
        return kept, ""
    failures = user.failures + 1
    locks = realm.habits.locks(failures, settings.failures)
    realm.users[name] = replace(
        user,
        failures=0 if locks else failures,
        locked=now + settings.locked if locks else 0.0,
    )
    return None, why + LOCKED if locks else why


def _step_of(secret: str, otp: str, now: float) -> int | None:
    """Return the time step a one-time password is of; None when it is of none near."""
    if len(otp) != 6 or not (otp.isascii() and otp.isdigit()):  # noqa: PLR2004 - digits of a code
        return None
    totp, current = pyotp.TOTP(secret, interval=STEP), int(now) // STEP
    for step in range(current - WINDOW, current + WINDOW + 1):
        if hmac.compare_digest(totp.generate_otp(step), otp):
            return step
    return None


def _scrypt(password: str, name: str) -> bytes:
    return hashlib.scrypt(
        password.encode("utf-8", "replace"), salt=name.encode("utf-8", "replace"), dklen=32, **_COST
    )
